//! What follows if some columns have given values, and all else is left to the model:
//! `cargo run --release -p engine-examples --bin what_if`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use engine_api::{Level, ProbaOptions, SampleOptions};
use engine_examples::{census_parts, learn, mean, only, share};

const ROWS: usize = 2_000;

fn main() -> Result<(), Box<dyn Error>> {
    let (train, test) = census_parts()?;
    let model = learn(&train)?;
    let rich = [Level::Value(">50K".to_owned())];

    println!("If all that is known is the education:");
    println!(
        "{:14} {:>12} {:>12} {:>12} {:>10} {:>10}",
        "education", "P(>50K)", "sampled", "in the table", "mean age", "in it"
    );
    for education in ["HS-grad", "Some-college", "Bachelors", "Masters"] {
        let known = [("education", education)];
        // The exact distribution, from one row of one observed column ...
        let exact = model.predict_proba(&given(&known, 1)?, &["income"], &ProbaOptions::default())?;
        let exact = exact.get(0, &rich).ok_or("a value of income")?;
        // ... and whole rows with that education, from which anything else can be counted.
        let options = SampleOptions::builder()
            .seed_data(given(&known, ROWS)?)
            .seed(1)
            .build()?;
        let rows = model.sample(&options)?;
        let real = only(&train, "education", education)?;
        println!(
            "{education:14} {exact:>12.3} {:>12.3} {:>12.3} {:>10.1} {:>10.1}",
            share(&rows, "income", ">50K")?,
            share(&real, "income", ">50K")?,
            mean(&rows, "age")?,
            mean(&real, "age")?,
        );
    }

    println!("\nIf one person had another education, all else as it is:");
    let person = only(&test, "education", "HS-grad")?;
    let person = only(&person, "marital_status", "Married-civ-spouse")?.slice(0, 1);
    for education in ["HS-grad", "Some-college", "Bachelors", "Masters"] {
        let changed = with(&person, "education", education)?;
        // The number of years says the same as the name of the degree and would contradict it.
        let changed = without(&changed, "education_num")?;
        let p = model.predict_proba(&changed, &["income"], &ProbaOptions::default())?;
        println!(
            "{education:14} {:>12.3}",
            p.get(0, &rich).ok_or("a value of income")?
        );
    }
    Ok(())
}

/// Rows that all know the same.
fn given(known: &[(&str, &str)], rows: usize) -> Result<RecordBatch, Box<dyn Error>> {
    let column = |(name, value): &(&str, &str)| -> (String, ArrayRef) {
        (
            (*name).to_owned(),
            Arc::new(StringArray::from(vec![*value; rows])),
        )
    };
    Ok(RecordBatch::try_from_iter(known.iter().map(column))?)
}

fn with(rows: &RecordBatch, name: &str, value: &str) -> Result<RecordBatch, Box<dyn Error>> {
    let columns = rows
        .schema_ref()
        .fields()
        .iter()
        .zip(rows.columns())
        .map(|(field, column)| {
            let new: ArrayRef = Arc::new(StringArray::from(vec![value; rows.num_rows()]));
            (
                field.name().clone(),
                if field.name() == name {
                    new
                } else {
                    Arc::clone(column)
                },
            )
        });
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn without(rows: &RecordBatch, name: &str) -> Result<RecordBatch, Box<dyn Error>> {
    let kept: Vec<usize> = (0..rows.num_columns())
        .filter(|at| rows.schema_ref().field(*at).name() != name)
        .collect();
    Ok(rows.project(&kept)?)
}
