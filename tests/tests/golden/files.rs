//! Reads the files of a case.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::compare::Outcome;

/// A JSON file.
pub(crate) fn json(path: &Path) -> Outcome<Value> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?)
}

/// Text under `key`.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> Outcome<&'a str> {
    Ok(value[key].as_str().ok_or_else(|| format!("{key} is no text"))?)
}

/// A list under `key`.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> Outcome<&'a [Value]> {
    Ok(value[key].as_array().ok_or_else(|| format!("{key} is no list"))?)
}

/// An object under `key`.
pub(crate) fn object<'a>(value: &'a Value, key: &str) -> Outcome<&'a serde_json::Map<String, Value>> {
    Ok(value[key]
        .as_object()
        .ok_or_else(|| format!("{key} is no object"))?)
}

/// A list of texts under `key`.
pub(crate) fn texts(value: &Value, key: &str) -> Outcome<Vec<String>> {
    let texts = list(value, key)?.iter().map(|v| v.as_str().map(str::to_owned));
    Ok(texts
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{key} does not hold texts"))?)
}

/// A number under `key`.
pub(crate) fn number(value: &Value, key: &str) -> Outcome<f64> {
    as_number(&value[key])
}

/// A list of numbers under `key`.
pub(crate) fn numbers(value: &Value, key: &str) -> Outcome<Vec<f64>> {
    list(value, key)?.iter().map(as_number).collect()
}

/// A number; those that are not finite are texts.
pub(crate) fn as_number(value: &Value) -> Outcome<f64> {
    Ok(match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        Some("nan") => f64::NAN,
        _ => value.as_f64().ok_or_else(|| format!("{value} is no number"))?,
    })
}

/// A tensor, row-major.
#[derive(Debug, Clone)]
pub(crate) struct Array64 {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

/// All tensors of a safetensors file.
#[derive(Debug)]
pub(crate) struct Tensors {
    path: String,
    by_name: HashMap<String, Array64>,
}

impl Tensors {
    /// Reads a file.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let shown = path.display().to_string();
        let bytes = fs::read(path).map_err(|e| format!("{shown}: {e}"))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| format!("{shown}: {e}"))?;
        let mut by_name = HashMap::new();
        for (name, view) in file.tensors() {
            let data = decode(view.dtype(), view.data())
                .ok_or_else(|| format!("{shown}: {name} is of another type"))?;
            let shape = view.shape().to_vec();
            by_name.insert(name, Array64 { shape, data });
        }
        Ok(Self { path: shown, by_name })
    }

    /// The tensor called `name`.
    pub(crate) fn get(&self, name: &str) -> Outcome<&Array64> {
        let tensor = self.by_name.get(name);
        Ok(tensor.ok_or_else(|| format!("{} has no tensor {name}", self.path))?)
    }

    /// Tensors whose name starts with `prefix`, by the rest of the name, sorted.
    pub(crate) fn with_prefix<'a>(&'a self, prefix: &'a str) -> Vec<(&'a str, &'a Array64)> {
        let named = self.by_name.iter();
        let mut found: Vec<_> = named
            .filter_map(|(n, t)| n.strip_prefix(prefix).map(|n| (n, t)))
            .collect();
        found.sort_by_key(|(name, _)| *name);
        found
    }
}

fn decode(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|chunk| read(*chunk))
            .collect()
    }
    match dtype {
        Dtype::F32 => Some(each(bytes, |b| f64::from(f32::from_le_bytes(b)))),
        Dtype::F64 => Some(each(bytes, f64::from_le_bytes)),
        Dtype::I64 => Some(each(bytes, |b| i64::from_le_bytes(b) as f64)),
        _ => None,
    }
}

/// The rows of a Parquet file.
pub(crate) fn parquet(path: &Path) -> Outcome<RecordBatch> {
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = reader.schema().clone();
    let batches = reader.build()?.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// Codes of a Parquet file: the names of its columns and the codes in each.
pub(crate) fn codes(path: &Path) -> Outcome<Vec<(String, Vec<u32>)>> {
    let batch = parquet(path)?;
    let schema = batch.schema();
    let named = schema.fields().iter().zip(batch.columns());
    named
        .map(|(field, column)| Ok((field.name().clone(), whole_numbers(column)?)))
        .collect()
}

fn whole_numbers(column: &ArrayRef) -> Outcome<Vec<u32>> {
    let wide = cast(column, &DataType::Int64)?;
    if wide.null_count() > 0 {
        return Err("a column of codes holds nulls".into());
    }
    let numbers = wide.as_primitive::<Int64Type>().values().iter();
    Ok(numbers.map(|n| u32::try_from(*n)).collect::<Result<_, _>>()?)
}
