//! Checkpoints of a training on disk.

use std::path::PathBuf;
use std::sync::Arc;

use engine_core::ir::ParamLayout;
use engine_core::train::{CheckpointSink, ProgressMessage, SinkError, TrainState, to_csv};

use super::training_state::write_state;
use super::weights::to_safetensors;
use crate::WorkspaceLayout;
use crate::files;
use crate::identity::Identity;

/// Writes the files of a model, each of them whole or not at all.
#[derive(Debug)]
pub struct Checkpoints {
    weights: PathBuf,
    state: PathBuf,
    progress: PathBuf,
    params: Arc<ParamLayout>,
    training: Option<Identity>,
}

impl Checkpoints {
    /// Checkpoints of a training in the model store of a workspace, for a model whose arena has that layout. The folder of the
    /// model must be there.
    pub fn new(layout: &WorkspaceLayout, params: Arc<ParamLayout>, training: Option<Identity>) -> Self {
        Self {
            weights: layout.weights(),
            state: layout.training_state(),
            progress: layout.progress_messages(),
            params,
            training,
        }
    }
}

impl CheckpointSink for Checkpoints {
    fn save_best(&mut self, params: &[f32]) -> Result<(), SinkError> {
        let bytes = to_safetensors(&self.params, params, false)?;
        Ok(files::write_atomically(&self.weights, &bytes)?)
    }

    fn save_state(&mut self, state: &TrainState) -> Result<(), SinkError> {
        Ok(write_state(&self.state, state, self.training)?)
    }

    fn save_progress(&mut self, messages: &[ProgressMessage]) -> Result<(), SinkError> {
        Ok(files::write_atomically(
            &self.progress,
            to_csv(messages).as_bytes(),
        )?)
    }
}
