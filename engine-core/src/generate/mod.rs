//! Generation and inference: from trained parameters to rows, and to probabilities of values and of rows.
//!
//! The network is autoregressive: from the codes of any columns it gives the distribution of the next one. Everything that is asked of it
//! is ancestral sampling, or the same pass with codes that are already there. [`LoadedModel`] folds the first layers into lookup tables, which
//! makes a column a sum of table rows and one small product, and puts them on a device once; it is shared by all threads. A [`Plan`] says
//! which columns are sampled in which order, under which rules (temperature, top-p, fixed probabilities, parity) and which outputs are
//! requested; it is compiled at its first run and kept. [`Cells`] say of each row what is given: a code that is observed conditions
//! all other columns from the start, whatever the order. Where nothing is observed the plan samples unconditionally, so that plain
//! sampling, seed data, imputation, rebalancing and fairness share one path. [`JointQuery`], [`ValueQuery`] and [`LogProbQuery`] make
//! probabilities of it: by the chain rule over sub-columns, averaged over orders if asked for; a model of a fixed order, which cannot leave
//! out a column, is summed over what is missing, exactly or by Monte Carlo. [`calibrate_biases`] is the last step of a training.
//!
//! Random numbers are addressed by (seed, row, column), so a row does not depend on batches, threads or the other rows.
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
//!     let mut known = Cells::masked(rows.rows(), loaded.sub_columns());
//!     for column in others {
//!         known.observe(column.clone(), rows, 0, |_| true);
//!     }
//!     assert!(last.len() == 1);
//!     Ok(question.run(&loaded, &known)?.probs)
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
    Joint, JointQuery, LogProbQuery, LogProbs, Point, ProbabilityOptions, SparseDistribution, ValueQuery,
    point_predictions,
};
pub use replay::{Replay, ReplayInputs, replay};
pub use rules::{imputed_codes, merge_rules, rare_codes, rebalanced_codes, sampling_rules};
pub use shares::ExactQuotas;

#[cfg(test)]
mod tests;
