//! What is observed in the rows of a query: the columns of a table in the model's types, and as codes.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use engine_core::encode::encode_present;
use engine_core::generate::Cells;
use engine_core::ir::ops::sampling::Cell;
use engine_core::schema::CodeTable;

use super::InferenceError;
use super::decoded::written;
use super::fitted::fitted;
use super::model::{Column, InferenceModel};
use super::unknown::UnknownCounts;
use crate::EngineError;
use crate::data::{DataError, Role, TableBatch, list_names};

/// Where rows come from, and how strictly they are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableOrigin<'a> {
    /// The table, for messages.
    pub(crate) table: &'a str,
    /// Row of the whole table that the first row is.
    pub(crate) first_row: u64,
    /// Whether what does not fit is ignored with a warning.
    pub(crate) lenient: bool,
    /// Counts what the model does not know and what does not fit it over all batches; without it each batch is reported by itself.
    pub(crate) unknown: Option<&'a UnknownCounts>,
}

/// Rows of a query.
#[derive(Debug, Clone)]
pub(crate) struct ConditioningRows {
    /// Number of rows.
    pub(crate) rows: usize,
    /// Values by column of the model, in the model's types; `None` where the table has no such column.
    pub(crate) arrays: Vec<Option<ArrayRef>>,
    codes: CodeTable,
    /// Whether nulls that the model has never seen count as an unknown value rather than as not observed.
    counts_nulls: bool,
}

impl ConditioningRows {
    /// Takes the columns of a batch that the model has, but for those that `skips` names.
    pub(crate) fn of(
        model: &InferenceModel,
        batch: &RecordBatch,
        origin: TableOrigin<'_>,
        skips: &[usize],
    ) -> Result<Self, EngineError> {
        let rows = batch.num_rows();
        let mut arrays = Vec::with_capacity(model.columns.len());
        for (at, column) in model.columns.iter().enumerate() {
            let array = batch
                .column_by_name(&column.name)
                .filter(|_| !skips.contains(&at));
            let fitted = match array {
                None => None,
                Some(array) => fitted(array, &written(model, &column.name), origin)?,
            };
            arrays.push(fitted);
        }
        let codes = codes(model, &arrays, rows, origin)?;
        Ok(Self {
            rows,
            arrays,
            codes,
            counts_nulls: false,
        })
    }

    /// The same rows, in which a null that the model has never seen is as unlikely as a value that it has never seen.
    pub(crate) fn counting_nulls(self) -> Self {
        Self {
            counts_nulls: true,
            ..self
        }
    }

    fn knows_null(&self, column: &Column) -> bool {
        column.knows_null || self.counts_nulls && column.codes_null
    }

    /// Whether a column is given and can be observed in a row: nulls of a column that had none in training are not.
    pub(crate) fn is_observed(&self, column: &Column, at: usize, row: usize) -> bool {
        self.arrays[at]
            .as_ref()
            .is_some_and(|array| self.knows_null(column) || array.is_valid(row))
    }

    /// Observes the given values of these rows, in cells of as many rows; nulls of columns that `imputed` marks stay as they are.
    pub(crate) fn observe(
        &self,
        model: &InferenceModel,
        cells: &mut Cells,
        first_row: usize,
        imputed: &[bool],
    ) {
        for (at, column) in model.columns.iter().enumerate() {
            let Some(array) = &self.arrays[at] else { continue };
            let fills = imputed.get(at).copied().unwrap_or(false) || !self.knows_null(column);
            cells.observe(column.sub_columns.clone(), &self.codes, first_row, |row| {
                !fills || array.is_valid(first_row + row)
            });
        }
    }

    /// The code of a column of one sub-column.
    pub(crate) fn code(&self, row: usize, sub_column: usize) -> u32 {
        self.codes.get(row, sub_column)
    }

    /// All rows as cells: what is given is observed, all else is `other`.
    pub(crate) fn cells(&self, model: &InferenceModel, other: Cell) -> Cells {
        let width = model.loaded.sub_columns();
        let mut cells = match other {
            Cell::Sampled => Cells::sampled(self.rows, width),
            _ => Cells::masked(self.rows, width),
        };
        self.observe(model, &mut cells, 0, &[]);
        cells
    }
}

/// Names of a table against those of the model: none in common is an error, what the model does not know is logged.
pub(crate) fn check_names<'n>(
    model: &InferenceModel,
    names: impl ExactSizeIterator<Item = &'n str> + Clone,
    origin: TableOrigin<'_>,
) -> Result<(), EngineError> {
    let known = |name: &&str| {
        model
            .format
            .column(name)
            .is_some_and(|c| c.role != Role::Excluded)
    };
    let ignored: Vec<&str> = names.clone().filter(|name| !known(name)).collect();
    if ignored.len() == names.len() && !ignored.is_empty() && !origin.lenient {
        return Err(InferenceError::NoModelColumn {
            table: origin.table.to_owned(),
            known: list_names(model.columns.iter().map(|c| c.name.as_str())),
        }
        .into());
    }
    if !ignored.is_empty() {
        let columns = list_names(ignored.into_iter());
        tracing::warn!("columns that the model does not have are ignored: {columns}");
    }
    Ok(())
}

/// Codes of all columns; of those that are not given there are zeros, which are not read.
fn codes(
    model: &InferenceModel,
    arrays: &[Option<ArrayRef>],
    rows: usize,
    origin: TableOrigin<'_>,
) -> Result<CodeTable, EngineError> {
    let mut fields = Vec::with_capacity(arrays.len());
    let mut columns = Vec::with_capacity(arrays.len());
    for (column, array) in model.columns.iter().zip(arrays) {
        let Some(array) = array else { continue };
        fields.push(Field::new(&column.name, array.data_type().clone(), true));
        columns.push(Arc::clone(array));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
    let batch = batch.map_err(|source| DataError::Convert {
        column: "*".to_owned(),
        data_type: "one record batch".to_owned(),
        source,
    })?;
    let shown = TableBatch::encoded_as(&batch, &model.types)?;
    let failed = |source| EngineError::Encode {
        table: origin.table.to_owned(),
        source,
    };
    let table = shown.table()?;
    // The model canonicalises nulls, so the seed does not matter.
    let (codes, unknown) = encode_present(&table, &model.stats, 0, origin.first_row).map_err(failed)?;
    match origin.unknown {
        Some(counts) => counts.add(unknown),
        None => UnknownCounts::default().add(unknown),
    }
    Ok(codes)
}
