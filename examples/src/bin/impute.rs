//! Missing cells of a table are filled in, each given the observed cells of its row:
//! `cargo run --release -p engine-examples --bin impute`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, nullif};
use engine_api::ImputeOptions;
use engine_examples::{census_parts, learn, overlap, shares, texts};

fn main() -> Result<(), Box<dyn Error>> {
    let (train, truth) = census_parts()?;
    let model = learn(&train)?;
    let (table, holes) = with_holes(&truth)?;
    let filled = model.impute(
        &table,
        &ImputeOptions {
            seed: Some(1),
            ..ImputeOptions::default()
        },
    )?;

    println!(
        "{} rows, a fifth of the cells of every column is missing",
        table.num_rows()
    );
    println!(
        "{:16} {:>7} {:>14} {:>14} {:>12}",
        "column", "filled", "share as truth", "same as truth", "by chance"
    );
    for (at, field) in table.schema().fields().iter().enumerate() {
        let name = field.name();
        let known = arrow::compute::not(&holes[at])?;
        let [before, after] = [&table, &filled].map(|t| filter_record_batch(t, &known));
        assert_eq!(
            before?.column(at),
            after?.column(at),
            "what is known stays as it is"
        );
        assert_eq!(filled.column(at).null_count(), 0, "nothing is missing any more");
        let (new, old) = (
            filter_record_batch(&filled, &holes[at])?,
            filter_record_batch(&truth, &holes[at])?,
        );
        let (a, b) = (texts(&new, name)?, texts(&old, name)?);
        let same = a.iter().zip(&b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64;
        let (new, old) = (shares(&new, name)?, shares(&old, name)?);
        // Two independent draws of the column agree as often as its shares squared sum to.
        let chance: f64 = old.values().map(|share| share * share).sum();
        println!(
            "{name:16} {:>7} {:>14.3} {same:>14.3} {chance:>12.3}",
            a.len(),
            overlap(&new, &old)
        );
    }
    Ok(())
}

/// The table with a fifth of its cells missing, in a pattern of its own in nearly every row, and where they are.
fn with_holes(truth: &RecordBatch) -> Result<(RecordBatch, Vec<BooleanArray>), Box<dyn Error>> {
    let mut state = 1u64;
    let mut is_hole = || {
        // A linear congruential generator (Knuth's MMIX) is random enough for an example.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).is_multiple_of(5)
    };
    let (mut columns, mut holes): (Vec<ArrayRef>, Vec<BooleanArray>) = (Vec::new(), Vec::new());
    for column in truth.columns() {
        let hole: BooleanArray = (0..truth.num_rows()).map(|_| Some(is_hole())).collect();
        columns.push(nullif(column, &hole)?);
        holes.push(hole);
    }
    let fields = truth.schema_ref().fields().iter();
    let fields: Vec<_> = fields.map(|f| f.as_ref().clone().with_nullable(true)).collect();
    Ok((
        RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns)?,
        holes,
    ))
}
