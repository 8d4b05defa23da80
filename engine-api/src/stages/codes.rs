//! Codes on disk: Parquet files of integers, one column for each sub-column.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int8Array, Int16Array, Int32Array, RecordBatch, RecordBatchOptions,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use engine_core::encode::{Part, SubColumn};
use engine_core::schema::{CodeColumn, CodeTable};

use super::parts::{PartFile, PartRows};
use crate::EngineError;
use crate::data::{DataError, ParquetWriter};

/// Writes the codes of a part.
pub(super) fn write_codes(
    path: &Path,
    codes: CodeTable,
    sub_columns: &[SubColumn],
) -> Result<(), EngineError> {
    let rows = codes.rows();
    let arrays = codes
        .into_columns()
        .into_iter()
        .zip(sub_columns)
        .map(|(c, s)| to_array(c, s.cardinality));
    let arrays: Vec<ArrayRef> = arrays.collect();
    let fields = sub_columns.iter().zip(&arrays);
    let fields = fields.map(|(s, array)| Field::new(s.name.as_str(), array.data_type().clone(), false));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options);
    let batch = batch.map_err(|source| DataError::Convert {
        column: "*".to_owned(),
        data_type: "codes".to_owned(),
        source,
    })?;
    let mut writer = ParquetWriter::create(path, schema)?;
    writer.write(&batch)?;
    writer.finish()?;
    Ok(())
}

/// The narrowest signed type, which every reader of Parquet knows.
fn to_array(codes: CodeColumn, cardinality: usize) -> ArrayRef {
    match cardinality {
        0..=128 => Arc::new(Int8Array::from_iter_values(
            codes.to_vec().into_iter().map(|c| c as i8),
        )),
        129..=32_768 => Arc::new(Int16Array::from_iter_values(
            codes.to_vec().into_iter().map(|c| c as i16),
        )),
        _ => Arc::new(Int32Array::from_iter_values(
            codes.to_vec().into_iter().map(|c| c as i32),
        )),
    }
}

/// All codes of one purpose, in the order of the files. Integers of any width are taken.
pub(super) fn read_codes(
    files: &[PartFile],
    part: Part,
    sub_columns: &[SubColumn],
) -> Result<CodeTable, EngineError> {
    let empty = sub_columns
        .iter()
        .map(|s| CodeColumn::zeros(s.cardinality, 0))
        .collect();
    let mut all = table(empty, 0, sub_columns)?;
    for file in files.iter().filter(|file| file.part == part) {
        for batch in PartRows::open(&file.path)?.batches()? {
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
