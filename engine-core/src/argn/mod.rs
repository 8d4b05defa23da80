//! TabularARGN (Tiwald et al. 2025, "TabularARGN: A flexible and efficient auto-regressive framework for generating high-fidelity
//! synthetic data", arXiv 2501.12012): sizes of the layers and the models as programs.
//!
//! [`Model`] is what the rest of the engine knows of a model; each kind ([`ModelKind`]) is a folder here.

mod biases;
mod data;
mod flat;
mod model;
pub(crate) mod names;
mod sizes;

pub use biases::empirical_biases;
pub use flat::{DROPOUT_RATE, FlatModel};
pub use model::{Model, ModelError, ModelKind, ModelParts};
pub use sizes::{ModelSize, ModelUnits, SizeError, Units};
