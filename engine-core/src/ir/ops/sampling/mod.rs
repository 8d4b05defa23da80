//! Ancestral sampling: all sub-columns of a row, one after another, from folded tables.

mod fold_tables;
mod ordered_sample;
pub mod rules;

pub use fold_tables::{Contribution, FoldSource, FoldTables, FoldedDraw, FoldedModel};
pub use ordered_sample::{GIVEN_NOTHING, OrderedSample, SampleInputs};
pub use rules::{FixedProbability, SamplingRules};
