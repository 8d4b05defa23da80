//! Train: from codes to a model.

use std::fs;
use std::sync::Arc;

use engine_core::argn::Model;
use engine_core::backend::Backend;
use engine_core::encode::{Part, TableStats};
use engine_core::generate::calibrate_biases;
use engine_core::remedy::Job;
use engine_core::schema::{CodeTable, ColumnOrderKind};
use engine_core::train::{
    BackgroundSink, Plan, Start, StopReason, TableSize, TrainError, TrainOptions, TrainReport, TrainState,
    Training, data_points,
};

use super::codes::read_codes;
use super::parts::part_files;
use crate::event::{Event, Stage, Watch};
use crate::files::{FileError, make_folders, remove_file, remove_folder, write_atomically};
use crate::identity::{CodesFacts, Identity, check_model, current_codes};
use crate::model_store::{
    BATCH_SCALE, Checkpoints, ModelConfigs, TrainingFacts, from_safetensors, is_calibrated, is_finished,
    load_stats, read_state, to_safetensors,
};
use crate::options::{ModelState, TrainSettings};
use crate::workspace::{Workspace, store, write_json};
use crate::{EngineError, Layout};

/// Trains a model on the codes of the workspace, in `ModelStore/model-data/`. The best model by validation loss is stored
/// whenever it gets better, and at the end of each epoch all that a resumption needs. When the training is over, that model is calibrated.
///
/// Whoever watches may stop it: the step under way is finished, and what is stored can be sampled and resumed.
///
/// # Errors
/// [`EngineError::Lacks`] when the table has not been encoded; [`EngineError::CodesDoNotFit`] when the codes belong to other
/// statistics; [`EngineError::Train`] when the loss diverges before any model is stored; [`EngineError::State`] when the state to
/// resume belongs to other data; [`EngineError::OtherCodes`] when it was begun on others; [`EngineError::ModelExists`] when it would
/// replace a finished model, unless `settings.force`; [`EngineError::DoesNotBelong`] when codes or statistics are out of date.
pub fn train(
    workspace: &Workspace,
    settings: &TrainSettings,
    watch: &mut Watch<'_>,
) -> Result<TrainReport, EngineError> {
    let layout = workspace.layout(Stage::Train)?;
    let stats = load_stats(workspace)?;
    let backend = settings.device.open()?;
    let tables = tables(workspace, layout, &stats)?;
    let (training, validation) = (&tables.0, &tables.1);
    let folder = layout.model_data();
    let codes = current_codes(workspace)?;
    let begin = Beginning::of(workspace, layout, &stats, settings, (training, codes))?;
    make_folders(&folder)?;
    let table = TableSize {
        training_rows: training.rows(),
        validation_rows: validation.rows(),
        parameters: begin.model.layout().len(),
        data_points: data_points(&stats),
    };
    let (seed, plan) = match &begin.start {
        Start::Resume { state } => (state.counters.seed, state.counters.plan),
        _ => (
            workspace.stage_seed(settings.seed)?,
            Plan::choose(table, settings.batch_size, settings.micro_batches),
        ),
    };
    let mut id = TrainingFacts::load(workspace)?.and_then(|facts| facts.id);
    if !matches!(begin.start, Start::Resume { .. }) {
        id = Some(Identity::draw()?);
        write_json(&layout.model_store().join(store::CONFIGS), &begin.configs)?;
        let facts = TrainingFacts {
            seed,
            batch_scale: BATCH_SCALE,
            calibrate: settings.calibrate,
            id,
            codes: codes.map(|codes| codes.id),
            statistics: codes.and_then(|codes| codes.statistics),
            reuses: matches!(begin.start, Start::Reuse { .. }),
            plan,
        };
        write_json(&layout.model_store().join(store::TRAINING), &facts)?;
        // From here on they are those of another training, and nobody takes them for its own.
        remove_file(&layout.training_state())?;
        remove_file(&layout.progress_messages())?;
    }
    let checkpoints = Checkpoints::new(layout, Arc::clone(begin.model.layout()), id);
    let mut checkpoints = BackgroundSink::new(checkpoints).map_err(|source| TrainError::Sink { source })?;
    let model = begin.model.as_ref();
    let training = Training {
        backend: backend.as_ref(),
        programs: model.train_programs(plan.micro_batches_per_epoch())?,
        training: model.train_data("training", training)?,
        validation: model.train_data("validation", validation)?,
        options: TrainOptions {
            seed,
            plan,
            max_epochs: settings.max_epochs,
            max_minutes: settings.max_minutes,
        },
    };
    let report = training.run(begin.start, &mut checkpoints, &mut |progress| {
        watch(&Event::Training(progress))
    })?;
    checkpoints
        .finish()
        .map_err(|source| TrainError::Sink { source })?;
    // A resumed training ends as it was begun.
    let calibrates = TrainingFacts::load(workspace)?.is_some_and(|facts| facts.calibrate);
    if calibrates && report.reason != StopReason::Cancelled {
        calibrate(layout, &backend, model, (&tables.0, &tables.1), seed)?;
    }
    Ok(report)
}

/// Calibrates the stored weights, once: those that are calibrated say so.
fn calibrate(
    layout: &Layout,
    backend: &Arc<dyn Backend>,
    model: &dyn Model,
    tables: (&CodeTable, &CodeTable),
    seed: u64,
) -> Result<(), EngineError> {
    let path = layout.weights();
    let bytes = fs::read(&path).map_err(|e| FileError::new(&path, "read", e))?;
    if is_calibrated(&bytes) {
        return Ok(());
    }
    let params = from_safetensors(&path, &bytes, model.layout())?;
    let calibrated = calibrate_biases(backend, (model, &params), tables, seed)?;
    let params = calibrated.unwrap_or(params);
    let bytes = to_safetensors(model.layout(), &params, true).map_err(|source| TrainError::Sink {
        source: source.into(),
    })?;
    Ok(write_atomically(&path, &bytes)?)
}

fn tables(
    workspace: &Workspace,
    layout: &Layout,
    stats: &TableStats,
) -> Result<(Arc<CodeTable>, Arc<CodeTable>), EngineError> {
    let files = part_files(&layout.encoded_data())?;
    let sub_columns = stats.sub_columns();
    let of = |part| Ok::<_, EngineError>(Arc::new(read_codes(&files, part, &sub_columns)?));
    let (training, validation) = (of(Part::Training)?, of(Part::Validation)?);
    if training.rows() == 0 || validation.rows() == 0 {
        return Err(workspace.lacks("encoded table (OriginalData/encoded-data)", Job::Encode));
    }
    Ok((training, validation))
}

/// A model and where its training begins.
struct Beginning {
    configs: ModelConfigs,
    model: Arc<dyn Model>,
    start: Start,
}

impl Beginning {
    fn of(
        workspace: &Workspace,
        layout: &Layout,
        stats: &TableStats,
        settings: &TrainSettings,
        (training, codes): (&CodeTable, Option<CodesFacts>),
    ) -> Result<Self, EngineError> {
        // What is out of date is none to go on from.
        let is_current = check_model(workspace).is_ok();
        let stored = ModelConfigs::load(workspace)?.filter(|_| is_current);
        let (facts, state) = match settings.state {
            ModelState::Resume if is_current => {
                let facts = TrainingFacts::load(workspace)?;
                let id = facts.and_then(|facts| facts.id);
                (facts, read_state(&layout.training_state(), id)?)
            }
            _ => (None, None),
        };
        let begun_by_reuse = state.is_none() && facts.is_some_and(|facts| facts.reuses);
        match (settings.state, stored) {
            (ModelState::Resume, Some(configs)) if !begun_by_reuse => {
                if let Some(state) = state {
                    if facts.and_then(|facts| facts.codes) != codes.map(|codes| codes.id) {
                        return Err(EngineError::OtherCodes {
                            path: workspace.path().to_owned(),
                        });
                    }
                    return Self::resumed(configs, stats, state);
                }
            }
            (ModelState::Reuse | ModelState::Resume, Some(configs)) => {
                if let Some(weights) = workspace.weights()? {
                    let model = configs.model(stats, None)?;
                    let params = from_safetensors(&layout.weights(), &weights, model.layout())?;
                    return Ok(Self {
                        configs,
                        model,
                        start: Start::Reuse { params },
                    });
                }
            }
            _ => {}
        }
        if !settings.force && is_finished(workspace)? {
            return Err(EngineError::ModelExists {
                path: workspace.path().to_owned(),
            });
        }
        remove_folder(&layout.model_data())?;
        let order = ColumnOrderKind::from(!settings.fixed_order);
        let configs = ModelConfigs::new(settings.model, stats, order);
        let model = configs.model(stats, Some(training))?;
        Ok(Self {
            configs,
            model,
            start: Start::Fresh,
        })
    }

    /// The orders of the columns are those of the state.
    fn resumed(configs: ModelConfigs, stats: &TableStats, state: TrainState) -> Result<Self, EngineError> {
        let configs = ModelConfigs {
            order: state.counters.order,
            ..configs
        };
        let model = configs.model(stats, None)?;
        Ok(Self {
            configs,
            model,
            start: Start::Resume {
                state: Box::new(state),
            },
        })
    }
}
