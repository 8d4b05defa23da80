//! What a person wants to know of a model.

use engine_core::encode::{ColumnStats, EncodingStats, TableStats};
use serde::Serialize;

use super::stored_model::StoredModel;
use crate::data::{Role, TableFormat};

/// A column and how it is encoded.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnSummary {
    /// Name in the table.
    pub name: String,
    /// Arrow type in the output.
    pub data_type: String,
    /// `model`, `primary_key` or `excluded`.
    pub role: String,
    /// Encoding, of columns of the model that held any row.
    pub encoding: Option<String>,
    /// Sub-columns and their cardinalities.
    pub sub_columns: Vec<(String, usize)>,
    /// Categories that are protected because they are rare; of categorical columns.
    pub rare_categories: Option<u64>,
}

/// A model and its training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelSummary {
    /// Columns in table order.
    pub columns: Vec<ColumnSummary>,
    /// Rows trained on.
    pub training_rows: u64,
    /// Rows validated on.
    pub validation_rows: u64,
    /// `MOSTLY_AI/Medium` and so on.
    pub model: String,
    /// Whether columns can be drawn in any order.
    #[serde(rename = "flexible")]
    pub any_order: bool,
    /// Number of parameters.
    pub parameters: usize,
    /// Rows of a batch, where known.
    pub batch_size: Option<usize>,
    /// Seed of the training, where known.
    pub seed: Option<u64>,
    /// Epochs of the training.
    pub epochs: Option<f64>,
    /// Best validation loss, in nats per row.
    pub best_val_loss: Option<f64>,
    /// Seconds of the training.
    pub seconds: Option<f64>,
}

impl ModelSummary {
    pub(crate) fn of(model: &StoredModel) -> Self {
        let stats = model.stats();
        let last = model.progress().last();
        let losses = model
            .progress()
            .iter()
            .filter(|m| m.is_checkpoint == 1)
            .filter_map(|m| m.val_loss);
        let record = model.training();
        Self {
            columns: summaries(stats, model.format()),
            training_rows: stats.no_of_training_records,
            validation_rows: stats.no_of_validation_records,
            model: model.configs().model_id.clone(),
            any_order: model.configs().order.is_any(),
            parameters: model.params().len(),
            batch_size: record.map(|f| f.plan.batch_size),
            seed: record.map(|f| f.seed),
            epochs: last.map(|m| m.epoch),
            best_val_loss: losses.reduce(f64::min),
            seconds: last.map(|m| m.total_time),
        }
    }
}

/// The columns of a table in table order.
pub(crate) fn summaries(stats: &TableStats, format: &TableFormat) -> Vec<ColumnSummary> {
    let (model_columns, sub_columns) = (stats.model_columns(), stats.sub_columns());
    let summary = |column: &crate::data::ColumnFormat| {
        let modelled = model_columns.iter().find(|c| c.name == column.name);
        let subs = modelled.map_or(0..0, |c| c.sub_columns.clone());
        let values = stats.columns.get(&column.name).and_then(ColumnStats::values);
        let rare = values.and_then(EncodingStats::rare_categories);
        ColumnSummary {
            name: column.name.clone(),
            data_type: column.data_type.to_string(),
            role: match column.role {
                Role::Model => "model",
                Role::PrimaryKey => "primary_key",
                Role::Excluded => "excluded",
            }
            .to_owned(),
            encoding: modelled.map(|c| c.encoding.name().to_owned()),
            sub_columns: sub_columns[subs]
                .iter()
                .map(|s| (s.name.sub().to_owned(), s.cardinality))
                .collect(),
            rare_categories: rare,
        }
    };
    format.columns.iter().map(summary).collect()
}
