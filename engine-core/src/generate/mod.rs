//! Generation and its questions: from parameters to tables of codes and to probabilities.
//!
//! One plan drives all of them. [`LoadedModel`] folds a model once; a [`Plan`] says which columns are drawn in which order, by which
//! rules, and what is told of it; [`Cells`] say what is known of each row, each in its own pattern. [`Generator`] streams rows,
//! [`JointQuery`], [`ValueQuery`] and [`LogProbQuery`] answer with probabilities.
//!
//! ```no_run
//! use std::sync::Arc;
//! use engine_core::argn::Model;
//! use engine_core::backend::Backend;
//! use engine_core::generate::{Cells, GenerateError, JointQuery, LoadedModel, ProbabilityOptions};
//! use engine_core::schema::CodeTable;
//!
//! /// Probabilities of the last column's codes given all others, `[rows, codes]`.
//! fn last_column(
//!     backend: Arc<dyn Backend>,
//!     model: &dyn Model,
//!     params: &[f32],
//!     rows: &CodeTable,
//! ) -> Result<Vec<f64>, GenerateError> {
//!     let loaded = LoadedModel::new(backend, model, params)?;
//!     let (last, others) = loaded.columns().split_last().expect("a column");
//!     // Prepared once; later questions need no compilation.
//!     let question = JointQuery::new(&loaded, &[others.len()], &ProbabilityOptions::default())?;
//!     let mut known = Cells::hidden(rows.rows(), loaded.sub_columns());
//!     for column in others {
//!         known.know(column.clone(), rows, 0, |_| true);
//!     }
//!     assert!(last.len() == 1);
//!     Ok(question.ask(&loaded, &known)?.probs)
//! }
//! ```

mod batching;
mod calibration;
mod cells;
mod error;
mod fairness;
mod labels;
mod loaded;
mod order;
mod plan;
mod probability;
mod replay;
mod rules;
mod shares;
mod workers;

pub use batching::{BatchDevice, batch_heuristic, batch_sizes, check_rows};
pub use calibration::calibrate_biases;
pub use cells::Cells;
pub use error::GenerateError;
pub use fairness::{Fairness, estimate_parity};
pub use labels::{Level, levels};
pub use loaded::LoadedModel;
pub use order::{GenerationOrder, OrderRequest};
pub use plan::{DrawSite, Drawn, Plan};
pub use probability::{
    Atoms, Joint, JointQuery, LogProbQuery, LogProbs, Point, ProbabilityOptions, ValueQuery,
    point_predictions,
};
pub use replay::{Replay, ReplayInputs, replay};
pub use rules::{imputed_codes, merge_rules, rare_codes, rebalanced_codes, sampling_rules};
pub use shares::ExactShares;

#[cfg(test)]
mod tests;
