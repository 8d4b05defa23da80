//! TabularARGN (Tiwald et al. 2025, "TabularARGN: A flexible and efficient auto-regressive framework for generating high-fidelity
//! synthetic data", arXiv 2501.12012): sizes of the layers and the flat model as programs.

mod flat;
mod initialise;
mod sizes;

pub use flat::{DROPOUT_RATE, FlatModel, ModelError, Objective};
pub use initialise::{empirical_biases, initialise};
pub use sizes::{ModelSize, ModelUnits, SizeError, Units};
