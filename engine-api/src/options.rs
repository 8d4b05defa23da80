//! Options of the jobs.

use std::fmt;
use std::str::FromStr;

use engine_core::argn::ModelSize;
use engine_core::encode::{Compat, EncodingTypes, Protection, StatsBudget};

use crate::{Device, EngineError};

/// How a table is split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitOptions {
    /// Seed of the assignment; without one it is drawn. It becomes the seed of the workspace.
    pub seed: Option<u64>,
    /// Encodings by column. These columns come first in the model, in this order; all others get the encoding
    /// of their type and follow in table order. Output always has the table's order.
    pub encodings: EncodingTypes,
    /// Share of the rows to train on, between 0 and 1 (both excluded). At least one row is left for either
    /// purpose.
    pub training_share: f64,
    /// Number of files for either purpose, at least 1.
    pub partitions: usize,
    /// Replaces a model that is there: it cannot be sampled any more. Otherwise one is an error.
    pub force: bool,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self {
            seed: None,
            encodings: EncodingTypes::default(),
            training_share: 0.8,
            partitions: 1,
            force: false,
        }
    }
}

/// How a table is analyzed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnalyzeOptions {
    /// Seed of the thresholds of value protection; without one it is that of the workspace.
    pub seed: Option<u64>,
    /// Whether rare values and extremes are kept out of the statistics; on by default.
    pub protection: Protection,
    /// Whose rules hold where ours are stricter than those of mostlyai-engine; ours by default.
    pub compat: Compat,
    /// Makes the statistics differentially private within this budget, instead of protecting rare values.
    /// They then follow from no seed.
    pub stats_budget: Option<StatsBudget>,
    /// Replaces a model that is there, for it goes with the statistics that it was trained on. Otherwise one is an error.
    pub force: bool,
}

/// How a table is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Seed of the order of rows and of the null fill; without one it is that of the
    /// workspace.
    pub seed: Option<u64>,
}

/// What a training does with a model that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ModelState {
    /// Starts afresh and replaces it.
    #[default]
    Reset,
    /// Starts from its weights, everything else is fresh. Without a model it starts afresh.
    Reuse,
    /// Continues where the training was, with its seed and batch size. Without a checkpoint it starts afresh
    /// with the seed of the workspace; a finished training stays as it is.
    Resume,
}

impl ModelState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Reset, Self::Reuse, Self::Resume];

    /// Its name: `reset`, `reuse` or `resume`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Reuse => "reuse",
            Self::Resume => "resume",
        }
    }
}

impl fmt::Display for ModelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ModelState {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self, EngineError> {
        Self::ALL
            .into_iter()
            .find(|state| name.eq_ignore_ascii_case(state.name()))
            .ok_or_else(|| EngineError::OutOfRange {
                name: "the state",
                value: name.to_owned(),
                allowed: "reset, reuse or resume",
            })
    }
}

/// How a model is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Seed of initial weights, batches and dropout; without one it is that of the workspace. Counts only for a
    /// fresh start.
    pub seed: Option<u64>,
    /// Size of a new model.
    pub model: ModelSize,
    /// Epochs at most, at least 0, those before a resumption included. At 0 the initial weights are stored.
    pub max_epochs: f64,
    /// Minutes at most, at least 0, those before a resumption included.
    pub max_minutes: f64,
    /// Rows of a batch; without it a number that follows from the table and the model.
    pub batch_size: Option<usize>,
    /// Batches that are accumulated into one step; 1 without it.
    pub micro_batches: Option<usize>,
    /// Whether the model learns the order of its columns only, instead of any order.
    pub fixed_order: bool,
    /// Whether the biases of the predictors are calibrated at the end, so that generated rows have the marginals of the table.
    pub calibrate: bool,
    /// What happens to a model that is there already.
    pub state: ModelState,
    /// Replaces a finished model where the training starts afresh. Otherwise one is an error.
    pub force: bool,
    /// Where it runs.
    pub device: Device,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            seed: None,
            model: ModelSize::default(),
            max_epochs: 100.0,
            max_minutes: 14_400.0,
            batch_size: None,
            micro_batches: None,
            fixed_order: false,
            calibrate: true,
            state: ModelState::default(),
            force: false,
            device: Device::default(),
        }
    }
}

/// Options of a whole fit: split, analyze, encode and train in one go.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FitOptions {
    /// How the table is split. Its seed is that of all stages.
    pub split: SplitOptions,
    /// Whether rare values and extremes are kept out of the statistics; on by default.
    pub protection: Protection,
    /// Whose rules hold where ours are stricter than those of mostlyai-engine; ours by default.
    pub compat: Compat,
    /// Makes the statistics differentially private within this budget, instead of protecting rare values.
    pub stats_budget: Option<StatsBudget>,
    /// How the model is trained. Seed and state are taken from the fields beside it.
    pub train: TrainOptions,
    /// What happens to what is there already. Without it an unfinished workspace is begun afresh and a
    /// finished model is an error. `Resume` does what is missing; `Reuse` encodes the table with the
    /// statistics of the model and trains on from its weights.
    pub state: Option<ModelState>,
    /// Replaces whatever is there.
    pub force: bool,
    /// Removes the rows of the table from the workspace in the end, however it ends.
    pub discard_data: bool,
}
