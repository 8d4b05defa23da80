//! Whether what lies in a workspace belongs together.

use std::fs;
use std::io;

use engine_core::remedy::Job;
use serde::{Deserialize, Serialize};

use super::Identity;
use crate::EngineError;
use crate::error::Artefact;
use crate::event::Stage;
use crate::files::FileError;
use crate::model_store::{Analysis, TrainingRecord};
use crate::stages::{SplitRecord, load_split};
use crate::workspace::{Marker, Workspace, WorkspaceLayout, store};

/// Name of the file beside the codes that says what they were made from.
pub(crate) const CODES_FILE: &str = "_codes.json";

/// What codes were made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CodesRecord {
    /// Identity of these codes; made again from the same they have the same.
    pub(crate) id: Identity,
    /// Their split; unknown when another engine made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) split: Option<Identity>,
    /// Their statistics; unknown when another engine made them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) statistics: Option<Identity>,
}

impl Marker {
    /// Whether it says what holds; those of other engines and of older programs do not.
    fn knows(&self) -> bool {
        self.split.is_some() || self.statistics.is_some()
    }
}

fn marker(workspace: &Workspace) -> Result<Option<Marker>, EngineError> {
    Ok(workspace.marker()?.filter(Marker::knows))
}

/// The split of the workspace; `None` when another engine made it, or nobody yet.
///
/// # Errors
/// [`EngineError::DoesNotBelong`] when the table was to be replaced by another, which never came.
pub(crate) fn current_split(workspace: &Workspace) -> Result<Option<SplitRecord>, EngineError> {
    let layout = workspace.layout(Stage::Split)?;
    let record = load_split(layout)?;
    let Some(marker) = marker(workspace)? else {
        return Ok(record);
    };
    let is_there = record.is_some() || layout.table_data().is_dir();
    let holds = record.as_ref().is_some_and(|record| {
        Some(record.id) == marker.split || (record.reuses.is_some() && record.reuses == marker.statistics)
    });
    // Where the marker knows of no split another engine has made it.
    if is_there && !holds && marker.split.is_some() {
        return Err(does_not_belong(workspace, Artefact::Table, Job::Fit));
    }
    Ok(record)
}

/// The identity of the statistics; `None` when another engine made them.
///
/// # Errors
/// [`EngineError::DoesNotBelong`] when they are those of an older table or analysis.
pub(crate) fn current_statistics(workspace: &Workspace) -> Result<Option<Identity>, EngineError> {
    let analysis = Analysis::load(workspace)?;
    let id = analysis.and_then(|analysis| analysis.id);
    let is_there = workspace.store_text(store::STATS)?.is_some();
    match marker(workspace)? {
        Some(marker) if is_there && (id.is_none() || id != marker.statistics) => {
            Err(does_not_belong(workspace, Artefact::Statistics, Job::Fit))
        }
        _ => Ok(id),
    }
}

/// What the codes were made from; `None` when another engine made them, or nobody yet.
///
/// # Errors
/// [`EngineError::DoesNotBelong`] when they are those of another table or of other statistics.
pub(crate) fn current_codes(workspace: &Workspace) -> Result<Option<CodesRecord>, EngineError> {
    let layout = workspace.layout(Stage::Encode)?;
    let split = current_split(workspace)?.map(|record| record.id);
    let statistics = current_statistics(workspace)?;
    let record = load_codes(layout)?;
    let holds = match record {
        Some(record) => (record.split, record.statistics) == (split, statistics),
        None => marker(workspace)?.is_none() || !layout.encoded_data().is_dir(),
    };
    match holds {
        true => Ok(record),
        false => Err(does_not_belong(workspace, Artefact::Codes, Job::Encode)),
    }
}

fn load_codes(layout: &WorkspaceLayout) -> Result<Option<CodesRecord>, EngineError> {
    let path = layout.encoded_data().join(CODES_FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(FileError::new(path, "read", e).into()),
    };
    let record = serde_json::from_str(&text).map_err(|e| EngineError::Corrupt {
        path,
        reason: format!("the file cannot be read ({e})"),
        made_by: Job::Encode,
    })?;
    Ok(Some(record))
}

/// Checks that the model is one of the statistics that hold.
///
/// # Errors
/// [`EngineError::DoesNotBelong`].
pub(crate) fn check_model(workspace: &Workspace) -> Result<(), EngineError> {
    current_statistics(workspace)?;
    if marker(workspace)?.is_some_and(|marker| {
        let training = TrainingRecord::load(workspace);
        let of = training.ok().flatten().and_then(|record| record.statistics);
        of.is_none() || of != marker.statistics
    }) {
        return Err(does_not_belong(workspace, Artefact::Model, Job::Fit));
    }
    Ok(())
}

/// Whether there are weights that belong to the split and the statistics that are there.
pub(crate) fn has_current_model(workspace: &Workspace) -> bool {
    workspace.has_model() && check_model(workspace).is_ok()
}

fn does_not_belong(workspace: &Workspace, what: Artefact, made_by: Job) -> EngineError {
    EngineError::DoesNotBelong {
        path: workspace.path().to_owned(),
        what,
        made_by,
    }
}
