//! Whether a model is there that somebody may miss.

use engine_core::train::StopReason;

use super::configs::TrainingFacts;
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
    let facts = TrainingFacts::load(workspace)?;
    let counters = read_counters(&layout.training_state(), facts.and_then(|facts| facts.id))?;
    let Some(counters) = counters else {
        return Ok(facts.is_none_or(|facts| facts.reuses));
    };
    match counters.finished {
        None => Ok(false),
        Some(StopReason::Cancelled) => Ok(true),
        // Killed before its weights were calibrated it is not over.
        Some(_) => {
            let calibrates = facts.is_some_and(|facts| facts.calibrate);
            let weights = workspace.weights()?;
            Ok(!calibrates || weights.is_some_and(|weights| is_calibrated(&weights)))
        }
    }
}
