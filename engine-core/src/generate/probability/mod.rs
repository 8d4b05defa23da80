//! Probabilities: of the codes of some columns given others, of whole rows, and of the values behind codes.

mod chain;
mod enumerate;
mod joint;
mod log_prob;
mod options;
mod point;
mod values;

pub use chain::SparseDistribution;
pub use joint::{Joint, JointQuery};
pub use log_prob::{LogProbQuery, LogProbs};
pub use options::ProbabilityOptions;
pub use point::{Point, point_predictions};
pub use values::ValueQuery;

#[cfg(test)]
mod tests;
