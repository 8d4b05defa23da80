//! Training: from a table of codes to the parameters with the least validation loss. The model supplies its losses as programs and the data
//! that they read ([`TrainPrograms`], [`TrainData`]). This module appends the backward pass and AdamW, chooses batch size and learning rate
//! ([`TrainPlan`]), uploads data and parameters once, and runs many optimiser steps per call of the device. After each epoch it validates,
//! lowers the learning rate on a plateau ([`Plateau`]), stops when the validation loss no longer falls ([`EarlyStopping`]), and hands a
//! checkpoint to the caller ([`CheckpointSink`]), who stores it: nothing here knows a kind of model, a device or the disk. The state of a
//! checkpoint ([`TrainState`]) has everything that decides about the next step, so a training that is killed at any moment and resumed ends
//! with the same parameters, bit for bit, as one that was never interrupted.

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
pub use heuristics::{TableSize, TrainPlan, codes_per_sample};
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
