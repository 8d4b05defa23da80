//! A trained model in memory: all that sampling needs.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use engine_core::argn::{Model, ModelError};
use engine_core::encode::{BinOffsets, Compat, EncodeError, TableStats, decode};
use engine_core::remedy::Job;
use engine_core::schema::{CodeColumn, CodeTable, DecodedValues};
use engine_core::target_name;
use engine_core::train::ProgressMessage;
use serde::{Deserialize, Serialize};

use super::configs::{ModelConfigs, TrainingRecord};
use super::progress_file::read_progress;
use super::weights::from_safetensors;
use crate::EngineError;
use crate::data::{ColumnFormat, DataError, Role, SourceFormat, TABLE_FORMAT_VERSION, TableFormat};
use crate::identity::{Identity, check_model};
use crate::workspace::{Workspace, store};

/// Statistics, table format, layers and weights of a trained model.
#[derive(Debug, Clone)]
pub struct StoredModel {
    pub(crate) stats: Arc<TableStats>,
    pub(crate) format: Arc<TableFormat>,
    pub(crate) configs: ModelConfigs,
    pub(crate) model: Arc<dyn Model>,
    pub(crate) params: Arc<[f32]>,
    pub(crate) progress: Vec<ProgressMessage>,
    pub(crate) training: Option<TrainingRecord>,
}

/// Content of `analysis.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Analysis {
    /// Identity of these statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<Identity>,
    /// Which split was analyzed; unknown when another engine made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) split: Option<Identity>,
    /// Seed of the thresholds of value protection.
    pub(crate) seed: u64,
    /// Whether rare values were protected.
    #[serde(default)]
    pub(crate) is_protected: bool,
    /// Whose rules hold.
    #[serde(default)]
    pub(crate) compat: Compat,
    /// Whether a privacy budget was spent instead.
    #[serde(default)]
    pub(crate) is_private: bool,
}

impl Analysis {
    /// How the statistics of a workspace were made; `None` when another engine did it.
    pub(crate) fn load(workspace: &Workspace) -> Result<Option<Self>, EngineError> {
        let text = workspace.store_text(store::ANALYSIS)?;
        let read = |text: &str| {
            serde_json::from_str(text).map_err(|e| EngineError::Corrupt {
                path: workspace.store_path(store::ANALYSIS),
                reason: e.to_string(),
                made_by: Job::Analyze,
            })
        };
        text.map(|text| read(&text)).transpose()
    }
}

impl StoredModel {
    /// Loads the model of a workspace.
    ///
    /// # Errors
    /// [`EngineError::Lacks`] says what is missing and which command makes it; [`EngineError::Corrupt`] and
    /// [`EngineError::WeightsDoNotFit`] what is damaged.
    pub fn load(workspace: &Workspace) -> Result<Self, EngineError> {
        let stats = load_stats(workspace)?;
        let configs = ModelConfigs::load(workspace)?
            .ok_or_else(|| workspace.lacks("model (ModelStore/model-data/model-configs.json)", Job::Train))?;
        let model = configs.model(&stats, None)?;
        let weights = workspace.weights()?.ok_or_else(|| {
            workspace.lacks(
                "model (ModelStore/model-data/model-weights.safetensors)",
                Job::Train,
            )
        })?;
        check_model(workspace)?;
        let path = workspace.store_path(WEIGHTS);
        let params = from_safetensors(&path, &weights, model.layout())?;
        Ok(Self {
            format: Arc::new(load_format(workspace, &stats)?),
            stats: Arc::new(stats),
            configs,
            model,
            params: params.into(),
            progress: read_progress(workspace)?,
            training: TrainingRecord::load(workspace)?,
        })
    }

    /// The statistics of the table.
    pub fn stats(&self) -> &TableStats {
        &self.stats
    }

    /// Columns of the table, their types and written forms.
    pub fn format(&self) -> &TableFormat {
        &self.format
    }

    /// The layers.
    pub fn configs(&self) -> &ModelConfigs {
        &self.configs
    }

    /// The model as programs.
    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// All weights in one arena.
    pub fn params(&self) -> &[f32] {
        &self.params
    }

    /// The messages of the training.
    pub fn progress(&self) -> &[ProgressMessage] {
        &self.progress
    }

    /// How it was trained; `None` when another engine did it.
    pub fn training(&self) -> Option<&TrainingRecord> {
        self.training.as_ref()
    }

    /// The model as text: its forward pass and its training step as programs.
    ///
    /// # Errors
    /// [`EngineError::Model`] when a layer does not fit.
    pub fn graph(&self) -> Result<String, EngineError> {
        let plan = self.training.map(|record| record.plan);
        let steps = plan.map_or(1, |p| u32::try_from(p.steps_per_epoch).unwrap_or(u32::MAX));
        let forward = self.model.forward()?;
        let step = self.model.train_programs(steps)?.training_step();
        let step = step.map_err(ModelError::from)?;
        Ok(format!("{forward}\n{step}"))
    }
}

const WEIGHTS: &str = "model-data/model-weights.safetensors";

/// The statistics of a workspace.
pub(crate) fn load_stats(workspace: &Workspace) -> Result<TableStats, EngineError> {
    let text = workspace.needed_text(
        store::STATS,
        concat!(
            "file of statistics (ModelStore/",
            target_name!("-stats"),
            "/stats.json)"
        ),
        Job::Analyze,
    )?;
    TableStats::from_json(&text).map_err(|e| corrupt_stats(workspace.store_path(store::STATS), &e))
}

fn corrupt_stats(path: PathBuf, error: &EncodeError) -> EngineError {
    let reason = match error {
        EncodeError::Stats { key, reason } => format!("the statistics cannot be read ({key}: {reason})"),
        other => other.to_string(),
    };
    EngineError::Corrupt {
        path,
        reason,
        made_by: Job::Analyze,
    }
}

/// The format of the table, or when another engine made the workspace, one that follows from the statistics.
pub(crate) fn load_format(workspace: &Workspace, stats: &TableStats) -> Result<TableFormat, EngineError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Some(text) = workspace.store_text(store::TABLE_FORMAT)? else {
        return default_format(stats);
    };
    let path = workspace.store_path(store::TABLE_FORMAT);
    let file = path.display().to_string();
    let unreadable = |source| DataError::FormatJson {
        file: file.clone(),
        source,
    };
    let Version { version } = serde_json::from_str(&text).map_err(unreadable)?;
    if version > TABLE_FORMAT_VERSION {
        return Err(DataError::FormatVersion {
            file,
            found: version,
            supported: TABLE_FORMAT_VERSION,
        }
        .into());
    }
    Ok(serde_json::from_str(&text).map_err(unreadable)?)
}

/// The types that decoding gives, in model order, the primary key last.
pub(crate) fn default_format(stats: &TableStats) -> Result<TableFormat, EngineError> {
    let sub_columns = stats.sub_columns();
    let none = |cardinality| CodeColumn::zeros(cardinality, 0);
    let columns = sub_columns.iter().map(|s| none(s.cardinality)).collect();
    let nothing = CodeTable::new(columns, 0).ok_or(EncodeError::UnequalColumns {
        expected: sub_columns.len(),
        got: 0,
    })?;
    let data_type = |values: &DecodedValues| match values {
        DecodedValues::Int(_) => DataType::Int64,
        DecodedValues::Float(_) => DataType::Float64,
        DecodedValues::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Utf8,
    };
    let decoded = decode(&nothing, stats, BinOffsets::Constant(0.0))?;
    let fields = decoded
        .iter()
        .map(|c| Field::new(&c.name, data_type(&c.values), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let mut format = TableFormat::of_schema(SourceFormat::Parquet, &schema);
    if let Some(key) = &stats.keys.primary_key {
        let mut column = ColumnFormat::new(key, DataType::Utf8);
        column.role = Role::PrimaryKey;
        format.columns.push(column);
    }
    Ok(format)
}
