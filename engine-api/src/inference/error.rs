//! What can be wrong with a query.

use engine_core::remedy::{OptionKey, Remedy};
use thiserror::Error;

/// Why a query cannot be run. Rows count from 1.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InferenceError {
    /// No column of a table is one of the model.
    #[error("{table}: none of its columns is one of the model; the columns of the model are {known}")]
    NoModelColumn {
        /// The table.
        table: String,
        /// Columns of the model, shortened.
        known: String,
    },
    /// A column has another kind of type than the model has learnt.
    #[error(
        "{table}, column {column:?}: it holds {given}, the model has learnt {expected}; change its type, or leave it out"
    )]
    Type {
        /// The table.
        table: String,
        /// Name of the column.
        column: String,
        /// Its Arrow type.
        given: String,
        /// Type of the model's column.
        expected: String,
    },
    /// A value is none of the type that the model has learnt.
    #[error(
        "{table}, row {row}, column {column:?}: {value:?} of the type {given} is no value of the type {expected}, which the model has \
         learnt; correct or empty it"
    )]
    Value {
        /// The table.
        table: String,
        /// Number of the row.
        row: u64,
        /// Name of the column.
        column: String,
        /// The value, shortened.
        value: String,
        /// Arrow type of the column that it stands in.
        given: String,
        /// Type of the model's column.
        expected: String,
    },
    /// Columns are needed that a table lacks.
    #[error("{table}: there is no column {columns}; {why}")]
    Missing {
        /// The table.
        table: String,
        /// The columns, shortened.
        columns: String,
        /// What they are needed for, and what to do.
        why: &'static str,
        /// Whether rows without them are accepted where leniency is requested.
        may_be_missing: bool,
    },
    /// No target is named.
    #[error("no target is named; name a target column")]
    NoTarget,
    /// A target is named twice.
    #[error("the target {column:?} is named twice; name it once")]
    TargetTwice {
        /// Name of the column.
        column: String,
    },
    /// A target cannot be used in this way.
    #[error("column {column:?} {reason}")]
    Target {
        /// Name of the column.
        column: String,
        /// What is the matter with it, and what to do.
        reason: &'static str,
    },
    /// Rebalancing does not suit the model.
    #[error("rebalancing: column {column:?} {reason}")]
    Rebalance {
        /// Name of the column.
        column: String,
        /// What is wrong, and what to do.
        reason: &'static str,
    },
    /// A value to be rebalanced is unknown.
    #[error("rebalancing: column {column:?} has no value {value:?}; its values are {known}")]
    RebalanceValue {
        /// Name of the column.
        column: String,
        /// The value, shortened.
        value: String,
        /// Values of the column, shortened.
        known: String,
    },
    /// A share of rebalancing is no probability, or the shares sum to more than one.
    #[error("rebalancing: {what} of column {column:?} is {share}; give {allowed}")]
    RebalanceShare {
        /// Name of the column.
        column: String,
        /// `a probability` or `the sum of the probabilities`.
        what: &'static str,
        /// What was given.
        share: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two options exclude each other.
    #[error("{first} and {second} exclude each other: {reason}")]
    Conflict {
        /// An option.
        first: &'static str,
        /// Another.
        second: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// A model of one column order cannot do this.
    #[error(
        "the column order does not match that of the training: this model was trained with a fixed order and cannot {what}"
    )]
    FixedOrder {
        /// What was requested.
        what: &'static str,
    },
    /// An option is below its least value.
    #[error("{option} is {got}; give at least 1")]
    TooFew {
        /// Name of the option.
        option: &'static str,
        /// What was given.
        got: usize,
    },
    /// An aggregate does not suit a column.
    #[error(
        "column {column:?} holds no numbers or dates and has no {aggregate}; use the mode, or leave the column out"
    )]
    Aggregate {
        /// Name of the column.
        column: String,
        /// `mean` or `median`.
        aggregate: &'static str,
    },
    /// A test has no row to measure with.
    #[error(
        "{table}: no row of it holds a value in column {column:?}; give a table with known values of the target"
    )]
    NoTruth {
        /// The table.
        table: String,
        /// Name of the column.
        column: String,
    },
}

impl InferenceError {
    /// What a user can do about it, beside what the text says.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::FixedOrder { .. } => vec![Remedy::TrainWithout(OptionKey::FixedOrder)],
            Self::Missing {
                may_be_missing: true, ..
            } => vec![Remedy::set(OptionKey::Lenient)],
            _ => Vec::new(),
        }
    }
}
