//! Values of the seed data in the rows that are drawn around them.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Schema};
use arrow_select::zip::zip;

use super::draw::SEED_DATA;
use super::options::SampleOptions;
use crate::EngineError;
use crate::data::{DataError, GivenCells, Role};
use crate::inference::conditioning::{ConditioningRows, TableOrigin};
use crate::inference::fitted::fitted;
use crate::inference::model::InferenceModel;

/// Values of the seed data, which are returned as they are.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    columns: Vec<Given>,
}

/// A column of the seed data.
#[derive(Debug)]
struct Given {
    name: String,
    values: ArrayRef,
    /// The texts that they were read from, if they were.
    texts: Option<ArrayRef>,
    /// Whether nulls are drawn.
    imputed: bool,
}

impl Overlay {
    /// Takes the seed data in the types of the output; `given` are those of the columns that the model has learnt.
    pub(super) fn new(
        model: &InferenceModel,
        options: &SampleOptions,
        given: Option<&ConditioningRows>,
    ) -> Result<Self, EngineError> {
        let Some(batch) = &options.seed_data else {
            return Ok(Self::default());
        };
        let origin = TableOrigin {
            table: SEED_DATA,
            first_row: 0,
            lenient: options.lenient,
            unknown: None,
        };
        let mut columns = Vec::new();
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let Some(column) = model
                .format
                .column(field.name())
                .filter(|c| c.role != Role::Excluded)
            else {
                continue;
            };
            let place = model.columns.iter().position(|c| c.name == column.name);
            let values = match (given, place) {
                (Some(given), Some(place)) => given.arrays[place].clone(),
                // Keys are not learnt.
                _ => fitted(array, column, origin)?,
            };
            if let Some(values) = values {
                columns.push(Given {
                    name: column.name.clone(),
                    texts: texts_of(options, &column.name, values.len())?,
                    values,
                    imputed: options.impute.contains(&column.name),
                });
            }
        }
        Ok(Self { columns })
    }

    /// Puts the seed data of rows `first_row ..` in place of what was drawn.
    pub(super) fn lay(&self, batch: RecordBatch, first_row: usize) -> Result<RecordBatch, EngineError> {
        let mut arrays = batch.columns().to_vec();
        for column in &self.columns {
            let name = &column.name;
            let Ok(at) = batch.schema_ref().index_of(name) else {
                continue;
            };
            let convert = |source| DataError::Convert {
                column: name.clone(),
                data_type: "a column of seed data and draws".to_owned(),
                source,
            };
            let given = column.values.slice(first_row, batch.num_rows());
            arrays[at] = match column.imputed {
                true => zip(&missing(&given), &arrays[at], &given).map_err(convert)?,
                false => given,
            };
        }
        let schema = batch.schema();
        let convert = |source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "the schema of the table".to_owned(),
            source,
        };
        Ok(RecordBatch::try_new(schema, arrays).map_err(convert)?)
    }

    /// Which cells of rows `first_row ..` are given, by column of the schema.
    pub(super) fn cells(&self, schema: &Schema, first_row: usize, rows: usize) -> Vec<Option<GivenCells>> {
        let of_field = |name: &str| {
            let column = self.columns.iter().find(|c| c.name == name)?;
            let values = column.values.slice(first_row, rows);
            let drawn = missing(&values);
            let is_given = |row: usize| !(column.imputed && drawn.value(row));
            Some(GivenCells {
                rows: (0..rows).map(|row| Some(is_given(row))).collect(),
                texts: column.texts.as_ref().map(|texts| texts.slice(first_row, rows)),
            })
        };
        schema.fields().iter().map(|f| of_field(f.name())).collect()
    }
}

/// The texts of a column of the seed data.
fn texts_of(options: &SampleOptions, name: &str, rows: usize) -> Result<Option<ArrayRef>, EngineError> {
    let Some(texts) = options.seed_texts.as_ref().and_then(|t| t.column_by_name(name)) else {
        return Ok(None);
    };
    if texts.len() != rows || texts.data_type() != &DataType::Utf8 {
        return Err(DataError::Mismatch {
            column: name.to_owned(),
            problem: "the texts of the seed data are not one Utf8 value for each row",
        }
        .into());
    }
    Ok(Some(Arc::clone(texts)))
}

/// Where an array has no value.
fn missing(array: &ArrayRef) -> BooleanArray {
    match array.logical_nulls() {
        Some(nulls) => BooleanArray::new(!nulls.inner(), None),
        None => BooleanArray::new(BooleanBuffer::new_unset(array.len()), None),
    }
}
