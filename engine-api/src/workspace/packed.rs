//! A model in one file: a safetensors file whose tensors are the weights and whose metadata holds the other files of the
//! model store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use indexmap::IndexMap;
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::layout::store;
use super::marker::Marker;
use crate::files::{self, FileError};
use crate::{EngineError, WorkspaceLayout};
use engine_core::remedy::Job;

/// The only key of the metadata; a second one would make the order of the bytes a matter of chance.
const METADATA_KEY: &str = "argn";

/// A packed model in memory.
#[derive(Debug)]
pub(crate) struct PackedModel {
    /// Texts by name in the model store.
    files: IndexMap<String, String>,
    /// The whole file.
    bytes: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    files: IndexMap<String, String>,
}

impl PackedModel {
    /// Reads a packed model.
    pub(crate) fn read(path: &Path) -> Result<Self, EngineError> {
        let broken = |reason: String| EngineError::NotAPackedModel {
            path: path.to_owned(),
            reason,
        };
        let bytes = fs::read(path).map_err(|e| FileError::new(path, "read", e))?;
        // A whole look first: cut files must not open.
        SafeTensors::deserialize(&bytes).map_err(|e| broken(e.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(e.to_string()))?;
        let text = header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY));
        let text = text.ok_or_else(|| broken("it holds weights only".to_owned()))?;
        let Metadata { files } = serde_json::from_str(text).map_err(|e| broken(e.to_string()))?;
        let marker = files.get(store::MARKER);
        let marker = marker.ok_or_else(|| broken("it has no version".to_owned()))?;
        Marker::from_json(path, marker)?;
        Ok(Self { files, bytes })
    }

    /// A text of the model store by its name there.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    /// The weights as a safetensors file.
    pub(crate) fn weights(&self) -> &[u8] {
        &self.bytes
    }

    /// Packs the model store of a workspace folder into a file.
    pub(crate) fn write(layout: &WorkspaceLayout, to: &Path) -> Result<(), EngineError> {
        let mut texts = IndexMap::new();
        for name in store::ALL {
            let path = layout.model_store().join(name);
            if let Some(text) = read_optional(&path)? {
                texts.insert(name.to_owned(), text);
            }
        }
        let corrupt = |path: PathBuf, reason: String| EngineError::Corrupt {
            path,
            reason,
            made_by: Job::Train,
        };
        let marker = Marker::new(None);
        texts
            .entry(store::MARKER.to_owned())
            .or_insert(serde_json::to_string(&marker).map_err(|e| corrupt(layout.marker(), e.to_string()))?);
        let weights = layout.weights();
        let bytes = fs::read(&weights).map_err(|e| FileError::new(&weights, "read", e))?;
        let tensors =
            SafeTensors::deserialize(&bytes).map_err(|e| corrupt(weights.clone(), e.to_string()))?;
        let metadata = serde_json::to_string(&Metadata { files: texts });
        let metadata = metadata.map_err(|e| corrupt(weights.clone(), e.to_string()))?;
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
        let packed = safetensors::serialize(tensors.tensors(), Some(metadata));
        let packed = packed.map_err(|e| corrupt(weights, e.to_string()))?;
        Ok(files::write_atomically(to, &packed)?)
    }
}

/// The text of a file, `None` when there is no such file.
pub(crate) fn read_optional(path: &Path) -> Result<Option<String>, EngineError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(EngineError::Corrupt {
            path: path.to_owned(),
            reason: "the file is not UTF-8 text".to_owned(),
            made_by: Job::Fit,
        }),
        Err(e) => Err(FileError::new(path, "read", e).into()),
    }
}
