//! What is estimated from noisy histograms: pure functions of counts and noise. Each row lies in one cell, so that one row
//! more or less changes one count by one, and noise of [`DiscreteLaplace`](super::DiscreteLaplace) with
//! `epsilon` in every cell, empty ones included, makes the whole histogram epsilon-differentially private.
//! All that is computed from noisy counts is private for nothing more.

use super::log_histogram::edges;

/// The chances of seeing something in an empty histogram that are tried, the smallest first.
const CHANCES: [f64; 6] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3];

/// Counts with noise.
pub fn noisy(counts: &[u64], noise: &[f64]) -> Vec<f64> {
    counts
        .iter()
        .zip(noise)
        .map(|(&count, noise)| count as f64 + noise)
        .collect()
}

/// What a noisy count must exceed so that, with probability `1 - chance`, no empty one of the `cells` does:
/// of all but one independent Laplace noises none is that large.
pub fn noise_level(cells: usize, chance: f64, epsilon: f64) -> f64 {
    let others = cells.saturating_sub(1).max(1) as f64;
    -(2.0 - 2.0 * (1.0 - chance).powf(1.0 / others)).ln() / epsilon
}

/// The first and the last cell that stand out of the noise; `None` when none does.
pub fn occupied_cells(noisy: &[f64], epsilon: f64) -> Option<(usize, usize)> {
    CHANCES.iter().find_map(|&chance| {
        let level = noise_level(noisy.len(), chance, epsilon);
        let first = noisy.iter().position(|&count| count > level)?;
        let last = noisy.iter().rposition(|&count| count > level)?;
        Some((first, last))
    })
}

/// A range that holds most values, by their noisy histogram over the powers of two
/// ([`log_histogram`](crate::privacy::log_histogram)); both ends are 0 or powers of two. `None` when no cell
/// stands out of the noise.
pub fn noisy_bounds(noisy: &[f64], epsilon: f64) -> Option<(f64, f64)> {
    let (first, last) = occupied_cells(noisy, epsilon)?;
    Some((edges(first).0, edges(last).1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_specification() {
        let levels = CHANCES.map(|chance| (noise_level(128, chance, 1.0) * 1e4).round() / 1e4);
        assert_eq!(levels, [22.5717, 20.2691, 17.9665, 15.6640, 13.3613, 11.0583]);
    }

    #[test]
    fn ranges_are_those_of_the_specification() {
        let mut counts = [0; 128];
        counts[64..68].copy_from_slice(&[500, 300, 0, 200]);
        assert_eq!(noisy_bounds(&noisy(&counts, &[1.5; 128]), 1.0), Some((0.0, 8.0)));
        counts[64..68].copy_from_slice(&[3, 2, 0, 1]);
        assert_eq!(noisy_bounds(&noisy(&counts, &[1.5; 128]), 1.0), None);
    }
}
