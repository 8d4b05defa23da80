//! One model as a classifier and as a regressor, on rows that it has not seen:
//! `cargo run --release -p engine-examples --bin classify_and_regress`.
#![allow(clippy::print_stdout)]

use std::error::Error;

use arrow::array::AsArray;
use engine_api::{Compared, EvaluateOptions, Level, PredictOptions, ProbaOptions};
use engine_examples::{census_parts, learn, texts};

fn main() -> Result<(), Box<dyn Error>> {
    let (train, test) = census_parts()?;
    let model = learn(&train)?;
    let line = |name: &str, score: Compared<f64>| {
        println!("{name:24} {:>9.4} {:>9.4}", score.model, score.baseline);
    };
    let pair = |model, baseline| Compared { model, baseline };
    println!("{} rows, each predicted from its other columns", test.num_rows());
    println!("{:24} {:>9} {:>9}", "", "model", "marginal");

    let options = EvaluateOptions::default();
    let income = model.evaluate(&test, "income", &options)?;
    let classes = income.classes.ok_or("income has classes")?;
    line(
        "income: accuracy",
        pair(classes.model.accuracy, classes.baseline.accuracy),
    );
    line("income: AUC", pair(classes.model.auc, classes.baseline.auc));
    line(
        "income: log-loss",
        pair(classes.model.log_loss, classes.baseline.log_loss),
    );
    line(
        "income: calibration",
        pair(
            classes.model.calibration_error,
            classes.baseline.calibration_error,
        ),
    );
    let age = model.evaluate(&test, "age", &options)?;
    let numbers = age.numbers.ok_or("ages are numbers")?;
    line(
        "age: RMSE of means",
        pair(numbers.model.rmse, numbers.baseline.rmse),
    );
    line(
        "age: MAE of medians",
        pair(numbers.model.mae, numbers.baseline.mae),
    );

    // The same row by row: the target need not be in the rows, and is ignored where it is.
    let some = test.slice(0, 5);
    let income = model.predict_proba(&some, &["income"], &ProbaOptions::default())?;
    let age = model.predict(&some, &["age"], &PredictOptions::default())?;
    let age = age.column(0).as_primitive::<arrow::datatypes::Float64Type>();
    let (true_income, true_age) = (texts(&some, "income")?, texts(&some, "age")?);
    println!("\nP(income >50K)  income   expected age   age");
    for row in 0..some.num_rows() {
        let p = income
            .get(row, &[Level::Value(">50K".to_owned())])
            .ok_or("a value of income")?;
        println!(
            "{p:>14.3}  {:7} {:>13.1}  {:>4}",
            true_income[row],
            age.value(row),
            true_age[row]
        );
    }
    Ok(())
}
