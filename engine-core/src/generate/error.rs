//! Why rows cannot be generated.

use thiserror::Error;

use crate::argn::ModelError;
use crate::backend::BackendError;
use crate::encode::EncodeError;
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
    /// No rows are requested.
    #[error("{rows} rows cannot be generated; request at least one")]
    Rows {
        /// What was given.
        rows: i64,
    },
    /// A batch has no rows.
    #[error("a batch of {rows} rows is requested; give a number from 1 to {max}", max = u32::MAX)]
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
    /// A fixed-order model would have to leave out a column before others.
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
    /// A probability of no column, of one twice, or of one that does not exist.
    #[error("the targets of a probability must be columns of the model, at least one, and each once")]
    Targets,
    /// The codes of the targets have too many combinations.
    #[error(
        "{got} combinations of codes are requested, at most {max} are possible; request fewer targets or fewer rows at once"
    )]
    Combinations {
        /// Combinations requested.
        got: usize,
        /// The maximum.
        max: usize,
    },
    /// An option is below its minimum.
    #[error("{option} is {got}; give at least {min}")]
    TooFew {
        /// Name of the option.
        option: &'static str,
        /// What was given.
        got: usize,
        /// The minimum.
        min: usize,
    },
    /// A mean or a median of values that have none.
    #[error("column {column:?} holds texts, which have no {point}; use the mode")]
    NoSuchPoint {
        /// Name of the column.
        column: String,
        /// `mean` or `median`.
        point: &'static str,
    },
    /// A request for fairness does not suit the table.
    #[error("fairness: column {column:?} {reason}")]
    Fairness {
        /// The column at fault; empty when none is named.
        column: String,
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// Codes cannot be decoded.
    #[error(transparent)]
    Decode(#[from] EncodeError),
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
