//! Generate: rows of a model into the workspace.

use crate::data::TableSink;
use crate::event::{ProgressCallback, Stage};
use crate::files::AtomicFolder;
use crate::inference::sample::{SampleBatches, SampleOptions, write_batches};
use crate::model_store::StoredModel;
use crate::workspace::Workspace;
use crate::{Device, EngineError};

/// Name of the file of generated rows.
const ROWS_FILE: &str = "part.000000.000000.parquet";

/// Draws rows on a device into `SyntheticData/part.000000.000000.parquet`, in place of what was there; returns how many.
///
/// # Errors
/// [`EngineError::Lacks`] without a model; [`EngineError::Generate`] for unusable options; [`EngineError::Cancelled`].
pub fn generate(
    workspace: &Workspace,
    device: &Device,
    options: &SampleOptions,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<u64, EngineError> {
    let layout = workspace.layout(Stage::Generate)?;
    let model = StoredModel::load(workspace)?;
    let batches = SampleBatches::new(&model, device, options)?;
    let folder = AtomicFolder::create(&layout.synthetic_data())?;
    let sink = TableSink::create(&folder.path().join(ROWS_FILE), model.format())?;
    let rows = write_batches(batches, sink, on_progress)?;
    folder.commit()?;
    Ok(rows)
}
