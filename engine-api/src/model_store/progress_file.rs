//! `progress-messages.csv`, read back.

use engine_core::remedy::Job;
use engine_core::train::ProgressMessage;

use crate::EngineError;
use crate::workspace::{Workspace, store};

/// The messages of the stored training, ours or the peer's; none when there is no such file.
pub(crate) fn read_progress(workspace: &Workspace) -> Result<Vec<ProgressMessage>, EngineError> {
    let Some(text) = workspace.store_text(store::PROGRESS)? else {
        return Ok(Vec::new());
    };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let messages = reader.deserialize().collect::<Result<_, csv::Error>>();
    messages.map_err(|e| EngineError::Corrupt {
        path: workspace.store_path(store::PROGRESS),
        reason: format!("the messages of the training cannot be read ({e})"),
        made_by: Job::Train,
    })
}
