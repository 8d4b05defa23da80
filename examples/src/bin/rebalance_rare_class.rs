//! A rare class made frequent, with rows that are like the real ones of it:
//! `cargo run --release -p engine-examples --bin rebalance_rare_class`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use arrow::array::RecordBatch;
use engine_api::SampleOptions;
use engine_examples::{census_parts, learn, mean, only, share};

const ROWS: i64 = 10_000;
const COLUMN: &str = "occupation";
const VALUE: &str = "Priv-house-serv";

fn main() -> Result<(), Box<dyn Error>> {
    let (train, _) = census_parts()?;
    let model = learn(&train)?;
    let plain = model.sample(&SampleOptions::builder().rows(ROWS).seed(1).build()?)?;
    let options = SampleOptions::builder()
        .rows(ROWS)
        .seed(1)
        .rebalance_exactly(COLUMN, [(VALUE, 0.25)])
        .build()?;
    let rebalanced = model.sample(&options)?;
    assert_eq!(only(&rebalanced, COLUMN, VALUE)?.num_rows(), 2_500, "to the row");

    println!("{COLUMN} = {VALUE}, {ROWS} rows drawn");
    println!("{:34} {:>9} {:>9} {:>11}", "", "table", "plain", "rebalanced");
    let tables = [&train, &plain, &rebalanced];
    line("share of the class", &tables, |t| share(t, COLUMN, VALUE))?;
    let of_class = tables
        .map(|t| only(t, COLUMN, VALUE))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let of_class: Vec<&RecordBatch> = of_class.iter().collect();
    println!("among its rows:");
    line("  rows", &of_class, |t| Ok(t.num_rows() as f64))?;
    line("  women", &of_class, |t| share(t, "sex", "Female"))?;
    line("  income >50K", &of_class, |t| share(t, "income", ">50K"))?;
    line("  born abroad", &of_class, |t| {
        Ok(1.0 - share(t, "native_country", "United-States")?)
    })?;
    line("  hours a week, mean", &of_class, |t| mean(t, "hours_per_week"))?;

    let both = SampleOptions::builder()
        .rows(ROWS)
        .seed(2)
        .rebalance_exactly(COLUMN, [(VALUE, 0.25)])
        .rebalance_exactly("sex", [("Male", 0.5), ("Female", 0.5)])
        .build()?;
    let both = model.sample(&both)?;
    println!("two columns at once:");
    line("  share of the class", &[&both], |t| share(t, COLUMN, VALUE))?;
    line("  men", &[&both], |t| share(t, "sex", "Male"))?;
    Ok(())
}

fn line(
    name: &str,
    tables: &[&RecordBatch],
    number: impl Fn(&RecordBatch) -> Result<f64, Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    print!("{name:34}");
    for table in tables {
        let number = number(table)?;
        if number.fract() == 0.0 && number > 1.0 {
            print!(" {number:>9.0}");
        } else {
            print!(" {number:>9.4}");
        }
    }
    println!();
    Ok(())
}
