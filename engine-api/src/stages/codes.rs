//! Codes on disk: Parquet files of integers, one column for each sub-column.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int8Array, Int16Array, Int32Array, RecordBatch, RecordBatchOptions};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use engine_core::encode::{SplitPart, SubColumn};
use engine_core::schema::{CodeColumn, CodeTable};
use rayon::prelude::*;

use super::parts::{PartFile, PartRows};
use crate::EngineError;
use crate::data::{DataError, ParquetWriter};

/// Cells that are put into a record batch at once, and how many rows that is at least and at most.
const BATCH_CELLS: usize = 1 << 22;
const BATCH_ROWS: std::ops::RangeInclusive<usize> = 1 << 10..=1 << 17;
/// Rows for which memory is allocated at once; more are allocated as they come.
const MAX_CAPACITY: u64 = 1 << 27;

/// A table of codes without rows, with capacity for so many.
pub(super) fn empty_codes(sub_columns: &[SubColumn], rows: u64) -> Result<CodeTable, EngineError> {
    // A number of rows that a damaged file claims must not use up the memory.
    let capacity = rows.min(MAX_CAPACITY) as usize;
    let columns = sub_columns
        .iter()
        .map(|s| CodeColumn::with_capacity(s.cardinality, capacity));
    table(columns.collect(), 0, sub_columns)
}

/// Writes the codes of a part: first the row `order(0)`, then `order(1)` and so on.
pub(super) fn write_codes(
    path: &Path,
    codes: &CodeTable,
    sub_columns: &[SubColumn],
    order: impl Fn(usize) -> usize + Sync,
) -> Result<(), EngineError> {
    let fields = sub_columns
        .iter()
        .map(|s| Field::new(s.name.as_str(), narrowest(s.cardinality), false));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let mut writer = ParquetWriter::create(path, Arc::clone(&schema))?;
    let max = (BATCH_CELLS / sub_columns.len().max(1)).clamp(*BATCH_ROWS.start(), *BATCH_ROWS.end());
    for start in (0..codes.rows()).step_by(max) {
        let end = (start + max).min(codes.rows());
        let rows: Vec<usize> = (start..end).into_par_iter().map(&order).collect();
        let arrays = codes.columns().par_iter().zip(sub_columns);
        let arrays = arrays.map(|(column, sub)| to_array(column, sub.cardinality, &rows));
        let arrays: Vec<ArrayRef> = arrays.collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options);
        let batch = batch.map_err(|source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "codes".to_owned(),
            source,
        })?;
        writer.write(&batch)?;
    }
    writer.finish()?;
    Ok(())
}

/// The narrowest signed type, which every reader of Parquet knows.
fn narrowest(cardinality: usize) -> DataType {
    match cardinality {
        0..=128 => DataType::Int8,
        129..=32_768 => DataType::Int16,
        _ => DataType::Int32,
    }
}

/// The codes of some rows in the narrowest type.
fn to_array(codes: &CodeColumn, cardinality: usize, rows: &[usize]) -> ArrayRef {
    let codes = rows.iter().map(|&row| codes.get(row));
    match narrowest(cardinality) {
        DataType::Int8 => Arc::new(Int8Array::from_iter_values(codes.map(|c| c as i8))),
        DataType::Int16 => Arc::new(Int16Array::from_iter_values(codes.map(|c| c as i16))),
        _ => Arc::new(Int32Array::from_iter_values(codes.map(|c| c as i32))),
    }
}

/// All codes of one purpose, in the order of the files. Integers of any width are taken.
pub(super) fn read_codes(
    files: &[PartFile],
    part: SplitPart,
    sub_columns: &[SubColumn],
) -> Result<CodeTable, EngineError> {
    let files = files.iter().filter(|file| file.part == part);
    let parts = files.map(|file| Ok((file, PartRows::open(&file.path)?)));
    let parts = parts.collect::<Result<Vec<_>, EngineError>>()?;
    let rows = parts
        .iter()
        .fold(0, |sum: u64, (_, part)| sum.saturating_add(part.rows));
    let mut all = empty_codes(sub_columns, rows)?;
    for (file, part) in parts {
        for batch in part.batches()? {
            let batch = batch?;
            let columns = sub_columns.iter().map(|sub| read_column(&file.path, &batch, sub));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let more = table(columns, batch.num_rows(), sub_columns)?;
            debug_assert_eq!(all.columns().len(), more.columns().len());
            let _ = all.append(&more);
        }
    }
    Ok(all)
}

fn table(columns: Vec<CodeColumn>, rows: usize, sub_columns: &[SubColumn]) -> Result<CodeTable, EngineError> {
    let got = columns.len();
    CodeTable::new(columns, rows).ok_or_else(|| {
        engine_core::encode::EncodeError::UnequalColumns {
            expected: sub_columns.len(),
            got,
        }
        .into()
    })
}

fn read_column(path: &Path, batch: &RecordBatch, sub: &SubColumn) -> Result<CodeColumn, EngineError> {
    let unfit = |problem: String| EngineError::CodesDoNotFit {
        path: path.to_owned(),
        column: sub.name.to_string(),
        problem,
    };
    let array = batch.column_by_name(sub.name.as_str());
    let array = array.ok_or_else(|| unfit("is missing".to_owned()))?;
    if !array.data_type().is_integer() || array.null_count() > 0 {
        return Err(unfit("must hold whole numbers and no null".to_owned()));
    }
    let codes = cast(array, &DataType::Int64).map_err(|e| unfit(format!("cannot be read ({e})")))?;
    let codes = codes.as_primitive::<Int64Type>().values();
    let cardinality = sub.cardinality;
    if let Some(code) = codes
        .iter()
        .find(|c| usize::try_from(**c).map_or(true, |c| c >= cardinality))
    {
        return Err(unfit(format!(
            "holds code {code}, its cardinality is {cardinality}"
        )));
    }
    Ok(CodeColumn::from_codes(
        cardinality,
        codes.iter().map(|c| *c as u32),
    ))
}
