//! Differential privacy as a transform of programs.

mod clip;

pub use clip::clip;
