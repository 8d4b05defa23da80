//! Chooses encodings by column and reads the table from a file: `cargo run -p engine-examples --bin custom_encodings`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use engine_api::{EncodingType, RareReplacement, SampleOptions, TabularArgn, silent};
use engine_examples::census;

fn main() -> Result<(), Box<dyn Error>> {
    let model = TabularArgn::builder()
        .encoding("age", EncodingType::NUMERIC_DIGIT)
        .encoding("education_num", EncodingType::CATEGORICAL)
        .exclude("fnlwgt")
        .max_epochs(1.0)
        .seed(7)
        .build()
        .fit_file(&census(), &mut silent)?;
    for column in model.summary().columns {
        println!(
            "{:16} {}",
            column.name,
            column.encoding.as_deref().unwrap_or("left out")
        );
    }
    // No text `_RARE_` in the rows: rare categories are replaced by others.
    let options = SampleOptions {
        rare: RareReplacement::Sample,
        seed: Some(1),
        ..SampleOptions::rows(10)
    };
    println!("{} rows", model.sample(&options)?.num_rows());
    Ok(())
}
