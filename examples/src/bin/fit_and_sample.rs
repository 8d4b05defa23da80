//! Learns a record batch and draws synthetic rows, all in memory: `cargo run -p engine-examples --bin fit_and_sample`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use engine_api::{SampleOptions, TabularArgn, silent};
use engine_examples::census_rows;

fn main() -> Result<(), Box<dyn Error>> {
    let table = census_rows(5_000)?;
    let model = TabularArgn::builder()
        .seed(7)
        .max_epochs(5.0)
        .build()
        .fit(&table, &mut silent)?;
    let rows = model.sample(&SampleOptions {
        seed: Some(1),
        ..SampleOptions::rows(1_000)
    })?;
    assert_eq!(rows.num_rows(), 1_000);
    println!(
        "{} rows of {} columns, of the types of the table:",
        rows.num_rows(),
        rows.num_columns()
    );
    for field in rows.schema().fields() {
        println!("  {}: {}", field.name(), field.data_type());
    }
    let loss = model.summary().best_val_loss.ok_or("a validated model")?;
    println!("best validation loss: {loss:.3} nats per row");
    Ok(())
}
