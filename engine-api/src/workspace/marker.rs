//! The mark of a workspace of ours: its version and its seed.

use std::path::Path;

use engine_core::encode::to_json;
use engine_core::remedy::Job;
use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::files;
use crate::identity::Identity;

/// Version of the workspaces that this program makes, and the newest that it reads.
pub const WORKSPACE_VERSION: u32 = 1;

/// Content of `ModelStore/argn.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Version of the layout and of our files in it.
    pub workspace_version: u32,
    /// Version of the program that wrote it.
    pub engine_version: String,
    /// Seed of the stages that are given no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The split that holds: whatever was made from another is out of date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Identity>,
    /// The statistics that hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Identity>,
}

impl Marker {
    /// The mark of a workspace that this program makes.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self {
            workspace_version: WORKSPACE_VERSION,
            engine_version: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            split: None,
            statistics: None,
        }
    }

    /// Reads a mark; `path` is that of the workspace. The version is looked at before all else.
    pub(crate) fn from_json(path: &Path, text: &str) -> Result<Self, EngineError> {
        #[derive(Deserialize)]
        struct Version {
            workspace_version: u32,
        }
        let corrupt = |e: serde_json::Error| EngineError::Corrupt {
            path: path.to_owned(),
            reason: format!("its mark argn.json cannot be read ({e})"),
            made_by: Job::Fit,
        };
        let Version { workspace_version } = serde_json::from_str(text).map_err(corrupt)?;
        if workspace_version > WORKSPACE_VERSION {
            return Err(EngineError::NewerVersion {
                path: path.to_owned(),
                found: workspace_version,
                supported: WORKSPACE_VERSION,
            });
        }
        serde_json::from_str(text).map_err(corrupt)
    }

    /// Writes the mark of the workspace whose marker file is at `file`.
    pub(crate) fn save(&self, file: &Path) -> Result<(), EngineError> {
        write_json(file, self)
    }
}

/// Writes a value as JSON of the workspace's dialect, atomically.
pub(crate) fn write_json<T: Serialize>(file: &Path, value: &T) -> Result<(), EngineError> {
    let text = to_json(value).map_err(|e| EngineError::Corrupt {
        path: file.to_owned(),
        reason: e.to_string(),
        made_by: Job::Fit,
    })?;
    Ok(files::write_atomically(file, text.as_bytes())?)
}
