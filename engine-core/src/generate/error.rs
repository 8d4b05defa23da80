//! Why rows cannot be generated.

use thiserror::Error;

use crate::argn::ModelError;
use crate::backend::BackendError;
use crate::ir::FoldError;

/// Why rows cannot be generated.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The temperature is below 0 or no number.
    #[error(
        "the temperature is {temperature}; give a number of at least 0 (1 leaves the model's probabilities as they are)"
    )]
    Temperature {
        /// What was given.
        temperature: f64,
    },
    /// The share top-p is outside 0..=1.
    #[error("top-p is {top_p}; give a number from 0 to 1 (1 leaves the model's probabilities as they are)")]
    TopP {
        /// What was given.
        top_p: f64,
    },
    /// No rows are asked for.
    #[error("{rows} rows cannot be generated; ask for at least one")]
    Rows {
        /// What was given.
        rows: i64,
    },
    /// A batch has no rows.
    #[error("a batch of {rows} rows is asked for; give a number from 1 to {most}", most = u32::MAX)]
    BatchRows {
        /// What was given.
        rows: usize,
    },
    /// The order is not the one that the model has learnt.
    #[error(
        "the column order does not match that of the training: this model was trained with a fixed order; generate in the \
         trained order, or train again without a fixed order"
    )]
    ColumnOrder,
    /// A model of one order is asked to leave out a column before others.
    #[error(
        "row {row}: this model was trained with a fixed order of the columns and cannot leave out a column before column number \
         {column}; give the columns before it as well, marginalise those that are missing, or train again without a fixed order"
    )]
    Gap {
        /// Number of the row.
        row: usize,
        /// Index of the column.
        column: usize,
    },
    /// The parameters are those of another model.
    #[error("the model has {expected} parameters, {got} were given; the weights belong to another model")]
    ParameterCount {
        /// Parameters of the model.
        expected: usize,
        /// Parameters given.
        got: usize,
    },
    /// Given codes or random numbers do not fit the model.
    #[error("{what}: {expected} numbers are needed (rows times sub-columns), {got} were given")]
    ReplayLength {
        /// `given codes` or `uniform numbers`.
        what: &'static str,
        /// Numbers needed.
        expected: usize,
        /// Numbers given.
        got: usize,
    },
    /// The model cannot be built as a program.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The model cannot be rewritten for generation.
    #[error(transparent)]
    Fold(#[from] FoldError),
    /// The device fails.
    #[error(transparent)]
    Backend(#[from] BackendError),
}
