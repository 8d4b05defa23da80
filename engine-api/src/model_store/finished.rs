//! Whether a finished model is there.

use engine_core::train::StopReason;

use super::configs::TrainingRecord;
use super::training_state::read_counters;
use super::weights::is_calibrated;
use crate::EngineError;
use crate::event::Stage;
use crate::identity::has_current_model;
use crate::workspace::Workspace;

/// Whether the workspace holds a model whose training is over. Weights without a state are those of another engine, those that a
/// training has begun with, or those of a run that was ended before its first epoch was; only the latter are no model yet.
pub(crate) fn is_finished(workspace: &Workspace) -> Result<bool, EngineError> {
    let layout = workspace.layout(Stage::Train)?;
    if !has_current_model(workspace) {
        return Ok(false);
    }
    let record = TrainingRecord::load(workspace)?;
    let counters = read_counters(&layout.training_state(), record.and_then(|record| record.id))?;
    let Some(counters) = counters else {
        return Ok(record.is_none_or(|record| record.reuses));
    };
    match counters.finished {
        None => Ok(false),
        Some(StopReason::Cancelled) => Ok(true),
        // Killed before its weights were calibrated it is not over.
        Some(_) => {
            let calibrates = record.is_some_and(|record| record.calibrate);
            let weights = workspace.weights()?;
            Ok(!calibrates || weights.is_some_and(|weights| is_calibrated(&weights)))
        }
    }
}
