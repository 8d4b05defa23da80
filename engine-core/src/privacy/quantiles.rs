//! Quantiles by the exponential mechanism (Smith: "Privacy-preserving statistical estimation with optimal convergence
//! rates", STOC 2011): a pure function of values and random numbers. The weights are kept as logarithms, so that they
//! never all vanish.

/// The random numbers of one quantile, both in [0, 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileDraw {
    /// Chooses between which two values it lies.
    pub choice: f64,
    /// Where between them it lies.
    pub position: f64,
}

/// The `rate` at which one quantile costs `epsilon`. One row more or less moves its rank by at most `max(q, 1 - q)`, in the
/// weights as in their sum.
pub fn quantile_rate(q: f64, epsilon: f64) -> f64 {
    epsilon / (2.0 * q.max(1.0 - q))
}

/// The values with both ends of the range around them; values beyond the ends are moved to them.
fn edges(values: &[f64], (low, high): (f64, f64)) -> Vec<f64> {
    let mut edges: Vec<f64> = values
        .iter()
        .map(|v| v.clamp(low, high))
        .chain([low, high])
        .collect();
    edges.sort_unstable_by(f64::total_cmp);
    edges
}

/// Between which two edges a quantile lies: the interval after `i` values has a weight proportional to its width times
/// `exp(-rate |i - q n|)`. The probability of the interval is returned beside it.
fn choose(edges: &[f64], q: f64, rate: f64, choice: f64) -> (usize, f64) {
    let values = edges.len() - 2;
    let weight =
        |(i, ends): (usize, &[f64])| (ends[1] - ends[0]).ln() - rate * (i as f64 - q * values as f64).abs();
    let logs: Vec<f64> = edges.windows(2).enumerate().map(weight).collect();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - largest).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut passed = 0.0;
    let chosen = weights.iter().position(|weight| {
        passed += weight;
        passed / total > choice
    });
    // Rounding may leave the last sum below one.
    let last = || weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0);
    let chosen = chosen.unwrap_or_else(last);
    (chosen, weights[chosen] / total)
}

/// Quantiles of values within a range that is known already (from [`noisy_bounds`](super::noisy_bounds), say): each is drawn at
/// its rate, then they are sorted, so that a greater `q` never has a smaller value. `ranges` holds q and rate of each quantile.
/// The range must have a width.
///
/// The result has floating-point bits that depend on the values: only what a grid leaves of it that does not, whole numbers for
/// instance, may be shown.
pub fn private_quantiles(
    values: &[f64],
    bounds: (f64, f64),
    wanted: &[(f64, f64)],
    draws: &[QuantileDraw],
) -> Vec<f64> {
    let edges = edges(values, bounds);
    let quantile = |(&(q, rate), draw): (&(f64, f64), &QuantileDraw)| {
        let (chosen, _) = choose(&edges, q, rate, draw.choice);
        edges[chosen] + draw.position * (edges[chosen + 1] - edges[chosen])
    };
    let mut rising: Vec<f64> = wanted.iter().zip(draws).map(quantile).collect();
    rising.sort_unstable_by(f64::total_cmp);
    let mut order: Vec<usize> = (0..rising.len()).collect();
    order.sort_by(|&a, &b| wanted[a].0.total_cmp(&wanted[b].0));
    let mut result = vec![0.0; rising.len()];
    order
        .into_iter()
        .zip(rising)
        .for_each(|(place, value)| result[place] = value);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_never_vanish() {
        // Far from the wanted rank every weight is below the smallest float.
        let ties = vec![5.0; 100_000];
        let edges = edges(&ties, (0.0, 8.0));
        let (chosen, probability) = choose(&edges, 0.1, 1.0, 0.5);
        assert_eq!(chosen, 0, "the nearer of the two intervals that have a width");
        assert!(probability > 1.0 - 1e-9);
    }

    #[test]
    fn quantiles_rise_whatever_is_drawn() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let draw = |choice| QuantileDraw {
            choice,
            position: 0.5,
        };
        let wanted = [(0.9, 0.01), (0.1, 0.01)];
        let result = private_quantiles(&values, (0.0, 128.0), &wanted, &[draw(0.1), draw(0.99)]);
        assert!(result[0] > result[1], "{result:?}");
    }

    #[test]
    fn the_rate_halves_epsilon_over_the_sensitivity() {
        assert_eq!(quantile_rate(0.5, 1.0), 1.0);
        assert_eq!(quantile_rate(1.0, 1.0), 0.5);
        assert_eq!(quantile_rate(0.0, 1.0), 0.5);
    }
}
