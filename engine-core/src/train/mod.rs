//! Training: from a table of codes to the parameters with the least validation loss.
//!
//! The loop knows no model, no device and no disk. A model supplies its losses as programs with a layout of parameters and the data
//! that they read ([`TrainPrograms`], [`TrainData`]); training differentiates them and adds the optimiser. Programs run behind
//! [`crate::backend::Backend`], and whoever calls stores checkpoints behind [`CheckpointSink`]. A run that is killed at any instant and resumed from its last [`TrainState`] ends with the same
//! parameters, bit for bit, as one that was never killed.

mod background;
mod checkpoint;
mod device;
mod error;
mod heuristics;
mod optimizer;
mod programs;
mod progress;
mod schedule;
mod session;
mod state;
mod stopping;
mod training;

pub use background::BackgroundSink;
pub use checkpoint::{CheckpointSink, SinkError};
pub use error::TrainError;
pub use heuristics::{Plan, TableSize, data_points};
pub use programs::{TrainData, TrainPrograms};
pub use progress::{Progress, ProgressMessage, to_csv};
pub use schedule::Plateau;
pub use state::{Counters, StateError, StopReason, TENSOR_NAMES, TrainState};
pub use stopping::EarlyStopping;
pub use training::{Start, TrainOptions, TrainReport, Training};

#[cfg(test)]
mod gradient_tests;
#[cfg(test)]
mod tests;
