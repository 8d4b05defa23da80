//! From codes of a few columns to arrays in the types of the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;
use engine_core::encode::{BinOffsets, decode};
use engine_core::schema::{CodeTable, DecodedColumn};

use super::model::InferenceModel;
use crate::EngineError;
use crate::data::{
    ColumnFormat, DataError, SourceFormat, TABLE_FORMAT_VERSION, TableFormat, to_record_batch,
};

/// A format of these columns.
pub(crate) fn format_of(columns: Vec<ColumnFormat>, model: &InferenceModel) -> TableFormat {
    TableFormat {
        version: TABLE_FORMAT_VERSION,
        source: SourceFormat::Arrow,
        csv: model.format.csv,
        null_texts: Vec::new(),
        keep_null_words: false,
        metadata: BTreeMap::new(),
        columns,
    }
}

/// How the model's table writes a column.
pub(crate) fn written(model: &InferenceModel, name: &str) -> ColumnFormat {
    let found = model.format.column(name).cloned();
    found.unwrap_or_else(|| ColumnFormat::new(name, DataType::Utf8))
}

/// Codes of all columns of the model as arrays of those that are named, in their order and the types of the table.
pub(crate) fn arrays(
    model: &InferenceModel,
    codes: &CodeTable,
    names: &[&str],
    positions: BinOffsets,
) -> Result<RecordBatch, EngineError> {
    let decoded = decode(codes, &model.stats, positions)?;
    let kept: Vec<DecodedColumn> = decoded
        .into_iter()
        .filter(|c| names.contains(&c.name.as_str()))
        .collect();
    let columns = names.iter().map(|name| written(model, name)).collect();
    Ok(to_record_batch(kept, &format_of(columns, model))?)
}

/// The values of one of some decoded columns as texts.
pub(crate) fn texts(
    model: &InferenceModel,
    decoded: Vec<DecodedColumn>,
    name: &str,
) -> Result<Vec<Option<String>>, EngineError> {
    let kept: Vec<DecodedColumn> = decoded.into_iter().filter(|c| c.name == name).collect();
    let batch = to_record_batch(kept, &format_of(vec![written(model, name)], model))?;
    let values = match batch.column(0).data_type() {
        // As texts Arrow knows but offsets; the model's form puts the zone back.
        DataType::Timestamp(unit, Some(_)) => {
            let ticks = as_type(batch.column(0), name, &DataType::Int64)?;
            as_type(&ticks, name, &DataType::Timestamp(*unit, None))?
        }
        _ => Arc::clone(batch.column(0)),
    };
    let texts = as_type(&values, name, &DataType::Utf8)?;
    Ok(texts
        .as_string::<i32>()
        .iter()
        .map(|t| t.map(str::to_owned))
        .collect())
}

/// A cast whose failure names the column.
pub(crate) fn as_type(array: &ArrayRef, name: &str, to: &DataType) -> Result<ArrayRef, DataError> {
    cast(array, to).map_err(|source| DataError::Convert {
        column: name.to_owned(),
        data_type: to.to_string(),
        source,
    })
}
