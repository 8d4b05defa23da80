//! What is observed in the rows of a query: the columns of a table in the model's types, and as codes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, PrimitiveArray, RecordBatch, RecordBatchOptions,
    new_null_array,
};
use arrow_cast::cast;
use arrow_cast::display::array_value_to_string;
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use arrow_select::nullif::nullif;
use engine_core::encode::{count_unknown, encode_present};
use engine_core::generate::Cells;
use engine_core::ir::ops::sampling::Cell;
use engine_core::schema::CodeTable;

use super::InferenceError;
use super::decoded::written;
use super::model::{Column, InferenceModel};
use super::unknown::UnknownCounts;
use crate::EngineError;
use crate::data::{ColumnFormat, DataError, Role, TableBatch, list_names, shorten, values_of_texts};

/// Where rows come from, and how strictly they are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableOrigin<'a> {
    /// The table, for messages.
    pub(crate) table: &'a str,
    /// Row of the whole table that the first row is.
    pub(crate) first_row: u64,
    /// Whether what does not fit is ignored with a warning.
    pub(crate) lenient: bool,
    /// Counts what the model does not know over all batches; without it each batch is reported by itself.
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
    let codes = encode_present(&table, &model.stats, 0, origin.first_row).map_err(failed)?;
    let unknown = count_unknown(&table, &model.stats).map_err(failed)?;
    match origin.unknown {
        Some(counts) => counts.add(unknown),
        None => UnknownCounts::default().add(unknown),
    }
    Ok(codes)
}

/// Values in the type of the model; `None` when the column is ignored.
pub(crate) fn fitted(
    array: &ArrayRef,
    column: &ColumnFormat,
    origin: TableOrigin<'_>,
) -> Result<Option<ArrayRef>, EngineError> {
    let (name, to) = (column.name.as_str(), &column.data_type);
    let array = without_nan(&undictionaried(array, name)?);
    if array.data_type() == to {
        return Ok(Some(array));
    }
    let convert = |source| DataError::Convert {
        column: name.to_owned(),
        data_type: to.to_string(),
        source,
    };
    let (from_text, to_text) = (array.data_type().is_string(), is_text(to));
    let new = if array.data_type() == &DataType::Null {
        return Ok(Some(new_null_array(to, array.len())));
    } else if from_text && !to_text {
        let texts = cast(&array, &DataType::Utf8).map_err(convert)?;
        let trimmed = texts
            .as_string::<i32>()
            .iter()
            .map(|t| t.map(str::trim))
            .collect();
        values_of_texts(&trimmed, column).map_err(convert)?
    } else if to_text || is_date(array.data_type()) == is_date(to) {
        cast(&array, to).map_err(convert)?
    } else {
        if !origin.lenient {
            return Err(InferenceError::Type {
                table: origin.table.to_owned(),
                column: name.to_owned(),
                given: array.data_type().to_string(),
                expected: to.to_string(),
            }
            .into());
        }
        tracing::warn!(
            column = name,
            "a column of another type than the model's is ignored"
        );
        return Ok(None);
    };
    let new = without_fractions(&array, new);
    let new = without_rounding(&array, new).map_err(convert)?;
    check_values(&array, &new, name, origin)?;
    Ok(Some(new))
}

/// The first value that has got lost on the way to the model's type is an error.
fn check_values(
    old: &ArrayRef,
    new: &ArrayRef,
    name: &str,
    origin: TableOrigin<'_>,
) -> Result<(), EngineError> {
    let mut lost = (0..old.len()).filter(|row| old.is_valid(*row) && new.is_null(*row));
    let Some(row) = lost.next() else { return Ok(()) };
    if origin.lenient {
        let count = 1 + lost.count();
        tracing::warn!(
            column = name,
            count,
            "values that do not fit the model's type are read as null"
        );
        return Ok(());
    }
    let value = array_value_to_string(old, row).unwrap_or_default();
    Err(InferenceError::Value {
        table: origin.table.to_owned(),
        row: origin.first_row + row as u64 + 1,
        column: name.to_owned(),
        value: shorten(value.as_bytes()),
        expected: new.data_type().to_string(),
    }
    .into())
}

/// Numbers that are not whole are no whole numbers.
fn without_fractions(old: &ArrayRef, new: ArrayRef) -> ArrayRef {
    if !new.data_type().is_integer() || !old.data_type().is_floating() {
        return new;
    }
    let Ok(old) = cast(old, &DataType::Float64) else {
        return new;
    };
    let whole = old.as_primitive::<Float64Type>().iter();
    let whole: Float64Array = whole.map(|v| v.filter(|v| v.fract() == 0.0)).collect();
    cast(&whole, new.data_type()).unwrap_or(new)
}

/// Dates with a time of day are no dates, and decimals that a type has no places for are none of it.
fn without_rounding(old: &ArrayRef, new: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let (from, to) = (old.data_type(), new.data_type());
    let is_rounded: BooleanArray = if is_date(from) && is_day(to) {
        let micros = |array: &ArrayRef| -> Result<ArrayRef, ArrowError> {
            let instants = DataType::Timestamp(TimeUnit::Microsecond, None);
            cast(&cast(array, &instants)?, &DataType::Int64)
        };
        let (before, after) = (micros(old)?, micros(&new)?);
        let pairs = before
            .as_primitive::<Int64Type>()
            .iter()
            .zip(after.as_primitive::<Int64Type>());
        pairs.map(|(before, after)| Some(before != after)).collect()
    } else if from.is_numeric() && is_decimal(to) {
        let (before, after) = (cast(old, &DataType::Float64)?, cast(&new, &DataType::Float64)?);
        let pairs = before
            .as_primitive::<Float64Type>()
            .iter()
            .zip(after.as_primitive::<Float64Type>());
        pairs.map(|(before, after)| Some(before != after)).collect()
    } else {
        return Ok(new);
    };
    match is_rounded.true_count() {
        0 => Ok(new),
        _ => nullif(&new, &is_rounded),
    }
}

fn is_day(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64)
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    )
}

fn undictionaried(array: &ArrayRef, name: &str) -> Result<ArrayRef, DataError> {
    let DataType::Dictionary(_, values) = array.data_type() else {
        return Ok(Arc::clone(array));
    };
    cast(array, values).map_err(|source| DataError::Convert {
        column: name.to_owned(),
        data_type: values.to_string(),
        source,
    })
}

/// NaN is null.
pub(crate) fn without_nan(array: &ArrayRef) -> ArrayRef {
    macro_rules! filtered {
        ($type:ty, $is_nan:expr) => {{
            let values = array.as_primitive::<$type>();
            if values.values().iter().any(|v| $is_nan(*v)) {
                let kept = values.iter().map(|v| v.filter(|v| !$is_nan(*v)));
                Arc::new(kept.collect::<PrimitiveArray<$type>>())
            } else {
                Arc::clone(array)
            }
        }};
    }
    match array.data_type() {
        DataType::Float16 => filtered!(Float16Type, |v| f32::from(v).is_nan()),
        DataType::Float32 => filtered!(Float32Type, f32::is_nan),
        DataType::Float64 => filtered!(Float64Type, f64::is_nan),
        _ => Arc::clone(array),
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => values.is_string(),
        other => other.is_string(),
    }
}

fn is_date(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => values.is_temporal(),
        other => other.is_temporal(),
    }
}
