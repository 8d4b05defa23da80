//! Values of the seed data in the rows that are drawn around them.

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_select::zip::zip;

use super::draw::SEED_DATA;
use super::options::SampleOptions;
use crate::EngineError;
use crate::data::{DataError, Role};
use crate::inference::conditioning::{TableOrigin, fitted};
use crate::inference::model::InferenceModel;

/// Values of the seed data, which are returned as they are.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    columns: Vec<(String, ArrayRef, bool)>,
}

impl Overlay {
    /// Takes the seed data in the types of the output.
    pub(super) fn new(model: &InferenceModel, options: &SampleOptions) -> Result<Self, EngineError> {
        let Some(batch) = &options.seed_data else {
            return Ok(Self::default());
        };
        let origin = TableOrigin {
            table: SEED_DATA,
            first_row: 0,
            lenient: options.lenient,
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
            if let Some(array) = fitted(array, &column.name, &column.data_type, origin)? {
                columns.push((column.name.clone(), array, options.impute.contains(&column.name)));
            }
        }
        Ok(Self { columns })
    }

    /// Puts the seed data of rows `first_row ..` in place of what was drawn.
    pub(super) fn lay(&self, batch: RecordBatch, first_row: usize) -> Result<RecordBatch, EngineError> {
        let mut arrays = batch.columns().to_vec();
        for (name, given, imputed) in &self.columns {
            let Ok(at) = batch.schema_ref().index_of(name) else {
                continue;
            };
            let convert = |source| DataError::Convert {
                column: name.clone(),
                data_type: "a column of seed data and draws".to_owned(),
                source,
            };
            let given = given.slice(first_row, batch.num_rows());
            arrays[at] = match imputed {
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
}

/// Where an array has no value.
fn missing(array: &ArrayRef) -> BooleanArray {
    match array.logical_nulls() {
        Some(nulls) => BooleanArray::new(!nulls.inner(), None),
        None => BooleanArray::new(BooleanBuffer::new_unset(array.len()), None),
    }
}
