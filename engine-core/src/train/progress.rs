//! What a training reports while it runs: messages for the workspace and events for the progress callback.

use serde::{Deserialize, Serialize};

/// A row of `progress-messages.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgressMessage {
    /// Optimiser steps divided by those of an epoch, two decimals.
    pub epoch: f64,
    /// 1 when the model of this moment was stored, else 0.
    pub is_checkpoint: u8,
    /// Optimiser steps so far.
    pub steps: u64,
    /// Rows seen so far.
    pub samples: u64,
    /// Mean training loss of a row in nats, dropout on, four decimals.
    pub trn_loss: Option<f64>,
    /// Mean validation loss of a row in nats, four decimals.
    pub val_loss: Option<f64>,
    /// Seconds of training so far, one decimal.
    pub total_time: f64,
    /// Learning rate of the epoch, six decimals.
    pub learn_rate: f64,
    /// Privacy budget spent, two decimals; `None` without differential privacy.
    #[serde(default)]
    pub dp_eps: Option<f64>,
    /// Probability that belongs to the budget, eight decimals; `None` without differential privacy.
    #[serde(default)]
    pub dp_delta: Option<f64>,
}

/// Rounds to a number of decimals; what is not finite becomes `None`.
pub(super) fn rounded(value: f64, decimals: i32) -> Option<f64> {
    let scale = 10f64.powi(decimals);
    value
        .is_finite()
        .then(|| (value * scale).round_ties_even() / scale)
}

/// The names of a message's fields with their values as text; absent ones are `None`.
fn fields(message: &ProgressMessage) -> [(&'static str, Option<String>); 10] {
    let number = |value: f64| Some(format!("{value:?}"));
    [
        ("epoch", number(message.epoch)),
        ("is_checkpoint", Some(message.is_checkpoint.to_string())),
        ("steps", Some(message.steps.to_string())),
        ("samples", Some(message.samples.to_string())),
        ("trn_loss", message.trn_loss.and_then(number)),
        ("val_loss", message.val_loss.and_then(number)),
        ("total_time", number(message.total_time)),
        ("learn_rate", number(message.learn_rate)),
        ("dp_eps", message.dp_eps.and_then(number)),
        ("dp_delta", message.dp_delta.and_then(number)),
    ]
}

/// The text of `progress-messages.csv`. As in the peer's file, columns are in the order in which they first have a value,
/// and columns without any value are left out.
pub fn to_csv(messages: &[ProgressMessage]) -> String {
    let mut names: Vec<&str> = Vec::new();
    let rows: Vec<_> = messages.iter().map(fields).collect();
    for (name, value) in rows.iter().flatten() {
        if value.is_some() && !names.contains(name) {
            names.push(name);
        }
    }
    let mut text = names.join(",") + "\n";
    for row in &rows {
        let cell = |name: &&str| {
            let field = row.iter().find(|(n, _)| n == name);
            field.and_then(|(_, value)| value.clone()).unwrap_or_default()
        };
        let cells: Vec<String> = names.iter().map(cell).collect();
        text += &(cells.join(",") + "\n");
    }
    text
}

/// An event: how far a training is. It comes at the start, after every few steps, and at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress<'a> {
    /// Optimiser steps so far.
    pub steps: u64,
    /// Optimiser steps if neither time nor early stopping ends the training before.
    pub total_steps: u64,
    /// Optimiser steps divided by those of an epoch.
    pub epoch: f64,
    /// Rows seen so far.
    pub samples: u64,
    /// Seconds of training so far, those before a resumption included.
    pub seconds: f64,
    /// Seconds after which the training ends in any case.
    pub max_seconds: f64,
    /// Mean training loss of a row over the last steps, `None` before the first one.
    pub loss: Option<f64>,
    /// Least validation loss so far.
    pub best_val_loss: Option<f64>,
    /// The message that was just added, if any.
    pub message: Option<&'a ProgressMessage>,
    /// Whether this is the last event.
    pub is_last: bool,
}

impl Progress<'_> {
    /// Share of the training that is done, in 0..=1: of the steps or of the time, whichever is further.
    pub fn share(&self) -> f64 {
        if self.is_last {
            return 1.0;
        }
        let of_steps = self.steps as f64 / self.total_steps.max(1) as f64;
        let of_time = if self.max_seconds > 0.0 {
            self.seconds / self.max_seconds
        } else {
            0.0
        };
        of_steps.max(of_time).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_the_file_stand_in_the_order_of_their_first_value() {
        let first = ProgressMessage {
            epoch: 0.02,
            is_checkpoint: 0,
            steps: 1,
            samples: 512,
            trn_loss: Some(26.9421),
            val_loss: None,
            total_time: 0.1,
            learn_rate: 0.004,
            dp_eps: None,
            dp_delta: None,
        };
        let second = ProgressMessage {
            epoch: 1.0,
            is_checkpoint: 1,
            val_loss: Some(22.5),
            ..first.clone()
        };
        assert_eq!(
            to_csv(&[first, second]),
            "epoch,is_checkpoint,steps,samples,trn_loss,total_time,learn_rate,val_loss\n\
             0.02,0,1,512,26.9421,0.1,0.004,\n\
             1.0,1,1,512,26.9421,0.1,0.004,22.5\n"
        );
    }

    #[test]
    fn numbers_are_rounded() {
        assert_eq!(rounded(1.23456, 4), Some(1.2346));
        assert_eq!(rounded(0.02, 2), Some(0.02));
        assert_eq!(rounded(f64::NAN, 2), None);
    }
}
