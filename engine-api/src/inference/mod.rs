//! Inference: queries to a trained model.
//!
//! [`model`] holds a model on a device, loaded once and shared by all threads, with the queries that were prepared. Each kind of query
//! has a file of its own: [`sample`] draws rows, [`impute`] fills in missing cells, [`predict`] gives one value, [`proba`] and
//! [`log_prob`] give probabilities, [`evaluate`] says how good the predictions are. [`conditioning`] turns the rows that are given into cells
//! of the model, [`decoded`] turns codes back into columns; [`files`] runs queries over whole tables, batch by batch.

mod aggregate;
mod conditioning;
mod decoded;
mod error;
pub(crate) mod evaluate;
pub(crate) mod files;
mod fitted;
pub(crate) mod impute;
pub(crate) mod log_prob;
mod model;
pub(crate) mod predict;
pub(crate) mod proba;
mod proba_table;
pub(crate) mod sample;
#[cfg(test)]
mod tests;
mod unknown;

use engine_core::generate::GenerateError;

pub use aggregate::Aggregate;
pub(crate) use conditioning::TableOrigin;
pub use error::InferenceError;
pub use evaluate::{ColumnLikelihood, Compared, EvaluateOptions, Evaluation};
pub use impute::ImputeOptions;
pub use log_prob::{LogProbOptions, RowLogProbs};
pub(crate) use model::InferenceModel;
pub use predict::{PredictOptions, Predictor};
pub use proba::ProbaOptions;
pub use proba_table::{ProbaTable, Target};
pub use sample::{ColumnOrder, Parity, Rebalance, SampleBatches, SampleOptions, SampleOptionsBuilder};

use crate::EngineError;

/// Errors of a fixed-order model, with the request.
pub(crate) fn fixed_order(error: GenerateError, what: &'static str) -> EngineError {
    match error {
        GenerateError::Gap { .. } | GenerateError::ColumnOrder => InferenceError::FixedOrder { what }.into(),
        other => other.into(),
    }
}
