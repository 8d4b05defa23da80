//! The stages of a job, one by one over a workspace folder: [`split`], [`analyze`], [`encode`], [`train`],
//! [`generate`].
//!
//! Each stage reads what the one before it has written, and its own output folder appears by one rename. What
//! follows from an older output goes away with it: a split removes the encoded data, an analysis also the
//! model.

mod analyze;
mod code_detector;
mod codes;
mod encode;
mod explain;
mod generate;
mod parts;
mod protected_format;
mod split;
#[cfg(test)]
mod tests;
mod train;

pub use analyze::{analyze, analyze_explained, explain};
pub use encode::encode;
pub use explain::ColumnExplanation;
pub use generate::generate;
pub(crate) use parts::{SplitRecord, load_split};
pub use split::{SplitReport, split};
pub(crate) use split::{Statistics, split_for};
pub use train::train;
