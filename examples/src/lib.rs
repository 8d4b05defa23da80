//! Programs that show embedding the library; each is one file in `src/bin`. What they share is here: the census, a model of it, and shares
//! of values.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::util::display::array_value_to_string;
use engine_api::data::{ReadOptions, TableSource};
use engine_api::{EngineError, FittedTabularArgn, TabularArgn, silent};

/// The census table that ships with the project.
pub fn census() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/census.csv.gz")
}

/// Its first record batches, of at most `rows` rows together.
///
/// # Errors
/// When the table cannot be read.
pub fn census_rows(rows: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let source = TableSource::open(
        &census(),
        &ReadOptions {
            batch_rows: rows,
            ..ReadOptions::default()
        },
    )?;
    let first = source.batches()?.next().ok_or("the table has rows")??;
    Ok(first.slice(0, rows.min(first.num_rows())))
}

/// The whole census in two parts: four fifths to learn from, and every fifth row, which no model has seen.
///
/// # Errors
/// When the table cannot be read.
pub fn census_parts() -> Result<(RecordBatch, RecordBatch), Box<dyn Error>> {
    let table = TableSource::open(&census(), &ReadOptions::default())?.to_record_batch()?;
    let rows = 0..table.num_rows() as u64;
    let of = |is_test: bool| {
        rows.clone()
            .filter(|row| row.is_multiple_of(5) == is_test)
            .collect::<UInt64Array>()
    };
    Ok((
        take_record_batch(&table, &of(false))?,
        take_record_batch(&table, &of(true))?,
    ))
}

/// A model of some rows of the census, trained until it stops by itself: some ten seconds. With the word `quick` on the command line it is
/// trained for ten epochs only, which shows the same in a tenth of the time, but rare values less well.
///
/// # Errors
/// Those of the fit.
pub fn learn(rows: &RecordBatch) -> Result<FittedTabularArgn, EngineError> {
    let quick = std::env::args().skip(1).any(|argument| argument == "quick");
    let epochs = if quick { 10.0 } else { 100.0 };
    TabularArgn::builder()
        .seed(7)
        .max_epochs(epochs)
        .build()
        .fit(rows, &mut silent)
}

/// The values of a column as texts; null is `null`.
///
/// # Errors
/// When there is no such column.
pub fn texts(rows: &RecordBatch, column: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let values = rows
        .column_by_name(column)
        .ok_or_else(|| format!("there is no column {column}"))?;
    let text = |row| match values.is_null(row) {
        true => Ok("null".to_owned()),
        false => array_value_to_string(values, row),
    };
    Ok((0..values.len()).map(text).collect::<Result<_, _>>()?)
}

/// The share of each value of a column.
///
/// # Errors
/// When there is no such column.
pub fn shares(rows: &RecordBatch, column: &str) -> Result<BTreeMap<String, f64>, Box<dyn Error>> {
    let mut shares = BTreeMap::new();
    for text in texts(rows, column)? {
        *shares.entry(text).or_insert(0.0) += 1.0 / rows.num_rows() as f64;
    }
    Ok(shares)
}

/// The share of one value of a column.
///
/// # Errors
/// When there is no such column.
pub fn share(rows: &RecordBatch, column: &str, value: &str) -> Result<f64, Box<dyn Error>> {
    Ok(shares(rows, column)?.get(value).copied().unwrap_or(0.0))
}

/// The rows in which a column has this value.
///
/// # Errors
/// When there is no such column.
pub fn only(rows: &RecordBatch, column: &str, value: &str) -> Result<RecordBatch, Box<dyn Error>> {
    let texts = texts(rows, column)?;
    let picked = (0..texts.len())
        .filter(|row| texts[*row] == value)
        .map(|row| row as u64);
    Ok(take_record_batch(rows, &picked.collect::<UInt64Array>())?)
}

/// How much of two distributions is the same: 1 minus their total variation distance.
pub fn overlap(a: &BTreeMap<String, f64>, b: &BTreeMap<String, f64>) -> f64 {
    a.iter()
        .map(|(value, share)| share.min(b.get(value).copied().unwrap_or(0.0)))
        .sum()
}

/// The mean of a column of whole numbers.
///
/// # Errors
/// When there is no such column, or it holds something else.
pub fn mean(rows: &RecordBatch, column: &str) -> Result<f64, Box<dyn Error>> {
    let mut sum = 0.0;
    for text in texts(rows, column)? {
        sum += text.parse::<f64>()?;
    }
    Ok(sum / rows.num_rows() as f64)
}
