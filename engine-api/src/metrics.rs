//! Metrics: scores of predicted classes and numbers against the truth.

use serde::Serialize;

/// Bins of the confidence by which calibration is measured.
const CALIBRATION_BINS: usize = 15;
/// The least probability that a truth is held to have had, so that a single row cannot make the loss infinite.
const LEAST: f64 = 1e-15;

/// Scores of probabilities of classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassScores {
    /// Share of the rows whose class is the most probable one.
    pub accuracy: f64,
    /// Area under the receiver operating characteristic: each class against all others, weighted by its rows; NaN with one class.
    pub auc: f64,
    /// Mean of the negative logarithm of the probability of the true class, in nats.
    pub log_loss: f64,
    /// Expected calibration error: mean distance of confidence and accuracy, over 15 bins of the confidence of the most probable class.
    pub calibration_error: f64,
}

/// Scores of predicted numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NumberScores {
    /// Root of the mean squared error of predicted means.
    pub rmse: f64,
    /// Mean absolute error of predicted medians.
    pub mae: f64,
}

impl ClassScores {
    /// Scores of probabilities `[rows, width]`, given the class of each row.
    pub(crate) fn of(probs: &[f64], width: usize, truth: &[usize]) -> Self {
        let rows = truth.len().max(1) as f64;
        let (mut right, mut loss) = (0.0, 0.0);
        let mut bins = [(0.0, 0.0); CALIBRATION_BINS];
        for (row, class) in probs.chunks_exact(width).zip(truth) {
            let best = (0..width)
                .max_by(|a, b| row[*a].total_cmp(&row[*b]).then(b.cmp(a)))
                .unwrap_or(0);
            let is_right = f64::from(u8::from(best == *class));
            right += is_right;
            loss -= row[*class].max(LEAST).ln();
            let bin = &mut bins[((row[best] * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1)];
            *bin = (bin.0 + is_right, bin.1 + row[best]);
        }
        Self {
            accuracy: right / rows,
            auc: auc(probs, width, truth),
            log_loss: loss / rows,
            calibration_error: bins.iter().map(|(right, sure)| (right - sure).abs()).sum::<f64>() / rows,
        }
    }
}

impl NumberScores {
    /// Scores of predicted means and medians.
    pub(crate) fn of(means: &[f64], medians: &[f64], truth: &[f64]) -> Self {
        let rows = truth.len().max(1) as f64;
        let squares = means.iter().zip(truth).map(|(p, t)| (p - t).powi(2)).sum::<f64>();
        let distances = medians.iter().zip(truth).map(|(p, t)| (p - t).abs()).sum::<f64>();
        Self {
            rmse: (squares / rows).sqrt(),
            mae: distances / rows,
        }
    }
}

fn auc(probs: &[f64], width: usize, truth: &[usize]) -> f64 {
    let (mut sum, mut rows) = (0.0, 0.0);
    for class in 0..width {
        let positives = truth.iter().filter(|t| **t == class).count();
        if positives == 0 || positives == truth.len() {
            continue;
        }
        let mut ranked: Vec<(f64, bool)> = probs
            .iter()
            .skip(class)
            .step_by(width)
            .zip(truth)
            .map(|(p, t)| (*p, *t == class))
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut before, mut ranks) = (0, 0.0);
        for ties in ranked.chunk_by(|a, b| a.0 == b.0) {
            // All of equal probability share the mean of their ranks.
            let rank = before as f64 + (ties.len() + 1) as f64 / 2.0;
            ranks += rank * ties.iter().filter(|(_, positive)| *positive).count() as f64;
            before += ties.len();
        }
        let (p, n) = (positives as f64, (truth.len() - positives) as f64);
        sum += p * (ranks - p * (p + 1.0) / 2.0) / (p * n);
        rows += p;
    }
    sum / rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_textbook() {
        let probs = [0.9, 0.1, 0.6, 0.4, 0.35, 0.65, 0.2, 0.8];
        let scores = ClassScores::of(&probs, 2, &[0, 1, 0, 1]);
        assert_eq!(scores.accuracy, 0.5);
        // Of the four pairs of a positive and a negative row three are in order.
        assert!((scores.auc - 0.75).abs() < 1e-12, "{scores:?}");
        let loss = -(0.9f64.ln() + 0.4f64.ln() + 0.35f64.ln() + 0.8f64.ln()) / 4.0;
        assert!((scores.log_loss - loss).abs() < 1e-12);
        // 0.6 and 0.65 share a bin and are both wrong; 0.9 and 0.8 are right.
        let error = (0.1 + 0.2 + 0.6 + 0.65) / 4.0;
        assert!((scores.calibration_error - error).abs() < 1e-12, "{scores:?}");
        let constant = ClassScores::of(&[0.5; 8], 2, &[0, 1, 0, 1]);
        assert_eq!(constant.auc, 0.5);
    }

    #[test]
    fn errors_of_numbers_are_those_of_means_and_medians() {
        let scores = NumberScores::of(&[1.0, 3.0], &[0.0, 4.0], &[1.0, 1.0]);
        assert_eq!((scores.rmse, scores.mae), (2.0f64.sqrt(), 2.0));
    }
}
