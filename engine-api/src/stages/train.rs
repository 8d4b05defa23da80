//! Train: from codes to a model.

use std::fs;
use std::sync::Arc;

use engine_core::argn::Model;
use engine_core::backend::Backend;
use engine_core::encode::{SplitPart, TableStats};
use engine_core::generate::calibrate_biases;
use engine_core::remedy::Job;
use engine_core::schema::{CodeTable, ColumnOrderKind};
use engine_core::train::{
    self, BackgroundSink, Start, StopReason, TableSize, TrainError, TrainPlan, TrainReport, TrainState,
    Training, codes_per_sample,
};

use super::codes::read_codes;
use super::parts::part_files;
use crate::event::{Event, ProgressCallback, Stage};
use crate::files::{FileError, make_folders, remove_file, remove_folder, write_atomically};
use crate::identity::{CodesRecord, Identity, check_model, current_codes};
use crate::model_store::{
    BATCH_SCALE, Checkpoints, ModelConfigs, TrainingRecord, from_safetensors, is_calibrated, is_finished,
    load_stats, read_state, to_safetensors,
};
use crate::options::{ModelState, TrainOptions};
use crate::workspace::{Workspace, store, write_json};
use crate::{EngineError, WorkspaceLayout};

/// Trains a model on the codes of the workspace, in `ModelStore/model-data/`. The best model by validation loss is stored
/// whenever it gets better, and at the end of each epoch all that a resumption needs. When the training is over, that model is calibrated.
///
/// The callback may stop it: the step under way is finished, and what is stored can be sampled and resumed.
///
/// # Errors
/// [`EngineError::Lacks`] when the table has not been encoded; [`EngineError::CodesDoNotFit`] when the codes belong to other
/// statistics; [`EngineError::Train`] when the loss diverges before any model is stored; [`EngineError::State`] when the state to
/// resume belongs to other data; [`EngineError::OtherCodes`] when it was begun on others; [`EngineError::ModelExists`] when it would
/// replace a finished model, unless `options.force`; [`EngineError::DoesNotBelong`] when codes or statistics are out of date.
pub fn train(
    workspace: &Workspace,
    options: &TrainOptions,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<TrainReport, EngineError> {
    let layout = workspace.layout(Stage::Train)?;
    let stats = load_stats(workspace)?;
    let backend = options.device.open()?;
    let tables = tables(workspace, layout, &stats)?;
    let (training, validation) = (&tables.0, &tables.1);
    let folder = layout.model_data();
    let codes = current_codes(workspace)?;
    let begin = Beginning::of(workspace, layout, &stats, options, (training, codes))?;
    make_folders(&folder)?;
    let table = TableSize {
        training_rows: training.rows(),
        validation_rows: validation.rows(),
        parameters: begin.model.layout().len(),
        codes_per_sample: codes_per_sample(&stats),
    };
    let (seed, plan) = match &begin.start {
        Start::Resume { state } => (state.counters.seed, state.counters.plan),
        _ => (
            workspace.stage_seed(options.seed)?,
            TrainPlan::choose(table, options.batch_size, options.micro_batches),
        ),
    };
    let mut id = TrainingRecord::load(workspace)?.and_then(|record| record.id);
    if !matches!(begin.start, Start::Resume { .. }) {
        id = Some(Identity::draw()?);
        write_json(&layout.model_store().join(store::CONFIGS), &begin.configs)?;
        let record = TrainingRecord {
            seed,
            batch_scale: BATCH_SCALE,
            calibrate: options.calibrate,
            id,
            codes: codes.map(|codes| codes.id),
            statistics: codes.and_then(|codes| codes.statistics),
            reuses: matches!(begin.start, Start::Reuse { .. }),
            plan,
        };
        write_json(&layout.model_store().join(store::TRAINING), &record)?;
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
        options: train::TrainOptions {
            seed,
            plan,
            max_epochs: options.max_epochs,
            max_minutes: options.max_minutes,
        },
    };
    let report = training.run(begin.start, &mut checkpoints, &mut |progress| {
        on_progress(&Event::Training(progress))
    })?;
    checkpoints
        .finish()
        .map_err(|source| TrainError::Sink { source })?;
    // A resumed training ends as it was begun.
    let calibrates = TrainingRecord::load(workspace)?.is_some_and(|record| record.calibrate);
    if calibrates && report.reason != StopReason::Cancelled {
        calibrate(layout, &backend, model, (&tables.0, &tables.1), seed)?;
    }
    Ok(report)
}

/// Calibrates the stored weights, once: those that are calibrated say so.
fn calibrate(
    layout: &WorkspaceLayout,
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
    layout: &WorkspaceLayout,
    stats: &TableStats,
) -> Result<(Arc<CodeTable>, Arc<CodeTable>), EngineError> {
    let files = part_files(&layout.encoded_data())?;
    let sub_columns = stats.sub_columns();
    let of = |part| Ok::<_, EngineError>(Arc::new(read_codes(&files, part, &sub_columns)?));
    let (training, validation) = (of(SplitPart::Training)?, of(SplitPart::Validation)?);
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
        layout: &WorkspaceLayout,
        stats: &TableStats,
        options: &TrainOptions,
        (training, codes): (&CodeTable, Option<CodesRecord>),
    ) -> Result<Self, EngineError> {
        // What is out of date is none to go on from.
        let is_current = check_model(workspace).is_ok();
        let stored = ModelConfigs::load(workspace)?.filter(|_| is_current);
        let (record, state) = match options.state {
            ModelState::Resume if is_current => {
                let record = TrainingRecord::load(workspace)?;
                let id = record.and_then(|record| record.id);
                (record, read_state(&layout.training_state(), id)?)
            }
            _ => (None, None),
        };
        let begun_by_reuse = state.is_none() && record.is_some_and(|record| record.reuses);
        match (options.state, stored) {
            (ModelState::Resume, Some(configs)) if !begun_by_reuse => {
                if let Some(state) = state {
                    if record.and_then(|record| record.codes) != codes.map(|codes| codes.id) {
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
        if !options.force && is_finished(workspace)? {
            return Err(EngineError::ModelExists {
                path: workspace.path().to_owned(),
            });
        }
        remove_folder(&layout.model_data())?;
        let order = ColumnOrderKind::from(!options.fixed_order);
        let configs = ModelConfigs::new(options.model, stats, order);
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
