//! The model store: statistics, layers, weights, and what resuming needs.

mod checkpoints;
mod configs;
mod export;
mod finished;
mod progress_file;
mod stored_model;
mod summary;
mod training_state;
mod weights;

pub use checkpoints::Checkpoints;
pub use configs::{BATCH_SCALE, ModelConfigs, TrainingRecord};
pub(crate) use finished::is_finished;
pub use stored_model::StoredModel;
pub(crate) use stored_model::{Analysis, default_format, load_format, load_stats};
pub(crate) use summary::summaries;
pub use summary::{ColumnSummary, ModelSummary};
pub(crate) use training_state::read_state;
pub(crate) use weights::{from_safetensors, is_calibrated, to_safetensors};
