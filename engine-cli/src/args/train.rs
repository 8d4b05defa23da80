//! Flags of training.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};

use super::values::{batch_size, epochs, minutes};

/// How the model is trained.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct TrainArgs {
    /// Size of the model: larger ones learn more and take longer [default: medium]
    #[arg(long, value_enum, value_name = "SIZE", hide_possible_values = false)]
    pub(crate) model: Option<Model>,
    /// Train for at most so many passes over the table, in all; fractions are allowed [default: 100]
    #[arg(long, value_name = "E", value_parser = epochs, allow_negative_numbers = true)]
    pub(crate) max_epochs: Option<f64>,
    /// Train for at most so many minutes; fractions are allowed [default: 14400]
    #[arg(long, value_name = "M", value_parser = minutes, allow_negative_numbers = true)]
    pub(crate) max_minutes: Option<f64>,
    /// Rows of a training step [default: chosen by the size of the table]
    #[arg(long, value_name = "B", value_parser = batch_size, allow_negative_numbers = true)]
    pub(crate) batch_size: Option<NonZeroUsize>,
    /// Learn the columns in their own order only: a little faster, but rows can be drawn in no other order
    #[arg(long)]
    pub(crate) fixed_order: bool,
    /// Leave out the last step, which moves biases until values are predicted as often as they occur
    #[arg(long)]
    pub(crate) no_calibration: bool,
}

/// What happens to a model that is already there.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct StateArgs {
    /// A model that is there: train anew, go on from its weights, or go on where its training stopped
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) state: Option<State>,
}

/// Sizes of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Model {
    Small,
    Medium,
    Large,
}

/// What happens to a model that is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Start over
    Reset,
    /// Keep the weights, start the training over
    Reuse,
    /// Go on with an unfinished training as if it had never stopped
    Resume,
}
