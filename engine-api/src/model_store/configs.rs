//! `model-configs.json`, the layers of a model, and `training.json`, how it was trained.

use std::sync::Arc;

use engine_core::argn::{Model, ModelKind, ModelParts, ModelSize, ModelUnits, empirical_biases};
use engine_core::encode::{TableStats, empirical_probabilities};
use engine_core::remedy::Job;
use engine_core::schema::{CodeTable, ColumnOrderKind, SubColumnName};
use engine_core::train::TrainPlan;
use serde::{Deserialize, Serialize};

use crate::EngineError;
use crate::identity::Identity;
use crate::workspace::{Workspace, store};

/// Factor of the largest batch that the heuristic allows. It is the same on every machine, and stored so that one can
/// see it.
pub const BATCH_SCALE: f64 = 1.0;

/// The kind of model of a single table.
const KIND: ModelKind = ModelKind::Flat;

/// Content of `model-configs.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfigs {
    /// Size of the model, as `MOSTLY_AI/Medium`.
    pub model_id: String,
    /// Widths of the layers.
    pub model_units: ModelUnits,
    /// In which orders of the columns the model is trained: as many can be drawn.
    #[serde(rename = "enable_flexible_generation")]
    pub order: ColumnOrderKind,
}

/// Content of `training.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainingRecord {
    /// Seed of the training.
    pub seed: u64,
    /// [`BATCH_SCALE`].
    pub batch_scale: f64,
    /// Whether the weights are calibrated when the training is over.
    #[serde(default)]
    pub calibrate: bool,
    /// Identity of this training; unknown when another engine did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Identity>,
    /// The codes that it was begun on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes: Option<Identity>,
    /// The statistics of those codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Identity>,
    /// Whether it began at weights that were there.
    #[serde(default)]
    pub reuses: bool,
    /// Sizes of batches and the first learning rate.
    #[serde(flatten)]
    pub plan: TrainPlan,
}

impl ModelConfigs {
    /// The layers of a new model.
    pub(crate) fn new(size: ModelSize, stats: &TableStats, order: ColumnOrderKind) -> Self {
        Self {
            model_id: size.id().to_owned(),
            model_units: KIND.units(size, &named_sub_columns(stats)),
            order,
        }
    }

    /// Reads the layers of a stored model; `None` when there is none.
    pub(crate) fn load(workspace: &Workspace) -> Result<Option<Self>, EngineError> {
        let text = workspace.store_text(store::CONFIGS)?;
        let read = |text: &str| {
            serde_json::from_str(text).map_err(|e| EngineError::Corrupt {
                path: workspace.store_path(store::CONFIGS),
                reason: format!("the layers of the model cannot be read ({e})"),
                made_by: Job::Train,
            })
        };
        text.map(|text| read(&text)).transpose()
    }

    /// The model over these statistics. With training rows, new predictors start at the shares of their codes.
    pub(crate) fn model(
        &self,
        stats: &TableStats,
        rows: Option<&CodeTable>,
    ) -> Result<Arc<dyn Model>, EngineError> {
        let sub_columns = named_sub_columns(stats);
        let probabilities = rows
            .map(|rows| empirical_probabilities(stats, &[rows]))
            .transpose()?;
        let biases = probabilities.map(|p| empirical_biases(&p));
        Ok(KIND.build(ModelParts {
            sub_columns,
            units: &self.model_units,
            order: self.order,
            predictor_biases: biases.as_deref(),
        })?)
    }
}

impl TrainingRecord {
    /// Reads how a stored model was trained; `None` when that is not known.
    pub(crate) fn load(workspace: &Workspace) -> Result<Option<Self>, EngineError> {
        let text = workspace.store_text(store::TRAINING)?;
        let read = |text: &str| {
            serde_json::from_str(text).map_err(|e| EngineError::Corrupt {
                path: workspace.store_path(store::TRAINING),
                reason: e.to_string(),
                made_by: Job::Train,
            })
        };
        text.map(|text| read(&text)).transpose()
    }
}

fn named_sub_columns(stats: &TableStats) -> Vec<(SubColumnName, usize)> {
    let sub_columns = stats.sub_columns().into_iter();
    sub_columns.map(|sub| (sub.name, sub.cardinality)).collect()
}
