//! Which categories may be shown when they are not public: those whose noisy count
//! reaches a threshold. Pure functions of counts and noise.

/// The least noisy count at which a category is shown. A category that only one row holds, so that a
/// neighbouring table lacks it, reaches it with probability at most `delta`: together with noise of
/// [`DiscreteLaplace`](super::DiscreteLaplace) in every count the release is (epsilon, delta)-differentially
/// private (Korolova, Kenthapadi, Mishra, Ntoulas: "Releasing search queries and clicks privately", WWW 2009;
/// Wilson et al.: "Differentially private SQL with bounded user contribution", PoPETs 2020). `None` when
/// `delta` is not between 0 and 1 or epsilon is not positive.
pub fn release_threshold(epsilon: f64, delta: f64) -> Option<u64> {
    if !(epsilon > 0.0 && delta > 0.0 && delta < 1.0) {
        return None;
    }
    // P(1 + noise >= t) = r^(t - 1) / (1 + r) with r = exp(-epsilon).
    let excess = -(delta.ln() + (-epsilon).exp().ln_1p()) / epsilon;
    Some(1 + excess.max(0.0).ceil() as u64)
}

/// The categories that are kept, by their place among the counts, and their share of all noisy counts (0 when
/// there are none). Noisy counts are cut to whole numbers of at least 0; those that reach `threshold` are
/// kept.
pub fn kept_categories(counts: &[u64], noise: &[f64], threshold: u64) -> (Vec<usize>, f64) {
    let noisy = counts
        .iter()
        .zip(noise)
        .map(|(&count, noise)| (count as f64 + noise).max(0.0).trunc());
    let noisy: Vec<f64> = noisy.collect();
    let is_kept = |&place: &usize| noisy[place] >= threshold as f64;
    let kept: Vec<usize> = (0..noisy.len()).filter(is_kept).collect();
    let (of_kept, total): (f64, f64) = (kept.iter().map(|&place| noisy[place]).sum(), noisy.iter().sum());
    (kept, if total > 0.0 { of_kept / total } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_row_passes_with_probability_delta_at_most() {
        for (epsilon, delta) in [(1.0, 1e-6), (0.1, 1e-5), (5.0, 1e-9), (0.01, 0.3), (2.0, 0.9)] {
            let ratio = f64::exp(-epsilon);
            let passes = |threshold: u64| ratio.powf(threshold as f64 - 1.0) / (1.0 + ratio);
            let threshold = release_threshold(epsilon, delta).unwrap();
            assert!(passes(threshold) <= delta * (1.0 + 1e-9), "{epsilon} {delta}");
            // And it is no larger than it must be.
            assert!(
                threshold == 1 || passes(threshold - 1) > delta,
                "{epsilon} {delta}"
            );
        }
        assert_eq!(release_threshold(1.0, 0.0), None);
        assert_eq!(release_threshold(0.0, 1e-6), None);
    }

    #[test]
    fn categories_are_kept_by_their_noisy_counts() {
        let (kept, share) = kept_categories(&[100, 3, 7], &[0.1027, 0.5628, 0.2301], 5);
        assert_eq!((kept, share), (vec![0, 2], 107.0 / 110.0));
        assert_eq!(kept_categories(&[], &[], 5), (vec![], 0.0));
        assert_eq!(kept_categories(&[9], &[-20.0], 1), (vec![], 0.0));
    }
}
