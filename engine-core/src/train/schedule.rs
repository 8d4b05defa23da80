//! The learning rate: halved when the validation loss no longer falls.

use serde::{Deserialize, Serialize};

/// An epoch is better only when its loss is below `best * (1 - THRESHOLD)`.
const THRESHOLD: f64 = 1e-4;
/// So many epochs in a row may be no better before the rate falls.
const PATIENCE: u32 = 2;
const FACTOR: f64 = 0.5;
/// Share of the first rate below which the rate never falls.
const LOWEST: f64 = 0.1;
/// Smaller changes of the rate are not made.
const SMALLEST_CHANGE: f64 = 1e-8;

/// Reduce on plateau: at the third epoch in a row without improvement the learning rate is halved, down to a tenth of the
/// first one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    /// Learning rate at the start.
    pub first: f64,
    /// Learning rate of the next epoch.
    pub learning_rate: f64,
    /// Least validation loss so far, `None` before the first epoch.
    pub best: Option<f64>,
    /// Epochs in a row that were no better.
    pub bad_epochs: u32,
}

impl Plateau {
    /// Starts with the given learning rate.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            first: learning_rate,
            learning_rate,
            best: None,
            bad_epochs: 0,
        }
    }

    /// Takes the validation loss of an epoch; NaN is no improvement.
    pub fn observe(&mut self, val_loss: f64) {
        let better = self
            .best
            .map_or(!val_loss.is_nan(), |best| val_loss < best * (1.0 - THRESHOLD));
        if better {
            self.best = Some(val_loss);
            self.bad_epochs = 0;
            return;
        }
        self.bad_epochs += 1;
        if self.bad_epochs > PATIENCE {
            self.bad_epochs = 0;
            let lower = (self.learning_rate * FACTOR).max(self.first * LOWEST);
            if self.learning_rate - lower > SMALLEST_CHANGE {
                self.learning_rate = lower;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(losses: &[f64]) -> Vec<f64> {
        let mut plateau = Plateau::new(0.008);
        let observe = |loss: &f64| {
            plateau.observe(*loss);
            plateau.learning_rate
        };
        losses.iter().map(observe).collect()
    }

    #[test]
    fn the_rate_is_halved_at_the_third_bad_epoch_in_a_row() {
        assert_eq!(
            rates(&[5.0, 4.0, 4.0, 4.1, 4.2]),
            [0.008, 0.008, 0.008, 0.008, 0.004]
        );
        assert_eq!(rates(&[5.0, 5.0, 5.0, 4.0, 4.0, 4.0]), [0.008; 6]);
    }

    #[test]
    fn a_gain_below_a_ten_thousandth_is_none() {
        assert_eq!(
            rates(&[1.0, 0.99995, 0.99992, 0.99991]),
            [0.008, 0.008, 0.008, 0.004]
        );
        assert_eq!(rates(&[1.0, 0.99995, 0.99992, 0.9998]), [0.008; 4]);
    }

    #[test]
    fn the_rate_stays_above_a_tenth_of_the_first_one() {
        let rates = rates(&[1.0; 19]);
        assert_eq!(rates.last(), Some(&0.0008));
        assert_eq!(
            (rates[3], rates[6], rates[9], rates[12]),
            (0.004, 0.002, 0.001, 0.0008)
        );
    }

    #[test]
    fn nan_is_no_improvement() {
        assert_eq!(rates(&[f64::NAN, f64::NAN, f64::NAN])[2], 0.004);
    }
}
