//! Rows that do not fit, by their log-likelihood, and the columns to blame:
//! `cargo run --release -p engine-examples --bin find_outliers`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::take;
use engine_api::LogProbOptions;
use engine_examples::{census_parts, learn, texts};

const ROWS: usize = 5_000;
/// Every so many rows one is spoilt.
const EVERY: usize = 100;
const SPOILT: usize = ROWS / EVERY;

fn main() -> Result<(), Box<dyn Error>> {
    let (train, test) = census_parts()?;
    let model = learn(&train)?;
    let rows = spoil(&test.slice(0, ROWS))?;
    let scores = model.log_prob(&rows, &LogProbOptions::default())?;

    let mut least: Vec<usize> = (0..ROWS).collect();
    least.sort_by(|a, b| scores.rows[*a].total_cmp(&scores.rows[*b]));
    let found = least[..SPOILT].iter().filter(|row| is_spoilt(**row)).count();
    let (mut before, mut pairs) = (0usize, 0usize);
    for row in &least {
        if is_spoilt(*row) {
            before += 1;
        } else {
            pairs += before;
        }
    }
    println!("{ROWS} rows, {SPOILT} of them with the education, relationship and sex of three others");
    println!(
        "among the {SPOILT} least likely rows: {found} of them (by chance {:.1})",
        SPOILT as f64 / EVERY as f64
    );
    println!(
        "AUC of the log-likelihood: {:.3}",
        pairs as f64 / (SPOILT * (ROWS - SPOILT)) as f64
    );

    println!("\nthe least likely rows, and the column that costs most against what it costs in other rows:");
    let width = scores.columns.len();
    let of = |row: usize, column: usize| scores.by_column[row * width + column];
    let usual: Vec<f64> = (0..width)
        .map(|c| (0..ROWS).map(|row| of(row, c)).sum::<f64>() / ROWS as f64)
        .collect();
    println!(
        "{:>6} {:>9} {:7} {:16} value",
        "row", "log_prob", "spoilt", "column"
    );
    for row in &least[..10] {
        let worst =
            (0..width).min_by(|a, b| (of(*row, *a) - usual[*a]).total_cmp(&(of(*row, *b) - usual[*b])));
        let name = &scores.columns[worst.ok_or("a column")?];
        let value = &texts(&rows, name)?[*row];
        let spoilt = if is_spoilt(*row) { "yes" } else { "no" };
        println!("{row:>6} {:>9.2} {spoilt:7} {name:16} {value}", scores.rows[*row]);
    }
    Ok(())
}

fn is_spoilt(row: usize) -> bool {
    row % EVERY == EVERY / 2
}

/// Gives some rows the education, the relationship and the sex of three others, one of each.
fn spoil(rows: &RecordBatch) -> Result<RecordBatch, Box<dyn Error>> {
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    for (nth, name) in ["education", "relationship", "sex"].iter().enumerate() {
        let from = |row: usize| {
            if is_spoilt(row) {
                (row + 7 + 11 * nth) % ROWS
            } else {
                row
            }
        };
        let from: UInt64Array = (0..ROWS).map(|row| Some(from(row) as u64)).collect();
        let at = rows.schema_ref().index_of(name)?;
        columns[at] = take(rows.column(at), &from, None)?;
    }
    Ok(RecordBatch::try_new(Arc::clone(rows.schema_ref()), columns)?)
}
