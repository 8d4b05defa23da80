//! Ancestral sampling: sub-columns of a row, one after another, from folded tables.

mod cell;
mod folded;
mod ordered_sample;
mod parity;
pub mod rules;

pub use cell::Cell;
pub use folded::{Contribution, FoldedModel, FoldedSubColumn};
pub use ordered_sample::{OrderedSample, RequestedOutputs, SampleInputs};
pub use parity::{Parity, Quantiles, interpolate};
pub use rules::{FixedProbability, SamplingRules};
