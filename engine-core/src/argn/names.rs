//! The names of parameters in `model-weights.safetensors` and of layers in the map of widths: those of mostlyai-engine's models, made
//! here and nowhere else.

use crate::schema::SubColumnName;

/// Weight of the embedding of a sub-column.
pub(crate) fn embedding(sub_column: &SubColumnName) -> String {
    weight(&format!("embedders.embedders.{}", embedding_width(sub_column)))
}

/// The layer that compresses the embeddings of a column.
pub(crate) fn compressor(column: &str) -> String {
    format!("column_embedders.column_embedders.{}", compressor_width(column))
}

/// Layer number `layer` of the regressor of a sub-column.
pub(crate) fn regressor(sub_column: &SubColumnName, layer: usize) -> String {
    format!("regressors.regressors.{}.{layer}", regressor_widths(sub_column))
}

/// The layer that makes the logits of a sub-column.
pub(crate) fn predictor(sub_column: &SubColumnName) -> String {
    format!("predictors.predictors.{sub_column}")
}

/// Weight of a layer.
pub(crate) fn weight(layer: &str) -> String {
    format!("{layer}.weight")
}

/// Bias of a layer.
pub(crate) fn bias(layer: &str) -> String {
    format!("{layer}.bias")
}

/// Width of the embedding of a sub-column, in the map of widths.
pub(crate) fn embedding_width(sub_column: &SubColumnName) -> String {
    format!("embedder@{sub_column}")
}

/// Width of a column whose embeddings are compressed, in the map of widths.
pub(crate) fn compressor_width(column: &str) -> String {
    format!("column_embedder@{column}")
}

/// Widths of the layers of the regressor of a sub-column, in the map of widths.
pub(crate) fn regressor_widths(sub_column: &SubColumnName) -> String {
    format!("regressor@{sub_column}")
}
