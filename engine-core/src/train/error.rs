//! Why a training fails.

use thiserror::Error;

use super::checkpoint::SinkError;
use super::state::StateError;
use crate::backend::BackendError;
use crate::ir::{BuildError, GradError};

/// Why a training fails.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A table has no rows.
    #[error(
        "the {table} table has no rows; training needs at least one row to train on and one to validate on"
    )]
    NoRows {
        /// `training` or `validation`.
        table: &'static str,
    },
    /// A limit is no number or below zero.
    #[error("{name} is {value}; give a number of at least 0")]
    Limit {
        /// `max_epochs` or `max_minutes`.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// The parameters to start from are those of another model.
    #[error(
        "the model has {expected} parameters, {got} were given to start from; train again with state reset"
    )]
    ParameterCount {
        /// Parameters of the model.
        expected: usize,
        /// Parameters given.
        got: usize,
    },
    /// The state belongs to another training.
    #[error(transparent)]
    State(#[from] StateError),
    /// The validation loss or a parameter is not finite and no model was stored before.
    #[error(
        "after {steps} steps the loss is no longer a finite number, at a learning rate of {learning_rate}; no model was \
         stored, train again with a smaller batch size"
    )]
    Diverged {
        /// Optimiser steps so far.
        steps: u64,
        /// Learning rate.
        learning_rate: f64,
    },
    /// The programs read an epoch of another length.
    #[error(
        "the programs make {got} micro-batches an epoch, the training makes {expected}; build them for its plan"
    )]
    OtherPlan {
        /// Micro-batches of an epoch by the plan of the training.
        expected: u32,
        /// Micro-batches of an epoch by the programs.
        got: u32,
    },
    /// A program cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The loss has no gradient.
    #[error(transparent)]
    Gradient(#[from] GradError),
    /// The device fails.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A checkpoint cannot be stored.
    #[error("a checkpoint could not be stored: {source}")]
    Sink {
        /// What the sink says.
        source: SinkError,
    },
}
