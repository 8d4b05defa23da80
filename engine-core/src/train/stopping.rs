//! When to stop: the validation loss has not fallen for a while.

use serde::{Deserialize, Serialize};

/// Training stops at this many epochs in a row without a new least validation loss.
const PATIENCE: u32 = 5;

/// Keeps the least validation loss and counts the epochs since.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct EarlyStopping {
    /// Least validation loss so far, that of the stored model; `None` before the first epoch.
    pub best: Option<f64>,
    /// Epochs in a row that were not strictly better.
    pub bad_epochs: u32,
}

impl EarlyStopping {
    /// Takes the validation loss of an epoch; says whether it is strictly the least so far. NaN never is.
    pub fn observe(&mut self, val_loss: f64) -> bool {
        let better = self.best.map_or(!val_loss.is_nan(), |best| val_loss < best);
        if better {
            *self = Self {
                best: Some(val_loss),
                bad_epochs: 0,
            };
        } else {
            self.bad_epochs += 1;
        }
        better
    }

    /// Whether it is time to stop.
    pub fn is_over(&self) -> bool {
        self.bad_epochs >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_bad_epoch_in_a_row_ends_the_training() {
        let mut stopping = EarlyStopping::default();
        assert!(stopping.observe(2.0));
        for _ in 0..4 {
            assert!(!stopping.observe(2.0));
            assert!(!stopping.is_over());
        }
        assert!(stopping.observe(1.999_999));
        for bad in 1..=5 {
            assert!(!stopping.observe(f64::NAN));
            assert_eq!(stopping.is_over(), bad == 5);
        }
        assert_eq!(stopping.best, Some(1.999_999));
    }
}
