//! Ancestral sampling: sub-columns of a row, one after another, from folded tables.

mod cell;
mod fold_tables;
mod ordered_sample;
mod parity;
pub mod rules;

pub use cell::Cell;
pub use fold_tables::{Contribution, FoldSource, FoldTables, FoldedModel, FoldedSubColumn};
pub use ordered_sample::{OrderedSample, Reports, SampleInputs};
pub use parity::{Knots, Parity, interpolate};
pub use rules::{FixedProbability, SamplingRules};
