//! The model store: statistics, layers, weights, and what resuming needs.

mod checkpoints;
mod configs;
mod progress_file;
mod stored_model;
mod training_state;
mod weights;

pub use checkpoints::Checkpoints;
pub use configs::{BATCH_SCALE, ModelConfigs, TrainingFacts};
pub(crate) use progress_file::read_progress;
pub use stored_model::StoredModel;
pub(crate) use stored_model::{Analysis, analysis_of, default_format, load_format, load_stats};
pub(crate) use training_state::{TRAINING_STATE_FILE, read_counters, read_state, write_state};
pub(crate) use weights::{WEIGHTS_FILE, from_safetensors, to_safetensors};
