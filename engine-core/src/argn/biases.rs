//! Initial biases of the predictors.

use std::sync::Arc;

/// Initial biases of the predictors: the logarithms of the smoothed shares of the codes
/// ([`crate::encode::empirical_probabilities`]), so that an untrained model starts near the marginal distribution.
pub fn empirical_biases(probabilities: &[Vec<f64>]) -> Vec<Arc<[f32]>> {
    probabilities
        .iter()
        .map(|probs| probs.iter().map(|p| p.ln() as f32).collect())
        .collect()
}
