//! Generation and its questions: from parameters to tables of codes and to probabilities.
//!
//! One plan drives all of them. [`LoadedModel`] folds a model once; a [`Plan`] says which columns are drawn in which order, by which
//! rules, and what is told of it; [`Cells`] say what is known of each row, each in its own pattern. [`Generator`] streams rows,
//! [`JointQuery`], [`ValueQuery`] and [`LogProbQuery`] answer with probabilities.

mod batching;
mod cells;
mod error;
mod fairness;
mod generator;
mod labels;
mod loaded;
mod order;
mod plan;
mod probability;
mod replay;
mod rules;
mod shares;

pub use batching::{BatchDevice, batch_heuristic, batch_sizes};
pub use cells::Cells;
pub use error::GenerateError;
pub use fairness::{Fairness, estimate_parity};
pub use generator::{Chunks, GenerateOptions, Generator};
pub use labels::{Level, levels};
pub use loaded::LoadedModel;
pub use order::{GenerationOrder, OrderRequest};
pub use plan::{DrawSite, Drawn, Plan};
pub use probability::{
    Atoms, Joint, JointQuery, LogProbQuery, LogProbs, Point, ProbabilityOptions, ValueQuery,
    point_predictions,
};
pub use replay::{Replay, ReplayInputs, replay};
pub use rules::{imputed_codes, merge_rules, rare_codes, rebalanced_codes};
pub use shares::ExactShares;

#[cfg(test)]
mod tests;
