//! The models: TabularARGN (Tiwald et al. 2025, "TabularARGN: A flexible and efficient auto-regressive framework for generating high-fidelity
//! synthetic data", arXiv 2501.12012). Each sub-column has an embedding, a regressor that sees the columns before it in the order of the
//! batch, and a predictor that gives the logits of its codes; training in random orders makes one network serve every conditional
//! distribution. A [`Model`] holds no weights: it is the layout of its parameters, its losses and its forward pass as programs, and the layers
//! that generation folds. Training, generation and the model store use that trait only, so each kind of model ([`ModelKind`]) is a folder
//! here. [`ModelUnits`] has the widths of the layers, by the heuristics of mostlyai-engine for the three [`ModelSize`]s.

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
