//! Generation and inference: from trained parameters to rows, and to probabilities of values and of rows. The network is autoregressive:
//! from the codes of any columns it gives the distribution of the next one. So rows are sampled column by column (ancestral sampling), and
//! probabilities come from the same pass with codes that are given. [`LoadedModel`] folds the first layers into lookup tables, which makes
//! the next column a sum of table rows and one small product, uploads them once, and is shared by all threads. A [`SamplePlan`] says which
//! columns are sampled in which order, by which rules (temperature, top-p, fixed probabilities, parity), and which outputs are requested;
//! it is compiled at its first run and kept. [`Cells`] say for each row which codes are observed: they condition all other columns from
//! the start, whatever the order. Without observed cells a plan samples unconditionally; plain sampling, seed data, imputation,
//! rebalancing and statistical parity share this one path.
//!
//! [`JointQuery`], [`ValueQuery`] and [`LogProbQuery`] compute probabilities by the chain rule over sub-columns, averaged over column
//! orders if requested. A fixed-order model cannot leave out a column, so they sum over the columns that are missing, exactly or by Monte
//! Carlo. [`calibrate_biases`] is the last step of a training: it moves biases until marginals of generated rows are those of the table.
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
//!     // Prepared once; later runs need no compilation.
//!     let query = JointQuery::new(&loaded, &[others.len()], &ProbabilityOptions::default())?;
//!     let mut observed = Cells::masked(rows.rows(), loaded.sub_columns());
//!     for column in others {
//!         observed.observe(column.clone(), rows, 0, |_| true);
//!     }
//!     assert!(last.len() == 1);
//!     Ok(query.run(&loaded, &observed)?.probs)
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
pub use plan::{DrawSite, Drawn, SamplePlan};
pub use probability::{
    Joint, JointQuery, LogProbQuery, LogProbs, Point, ProbabilityOptions, SparseDistribution, ValueQuery,
    point_predictions,
};
pub use replay::{Replay, ReplayInputs, replay};
pub use rules::{imputed_codes, merge_rules, rare_codes, rebalanced_codes, sampling_rules};
pub use shares::ExactQuotas;

#[cfg(test)]
mod tests;
