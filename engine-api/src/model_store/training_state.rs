//! `training-state.bin`: the state of a training as a safetensors file, its counters as JSON in the metadata.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use engine_core::remedy::Job;
use engine_core::train::{Counters, TrainState};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::weights::{from_little_endian, little_endian};
use crate::EngineError;
use crate::files::{self, FileError};
use crate::identity::Identity;

const METADATA_KEY: &str = "counters";

fn corrupt(path: &Path, reason: String) -> EngineError {
    EngineError::Corrupt {
        path: path.to_owned(),
        reason: format!("the training state cannot be read ({reason})"),
        made_by: Job::TrainAnew,
    }
}

/// The counters with the training that they are of.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    training: Option<Identity>,
    #[serde(flatten)]
    counters: Counters,
}

/// Writes the state of a training, atomically.
pub(crate) fn write_state(
    path: &Path,
    state: &TrainState,
    training: Option<Identity>,
) -> Result<(), EngineError> {
    let failed = |e: &dyn std::error::Error| corrupt(path, e.to_string());
    let tensors = state
        .tensors()
        .map(|(name, values)| (name, values.len(), little_endian(values)));
    let mut views = Vec::with_capacity(tensors.len());
    for (name, len, bytes) in &tensors {
        let view = TensorView::new(Dtype::F32, vec![*len], bytes).map_err(|e| failed(&e))?;
        views.push((*name, view));
    }
    let stored = Stored {
        training,
        counters: state.counters.clone(),
    };
    let counters = serde_json::to_string(&stored).map_err(|e| failed(&e))?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), counters)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| failed(&e))?;
    Ok(files::write_atomically(path, &bytes)?)
}

fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(FileError::new(path, "read", e).into()),
    }
}

fn stored(path: &Path, bytes: &[u8]) -> Result<Stored, EngineError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| corrupt(path, e.to_string()))?;
    let text = header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY));
    let text = text.ok_or_else(|| corrupt(path, "it has no counters".to_owned()))?;
    serde_json::from_str(text).map_err(|e| corrupt(path, e.to_string()))
}

/// The counters of the stored state of a training; `None` when there is none, or only one of another training.
pub(crate) fn read_counters(
    path: &Path,
    training: Option<Identity>,
) -> Result<Option<Counters>, EngineError> {
    let Some(bytes) = read_bytes(path)? else {
        return Ok(None);
    };
    let stored = stored(path, &bytes)?;
    Ok((stored.training == training).then_some(stored.counters))
}

/// The stored state of a training; `None` when there is none, or only one of another training.
pub(crate) fn read_state(path: &Path, training: Option<Identity>) -> Result<Option<TrainState>, EngineError> {
    let Some(bytes) = read_bytes(path)? else {
        return Ok(None);
    };
    let stored = stored(path, &bytes)?;
    if stored.training != training {
        return Ok(None);
    }
    let counters = stored.counters;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| corrupt(path, e.to_string()))?;
    let tensor = |name: &'static str| {
        let view = tensors
            .tensor(name)
            .ok()
            .filter(|view| view.dtype() == Dtype::F32)?;
        Some(from_little_endian(view.data()).collect())
    };
    Ok(Some(TrainState::from_parts(counters, tensor)?))
}
