//! Fit: split, analyze, encode and train in one go.

use engine_core::train::TrainReport;

use crate::EngineError;
use crate::data::TableSource;
use crate::event::{ProgressCallback, Stage};
use crate::identity::{current_codes, current_split, current_statistics, has_current_model};
use crate::model_store::is_finished;
use crate::options::{AnalyzeOptions, EncodeOptions, FitOptions, ModelState, SplitOptions, TrainOptions};
use crate::stages::{self, Statistics};
use crate::workspace::{ForgottenIfUntouched, Workspace, store};

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
    on_progress: &mut ProgressCallback<'_>,
) -> Result<FitReport, EngineError> {
    let was_untouched = workspace.is_untouched();
    let result = fit_table(workspace, table, options, on_progress);
    let is_encode_error = matches!(result, Err(EngineError::Encode { .. }));
    if options.discard_data || (is_encode_error && was_untouched) {
        workspace.discard_data()?;
    }
    if is_encode_error {
        workspace.forget_if_untouched();
    }
    result
}

fn fit_table(
    workspace: &Workspace,
    table: &TableSource,
    options: &FitOptions,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<FitReport, EngineError> {
    if options.state.is_none() && !options.force && is_finished(workspace)? {
        return Err(EngineError::ModelExists {
            path: workspace.path().to_owned(),
        });
    }
    let _new = ForgottenIfUntouched(workspace);
    // Held until the training needs it: what cannot be used is known before the table is read.
    let _device = options.train.device.open()?;
    let seed = options.split.seed;
    prepare(workspace, table, options, on_progress)?;
    let train = TrainOptions {
        seed,
        state: options.state.unwrap_or_default(),
        // Whether a model may be replaced was checked before.
        force: matches!(options.state, None | Some(ModelState::Reset)),
        ..options.train.clone()
    };
    let training = stages::train(workspace, &train, on_progress)?;
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
    on_progress: &mut ProgressCallback<'_>,
) -> Result<(), EngineError> {
    let state = options.state.unwrap_or_default();
    let reuses = state == ModelState::Reuse && has_current_model(workspace);
    let resumes = state == ModelState::Resume;
    let seed = options.split.seed;
    if !(resumes && has_table(workspace, table)?) {
        // Whether a model may be replaced was checked before.
        let split = SplitOptions {
            force: true,
            ..options.split.clone()
        };
        let statistics = match reuses {
            true => Statistics::Reused(current_statistics(workspace)?),
            false => Statistics::Replaced,
        };
        stages::split_for(workspace, table, &split, statistics, on_progress)?;
    }
    if !((reuses || resumes) && has_statistics(workspace)?) {
        let options = AnalyzeOptions {
            seed,
            protection: options.protection,
            compat: options.compat,
            stats_budget: options.stats_budget.clone(),
            force: true,
        };
        stages::analyze(workspace, &options, on_progress)?;
    }
    let has_codes = workspace.layout(Stage::Encode)?.encoded_data().is_dir();
    if !(resumes && has_codes && is_current(current_codes(workspace))?) {
        stages::encode(workspace, &EncodeOptions { seed }, on_progress)?;
    }
    Ok(())
}

/// Whether the workspace holds the rows of this table, so that a fit can go on with them.
fn has_table(workspace: &Workspace, table: &TableSource) -> Result<bool, EngineError> {
    let unknown = || EngineError::UnknownTable {
        path: workspace.path().to_owned(),
        table: table.name().to_owned(),
    };
    let is_there = workspace.layout(Stage::Split)?.table_data().is_dir();
    let record = match current_split(workspace) {
        // What was to replace it never came: there is nothing to go on with.
        Err(EngineError::DoesNotBelong { .. }) => return Ok(false),
        record => record?,
    };
    match record.and_then(|record| record.digest) {
        _ if !is_there && !has_statistics(workspace)? => Ok(false),
        Some(digest) if is_there => match digest.is_of(table)? {
            true => Ok(true),
            false => Err(EngineError::OtherTable {
                path: workspace.path().to_owned(),
                table: table.name().to_owned(),
            }),
        },
        _ => Err(unknown()),
    }
}

fn has_statistics(workspace: &Workspace) -> Result<bool, EngineError> {
    Ok(workspace.store_text(store::STATS)?.is_some() && is_current(current_statistics(workspace))?)
}

/// Whether something belongs to the rest.
fn is_current<T>(found: Result<T, EngineError>) -> Result<bool, EngineError> {
    match found {
        Ok(_) => Ok(true),
        Err(EngineError::DoesNotBelong { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
