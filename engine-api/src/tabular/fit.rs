//! Fit: split, analyze, encode and train in one go.

use engine_core::train::{StopReason, TrainReport};

use crate::EngineError;
use crate::data::TableSource;
use crate::event::{Stage, Watch};
use crate::model_store::{TrainingFacts, is_calibrated, read_counters};
use crate::options::{AnalyzeOptions, EncodeOptions, FitOptions, ModelState, TrainSettings};
use crate::stages;
use crate::workspace::{Workspace, store};

/// What a fit has done.
#[derive(Debug, Clone)]
pub struct FitReport {
    /// The seed of all stages, given, stored or drawn.
    pub seed: u64,
    /// What the training has done.
    pub training: TrainReport,
}

/// Learns a table in a workspace folder. An unfinished workspace is begun afresh; over a finished model,
/// `options.state` or `options.force` must say what is meant.
///
/// # Errors
/// [`EngineError::ModelExists`] over a finished model; otherwise those of the stages. With `discard_data` the rows are
/// removed however it ends. A device that cannot be used, and a table that does not suit its encodings, leave nothing behind in a
/// new workspace.
pub fn fit(
    workspace: &Workspace,
    table: &TableSource,
    options: &FitOptions,
    watch: &mut Watch<'_>,
) -> Result<FitReport, EngineError> {
    if options.state.is_none() && !options.force && is_finished(workspace)? {
        return Err(EngineError::ModelExists {
            path: workspace.path().to_owned(),
        });
    }
    let was_untouched = workspace.is_untouched();
    // Held until the training needs it: what cannot be used is known before the table is read.
    let device = options.train.device.open();
    let is_usable = device.is_ok();
    let result = device.and_then(|_device| run(workspace, table, options, watch));
    let is_misfit = matches!(result, Err(EngineError::Encode { .. }));
    if options.discard_data || (is_misfit && was_untouched) {
        workspace.discard_data()?;
    }
    if is_misfit || !is_usable {
        workspace.forget_if_untouched();
    }
    result
}

/// Whether the workspace holds a model whose training is over. Weights without a state are those of another
/// engine, or of a run that was ended before its first epoch was; the latter are no model of ours yet.
fn is_finished(workspace: &Workspace) -> Result<bool, EngineError> {
    let layout = workspace.layout(Stage::Train)?;
    match read_counters(&layout.training_state())? {
        Some(counters) => match counters.finished {
            None => Ok(false),
            Some(StopReason::Cancelled) => Ok(true),
            // Killed before its weights were calibrated it is not over.
            Some(_) => {
                let calibrates = TrainingFacts::load(workspace)?.is_some_and(|facts| facts.calibrate);
                Ok(!calibrates
                    || workspace
                        .weights()?
                        .is_some_and(|weights| is_calibrated(&weights)))
            }
        },
        None => Ok(workspace.has_model() && workspace.store_text(store::TRAINING)?.is_none()),
    }
}

fn run(
    workspace: &Workspace,
    table: &TableSource,
    options: &FitOptions,
    watch: &mut Watch<'_>,
) -> Result<FitReport, EngineError> {
    let seed = options.split.seed;
    prepare(workspace, table, options, watch)?;
    let settings = TrainSettings {
        seed,
        state: options.state.unwrap_or_default(),
        ..options.train.clone()
    };
    let training = stages::train(workspace, &settings, watch)?;
    Ok(FitReport {
        seed: workspace.stage_seed(seed)?,
        training,
    })
}

/// Split, analyze and encode, as far as the model state does not stand on what is there.
fn prepare(
    workspace: &Workspace,
    table: &TableSource,
    options: &FitOptions,
    watch: &mut Watch<'_>,
) -> Result<(), EngineError> {
    let layout = workspace.layout(Stage::Train)?;
    let state = options.state.unwrap_or_default();
    let reuses = state == ModelState::Reuse && workspace.has_model();
    let resumes = state == ModelState::Resume;
    let seed = options.split.seed;
    if !(resumes && layout.table_data().is_dir()) {
        stages::split(workspace, table, &options.split, watch)?;
    }
    let has_stats = workspace.store_text(store::STATS)?.is_some();
    if !(has_stats && (reuses || resumes)) {
        let options = AnalyzeOptions {
            seed,
            protection: options.protection,
            compat: options.compat,
            stats_budget: options.stats_budget.clone(),
        };
        stages::analyze(workspace, &options, watch)?;
    }
    if !(resumes && layout.encoded_data().is_dir()) {
        stages::encode(workspace, &EncodeOptions { seed }, watch)?;
    }
    Ok(())
}
