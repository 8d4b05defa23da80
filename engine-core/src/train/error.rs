//! Why a training fails.

use thiserror::Error;

use super::checkpoint::SinkError;
use super::state::StateError;
use crate::argn::ModelError;
use crate::backend::BackendError;

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
    /// A table does not have the model's sub-columns.
    #[error(
        "the {table} table has {got} sub-columns, the model {expected}; encode the table with the model's statistics"
    )]
    SubColumns {
        /// `training` or `validation`.
        table: &'static str,
        /// Sub-columns of the model.
        expected: usize,
        /// Sub-columns of the table.
        got: usize,
    },
    /// A code lies outside its cardinality.
    #[error(
        "the {table} table holds code {code} in sub-column {sub_column}, whose cardinality is {cardinality}; encode the table \
         with the model's statistics"
    )]
    CodeOutOfRange {
        /// `training` or `validation`.
        table: &'static str,
        /// Name of the sub-column.
        sub_column: String,
        /// The code.
        code: u32,
        /// Number of codes.
        cardinality: usize,
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
    /// The model cannot be built as a program.
    #[error(transparent)]
    Model(#[from] ModelError),
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
