//! Rows in which income does not depend on sex, and what that changes elsewhere:
//! `cargo run --release -p engine-examples --bin fairness`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use arrow::array::RecordBatch;
use engine_api::SampleOptions;
use engine_examples::{census_parts, learn, only, overlap, share, shares};

const ROWS: i64 = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let (train, _) = census_parts()?;
    let model = learn(&train)?;
    let plain = model.sample(&SampleOptions::builder().rows(ROWS).seed(1).build()?)?;
    let options = SampleOptions::builder()
        .rows(ROWS)
        .seed(1)
        .fairness("income", ["sex"])
        .build()?;
    let fair = model.sample(&options)?;

    println!(
        "{:28} {:>8} {:>8} {:>8}",
        "share of income >50K", "table", "plain", "fair"
    );
    let tables = [&train, &plain, &fair];
    let of = |sex: &str| -> Result<Vec<f64>, Box<dyn Error>> {
        let rich = |t: &&RecordBatch| share(&only(t, "sex", sex)?, "income", ">50K");
        tables.iter().map(rich).collect()
    };
    let (women, men) = (of("Female")?, of("Male")?);
    let gaps: Vec<f64> = women.iter().zip(&men).map(|(w, m)| (w - m).abs()).collect();
    for (name, shares) in [("women", &women), ("men", &men), ("gap", &gaps)] {
        println!(
            "{name:28} {:>8.4} {:>8.4} {:>8.4}",
            shares[0], shares[1], shares[2]
        );
    }
    assert!(gaps[2] < 0.02, "the gap is closed: {}", gaps[2]);

    println!(
        "\n{:28} {:>8} {:>8} {:>8}",
        "like the table, 1 - TVD", "", "plain", "fair"
    );
    for field in train.schema().fields() {
        let real = shares(&train, field.name())?;
        let alike = |t| Ok::<_, Box<dyn Error>>(overlap(&real, &shares(t, field.name())?));
        // Single values of the weight of a row in the census are not repeated often enough to have shares.
        if field.name() != "fnlwgt" {
            println!(
                "{:28} {:>8} {:>8.4} {:>8.4}",
                field.name(),
                "",
                alike(&plain)?,
                alike(&fair)?
            );
        }
    }
    Ok(())
}
