mod refusals;

use std::sync::{Arc, OnceLock};
use std::thread;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use arrow_select::concat::concat_batches;

use super::*;
use crate::data::{ReadOptions, TableSource};
use crate::{ColumnOrder, FittedTabularArgn, Level, Parity, Rebalance, SampleOptions, TabularArgn, silent};

const COLORS: [&str; 3] = ["red", "green", "blue"];

/// 600 rows: `shape` follows from `color`, `size` from `shape`; `weight` and `day` may be null, `day` has several sub-columns.
fn table() -> RecordBatch {
    let rows = 0..600i64;
    let pick = |i: i64| (i * 7 + i / 5) % 3;
    let columns: [(&str, ArrayRef); 5] = [
        (
            "color",
            Arc::new(StringArray::from_iter_values(
                rows.clone().map(|i| COLORS[pick(i) as usize]),
            )),
        ),
        (
            "shape",
            Arc::new(StringArray::from_iter(rows.clone().map(|i| {
                if pick(i) == 0 {
                    Some("cube")
                } else if i % 11 == 0 {
                    None
                } else {
                    Some("ball")
                }
            }))),
        ),
        (
            "size",
            Arc::new(Int64Array::from_iter_values(
                rows.clone().map(|i| 10 * (1 + pick(i)) + i % 4),
            )),
        ),
        (
            "weight",
            Arc::new(Float64Array::from_iter(
                rows.clone()
                    .map(|i| (i % 9 != 0).then_some(((i * 37) % 500) as f64 / 8.0)),
            )),
        ),
        (
            "day",
            Arc::new(Date32Array::from_iter(
                rows.map(|i| (i % 10 != 0).then_some(18_000 + (i % 50) as i32)),
            )),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn fitted(fixed_order: bool) -> FittedTabularArgn {
    let argn = TabularArgn::builder()
        .seed(5)
        .batch_size(32)
        .max_epochs(80.0)
        .fixed_order(fixed_order)
        .build();
    argn.fit(&table(), &mut silent).unwrap()
}

fn model() -> &'static FittedTabularArgn {
    static MODEL: OnceLock<FittedTabularArgn> = OnceLock::new();
    MODEL.get_or_init(|| fitted(false))
}

fn fixed_model() -> &'static FittedTabularArgn {
    static MODEL: OnceLock<FittedTabularArgn> = OnceLock::new();
    MODEL.get_or_init(|| fitted(true))
}

fn texts(name: &str, values: &[Option<&str>]) -> (String, ArrayRef) {
    (name.to_owned(), Arc::new(StringArray::from(values.to_vec())))
}

fn ints(name: &str, values: &[Option<i64>]) -> (String, ArrayRef) {
    (name.to_owned(), Arc::new(Int64Array::from(values.to_vec())))
}

fn batch(columns: Vec<(String, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> &'b ArrayRef {
    batch.column_by_name(name).unwrap()
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, EngineError>, sentence: &str) {
    assert_eq!(result.unwrap_err().to_string(), sentence);
}

fn proba(x: &RecordBatch, targets: &[&str]) -> Result<ProbaTable, EngineError> {
    model().predict_proba(x, targets, &ProbaOptions::default())
}

#[test]
fn a_model_can_be_used_from_many_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<FittedTabularArgn>();
    let x = table().slice(0, 40).project(&[0, 2]).unwrap();
    let alone = proba(&x, &["shape"]).unwrap();
    thread::scope(|scope| {
        let asked: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| proba(&x, &["shape"]).unwrap()))
            .collect();
        asked
            .into_iter()
            .for_each(|a| assert_eq!(a.join().unwrap(), alone));
    });
}

#[test]
fn probabilities_sum_to_one_in_every_row() {
    let x = table().slice(0, 50).project(&[0, 3]).unwrap();
    let queries: [&[&str]; 5] = [
        &["shape"],
        &["size"],
        &["shape", "size"],
        &["size", "shape"],
        &["day"],
    ];
    for targets in queries {
        let answer = proba(&x, targets).unwrap();
        assert_eq!(answer.rows(), 50);
        for row in 0..50 {
            let sum: f64 = answer.row(row).iter().sum();
            assert!((sum - 1.0).abs() < 1e-5, "{targets:?}, row {row}: {sum}");
            assert!(answer.row(row).iter().all(|p| *p >= 0.0));
        }
        let columns = answer.to_record_batch().unwrap();
        assert_eq!(columns.num_columns(), answer.combinations());
        assert_eq!(columns.num_rows(), 50);
    }
    let marginals = proba(&x, &["shape", "size"]).unwrap();
    let (joint, alone) = (
        marginals.marginal("shape").unwrap(),
        proba(&x, &["shape"]).unwrap(),
    );
    let alone: Vec<f64> = (0..50).flat_map(|row| alone.row(row).to_vec()).collect();
    joint
        .iter()
        .zip(&alone)
        .for_each(|(a, b)| assert!((a - b).abs() < 1e-5, "{a} {b}"));
}

#[test]
fn labels_are_those_of_mostlyai_engine() {
    let x = table().slice(0, 3).project(&[0]).unwrap();
    let answer = proba(&x, &["shape"]).unwrap();
    assert_eq!(answer.labels(), ["_RARE_", "<<NULL>>", "ball", "cube"]);
    let both = proba(&x, &["color", "shape"]).unwrap();
    assert_eq!(both.labels()[..2], ["_RARE_|_RARE_", "_RARE_|<<NULL>>"]);
    let schema = both.to_record_batch().unwrap().schema();
    assert_eq!(schema.field(1).metadata()["shape"], "<<NULL>>");
    let red = Level::Value("cube".to_owned());
    assert_eq!(answer.get(0, &[red]), Some(answer.row(0)[3]));
    assert_eq!(answer.get(0, &[Level::Exact(1.0)]), None);
    assert_eq!(answer.row(0)[0], 0.0, "there are no rare categories");
    assert_eq!(
        answer.argmax()[0],
        if table().column(0).as_string::<i32>().value(0) == "red" {
            3
        } else {
            2
        }
    );
}

#[test]
fn without_features_there_is_the_marginal() {
    let none = table().slice(0, 4).project(&[]).unwrap();
    let answer = proba(&none, &["color"]).unwrap();
    assert_eq!(answer.rows(), 4);
    assert_eq!(answer.row(0), answer.row(3));
    // Blue, green and red as in the table.
    let shares = [0.2, 0.4, 0.4];
    assert!(
        answer.row(0)[1..]
            .iter()
            .zip(shares)
            .all(|(p, share)| (p - share).abs() < 0.05),
        "{answer:?}"
    );
}

#[test]
fn an_empty_table_gives_an_empty_typed_result() {
    let nothing = table().slice(0, 0);
    assert_eq!(
        proba(&nothing, &["shape"])
            .unwrap()
            .to_record_batch()
            .unwrap()
            .num_columns(),
        4
    );
    let predicted = model()
        .predict(&nothing, &["size"], &PredictOptions::default())
        .unwrap();
    assert_eq!(
        (predicted.num_rows(), predicted.schema().field(0).data_type()),
        (0, &DataType::Float64)
    );
    assert_eq!(
        model()
            .log_prob(&nothing, &LogProbOptions::default())
            .unwrap()
            .rows
            .len(),
        0
    );
    let imputed = model().impute(&nothing, &ImputeOptions::default()).unwrap();
    assert_eq!(imputed.schema(), nothing.schema());
    let sampled = model().sample(&SampleOptions::around(nothing)).unwrap();
    assert_eq!((sampled.num_rows(), sampled.schema()), (0, model().schema()));
}

#[test]
fn log_likelihood_is_finite_and_always_the_same() {
    let strange = batch(vec![
        texts("color", &[Some("red"), Some("violet"), None]),
        texts("shape", &[None, Some("cube"), Some("ball")]),
        ints("size", &[Some(10), Some(-5_000), None]),
        (
            "weight".to_owned(),
            Arc::new(Float64Array::from(vec![Some(1.0), None, Some(1e12)])),
        ),
        (
            "day".to_owned(),
            Arc::new(Date32Array::from(vec![None, Some(-90_000), Some(18_001)])),
        ),
    ]);
    let ask = |rows: &RecordBatch, orders| {
        let options = LogProbOptions {
            orders,
            ..LogProbOptions::default()
        };
        model().log_prob(rows, &options).unwrap()
    };
    for orders in [1, 3] {
        let all = ask(&strange, orders);
        assert!(all.rows.iter().all(|p| p.is_finite() && *p <= 0.0), "{all:?}");
        assert_eq!(all, ask(&strange, orders));
        for row in 0..3 {
            assert_eq!(
                ask(&strange.slice(row, 1), orders).rows[0],
                all.rows[row],
                "rows do not bear on each other"
            );
        }
    }
    let one = ask(&table().slice(0, 20), 1);
    for (row, total) in one.rows.iter().enumerate() {
        let sum: f64 = one.by_column[row * 5..(row + 1) * 5].iter().sum();
        assert!((sum - total).abs() < 1e-4, "{sum} {total}");
    }
}

#[test]
fn predictions_come_in_the_order_of_the_rows() {
    let x = table().slice(0, 90).project(&[0]).unwrap();
    let predicted = model()
        .predict(&x, &["size", "shape"], &PredictOptions::default())
        .unwrap();
    let (sizes, shapes) = (
        predicted.column(0).as_primitive::<Float64Type>(),
        predicted.column(1).as_string::<i32>(),
    );
    for (row, color) in x.column(0).as_string::<i32>().iter().flatten().enumerate() {
        assert_eq!(shapes.value(row), if color == "red" { "cube" } else { "ball" });
        let middle = 11.5 + 10.0 * COLORS.iter().position(|c| *c == color).unwrap() as f64;
        assert!(
            (sizes.value(row) - middle).abs() < 4.0,
            "{color}: {}",
            sizes.value(row)
        );
    }
    let options = |predictor| PredictOptions {
        predictor,
        ..PredictOptions::default()
    };
    let days = model()
        .predict(&x, &["day"], &options(Predictor::Median))
        .unwrap();
    assert_eq!(days.column(0).data_type(), &DataType::Date32);
    let draws = model()
        .predict(&x, &["shape"], &options(Predictor::Draws(3)))
        .unwrap();
    assert_eq!(draws.column(0).as_list::<i32>().value(0).len(), 3);
    says(
        model().predict(&x, &["shape"], &options(Predictor::Draws(0))),
        "draws is 0; give at least 1",
    );
    says(
        model().predict(&x, &["shape"], &options(Predictor::Mean)),
        "column \"shape\" holds texts, which have no mean; use the mode",
    );
}

/// Rows of all patterns of missing cells.
fn holes() -> RecordBatch {
    let whole = table();
    let columns = whole.columns().iter().enumerate().map(|(at, array)| {
        let keep = |row: usize| (row / (1 << at)).is_multiple_of(2) && array.is_valid(row);
        let rows = (0..array.len()).map(|row| keep(row).then_some(row as u64));
        let rows: arrow_array::UInt64Array = rows.collect();
        arrow_select::take::take(array, &rows, None).unwrap()
    });
    RecordBatch::try_new(whole.schema(), columns.collect()).unwrap()
}

#[test]
fn imputation_keeps_observed_cells_and_fills_all_others() {
    let holes = holes();
    let options = ImputeOptions {
        seed: Some(1),
        ..ImputeOptions::default()
    };
    let whole = model().impute(&holes, &options).unwrap();
    assert_eq!(whole.schema(), holes.schema());
    assert_eq!(whole, model().impute(&holes, &options).unwrap());
    for (old, new) in holes.columns().iter().zip(whole.columns()) {
        assert_eq!(new.null_count(), 0);
        for row in (0..old.len()).filter(|row| old.is_valid(*row)) {
            assert_eq!(old.slice(row, 1).as_ref(), new.slice(row, 1).as_ref());
        }
    }
    let shapes = column(&whole, "shape").as_string::<i32>();
    assert!(shapes.iter().flatten().all(|s| s == "cube" || s == "ball"));
}

#[test]
fn several_draws_are_aggregated() {
    let holes = holes().project(&[0, 2]).unwrap();
    let impute = |aggregate, lenient| {
        let options = ImputeOptions {
            draws: 5,
            aggregate,
            seed: Some(1),
            lenient,
            ..ImputeOptions::default()
        };
        model().impute(&holes, &options)
    };
    assert_eq!(impute(Aggregate::Mode, false).unwrap().schema(), holes.schema());
    let lists = impute(Aggregate::List, false).unwrap();
    let sizes = column(&lists, "size").as_list::<i32>();
    let given = column(&holes, "size");
    (0..holes.num_rows())
        .for_each(|row| assert_eq!(sizes.value(row).len(), if given.is_null(row) { 5 } else { 1 }));
    says(
        impute(Aggregate::Mean, false),
        "column \"color\" holds no numbers or dates and has no mean; use the mode, or leave the column out",
    );
    assert_eq!(impute(Aggregate::Median, true).unwrap().num_rows(), 600);
    let none = ImputeOptions {
        draws: 0,
        ..ImputeOptions::default()
    };
    says(model().impute(&holes, &none), "draws is 0; give at least 1");
}

#[test]
fn only_named_columns_are_imputed() {
    let options = ImputeOptions {
        columns: vec!["size".to_owned()],
        seed: Some(1),
        ..ImputeOptions::default()
    };
    let (holes, whole) = (holes(), model().impute(&holes(), &options).unwrap());
    assert_eq!(column(&whole, "size").null_count(), 0);
    for name in ["color", "shape", "weight", "day"] {
        assert_eq!(column(&whole, name), column(&holes, name), "{name}");
    }
}

#[test]
fn seed_data_are_returned_as_they_are_and_in_order() {
    let seeds = batch(vec![
        texts(
            "shape",
            &[Some("cube"), Some("ball"), None, Some("egg"), Some("cube")],
        ),
        texts("size", &[Some("11"), Some("99999"), Some("12"), None, Some("13")]),
        texts("other", &[None, None, None, None, None]),
    ]);
    let options = SampleOptions {
        seed: Some(1),
        batch_rows: 2,
        ..SampleOptions::around(seeds)
    };
    let rows = model().sample(&options).unwrap();
    assert_eq!(rows.schema(), model().schema());
    let shapes: Vec<_> = column(&rows, "shape").as_string::<i32>().iter().collect();
    assert_eq!(
        shapes,
        [Some("cube"), Some("ball"), None, Some("egg"), Some("cube")]
    );
    let sizes: Vec<_> = column(&rows, "size").as_primitive::<Int64Type>().iter().collect();
    assert_eq!(sizes, [Some(11), Some(99_999), Some(12), None, Some(13)]);
    let other_batches = SampleOptions {
        batch_rows: 100,
        ..options
    };
    assert_eq!(rows, model().sample(&other_batches).unwrap());
}

#[test]
fn seed_data_with_columns_to_impute_keep_their_observed_cells() {
    let holes = holes().project(&[0, 1]).unwrap();
    let options = SampleOptions {
        seed: Some(1),
        impute: vec!["shape".to_owned()],
        ..SampleOptions::around(holes.clone())
    };
    let rows = model().sample(&options).unwrap();
    let (old, new) = (column(&holes, "shape"), column(&rows, "shape"));
    assert_eq!(new.null_count(), 0);
    (0..600)
        .filter(|row| old.is_valid(*row))
        .for_each(|row| assert_eq!(old.slice(row, 1).as_ref(), new.slice(row, 1).as_ref()));
    assert_eq!(
        column(&rows, "color"),
        column(&holes, "color"),
        "a null of another column is a value"
    );
}

fn share_of(rows: &RecordBatch, name: &str, value: &str) -> f64 {
    let texts = column(rows, name).as_string::<i32>();
    texts.iter().filter(|t| *t == Some(value)).count() as f64 / rows.num_rows() as f64
}

#[test]
fn rebalancing_reaches_the_shares_and_others_follow() {
    let sample = |shares: &[(&str, f64)], exact| {
        let options = SampleOptions {
            seed: Some(1),
            rebalance: vec![Rebalance {
                column: "color".to_owned(),
                shares: shares.iter().map(|(v, p)| ((*v).to_owned(), *p)).collect(),
                exact,
            }],
            ..SampleOptions::rows(3_000)
        };
        model().sample(&options)
    };
    let exact = sample(&[("red", 0.8), ("blue", 0.05)], true).unwrap();
    assert_eq!(
        (
            share_of(&exact, "color", "red"),
            share_of(&exact, "color", "blue")
        ),
        (0.8, 0.05)
    );
    assert!((share_of(&exact, "shape", "cube") - 0.8).abs() < 0.06);
    let expected = sample(&[("red", 0.8)], false).unwrap();
    assert!((share_of(&expected, "color", "red") - 0.8).abs() < 0.03);
    says(
        sample(&[("pink", 0.5)], false),
        "rebalancing: column \"color\" has no value \"pink\"; its values are _RARE_, blue, green, red",
    );
    says(
        sample(&[("red", 0.6), ("blue", 0.6)], false),
        "rebalancing: the sum of the probabilities of column \"color\" is 1.2; give probabilities that sum to at most 1",
    );
    says(
        sample(&[("red", -0.5)], false),
        "rebalancing: a probability of column \"color\" is -0.5; give a number from 0 to 1",
    );
}

#[test]
fn several_columns_are_rebalanced_at_once() {
    let shares = SampleOptions::builder()
        .rows(2_000)
        .seed(1)
        .rebalance_exactly("color", [("red", 0.5), ("blue", 0.3)])
        .rebalance_exactly("shape", [("cube", 0.25)]);
    let exact = model().sample(&shares.build().unwrap()).unwrap();
    let shares =
        [("color", "red"), ("color", "blue"), ("shape", "cube")].map(|(c, v)| share_of(&exact, c, v));
    assert_eq!(shares, [0.5, 0.3, 0.25]);
    // The size follows from both; without the rebalanced columns before it, it would be what the table makes of it.
    let expected = SampleOptions::builder()
        .rows(4_000)
        .seed(2)
        .rebalance("shape", [("cube", 0.6)])
        .rebalance("color", [("green", 0.7)])
        .build()
        .unwrap();
    let rows = model().sample(&expected).unwrap();
    assert!((share_of(&rows, "shape", "cube") - 0.6).abs() < 0.03);
    assert!((share_of(&rows, "color", "green") - 0.7).abs() < 0.03);
    let fixed = fixed_model().sample(&expected).unwrap();
    assert!((share_of(&fixed, "shape", "cube") - 0.6).abs() < 0.03);
}

#[test]
fn fairness_makes_the_target_alike_in_all_groups() {
    let options = SampleOptions {
        seed: Some(1),
        fairness: Some(Parity {
            target: "shape".to_owned(),
            sensitive: vec!["color".to_owned()],
        }),
        ..SampleOptions::rows(6_000)
    };
    let gap = |options: &SampleOptions| {
        let rows = model().sample(options).unwrap();
        let colors = column(&rows, "color").as_string::<i32>();
        let share = |color| {
            let of_color = (0..6_000).filter(|row| colors.value(*row) == color);
            let picked: arrow_array::UInt64Array = of_color.map(|row| Some(row as u64)).collect();
            let picked = arrow_select::take::take_record_batch(&rows, &picked).unwrap();
            share_of(&picked, "shape", "cube")
        };
        (share("red") - share("blue")).abs()
    };
    let plain = SampleOptions {
        fairness: None,
        ..options.clone()
    };
    // The shape follows from the color in nearly every row, which is as far from parity as can be.
    assert!(gap(&plain) > 0.9, "{}", gap(&plain));
    assert!(gap(&options) < 0.1, "{}", gap(&options));
    // Nothing but the target is drawn otherwise than without fairness.
    let in_order = SampleOptions {
        order: ColumnOrder::Given(
            ["color", "size", "weight", "day", "shape"]
                .map(str::to_owned)
                .to_vec(),
        ),
        ..plain.clone()
    };
    let (fair, in_order) = (
        model().sample(&options).unwrap(),
        model().sample(&in_order).unwrap(),
    );
    for name in ["color", "size", "weight", "day"] {
        assert_eq!(column(&fair, name), column(&in_order, name), "{name}");
    }
    let numeric = SampleOptions {
        fairness: Some(Parity {
            target: "size".to_owned(),
            sensitive: vec!["color".to_owned()],
        }),
        ..SampleOptions::rows(10)
    };
    says(
        model().sample(&numeric),
        "fairness: column \"size\" is not categorical; only categorical columns can be balanced",
    );
}

#[test]
fn evaluation_beats_the_baseline() {
    let scores = model()
        .evaluate(&table(), "shape", &EvaluateOptions::default())
        .unwrap();
    let classes = scores.classes.unwrap();
    assert!(
        classes.model.accuracy > 0.85 && classes.model.auc > 0.9,
        "{classes:?}"
    );
    assert!(classes.model.log_loss < classes.baseline.log_loss && classes.baseline.auc == 0.5);
    assert!(scores.log_likelihood.model > scores.log_likelihood.baseline);
    let numbers = model()
        .evaluate(&table(), "size", &EvaluateOptions::default())
        .unwrap()
        .numbers
        .unwrap();
    assert!(numbers.model.rmse < numbers.baseline.rmse / 2.0 && numbers.model.mae < numbers.baseline.mae);
    assert!(matches!(
        model().evaluate(&table(), "day", &EvaluateOptions::default()),
        Err(EngineError::Inference(InferenceError::Target { .. }))
    ));
}

#[test]
fn parquet_is_filled_without_touching_observed_cells() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("whole.parquet");
    let rows = TableSource::from_batches("holes", &holes().schema(), vec![holes()], &ReadOptions::default())
        .unwrap();
    let options = ImputeOptions {
        seed: Some(1),
        ..ImputeOptions::default()
    };
    assert_eq!(
        model().impute_to(&rows, &output, &options, &mut silent).unwrap(),
        600
    );
    let written = TableSource::open(&output, &ReadOptions::default()).unwrap();
    let written: Vec<_> = written.batches().unwrap().map(Result::unwrap).collect();
    let written = concat_batches(&written[0].schema(), &written).unwrap();
    assert_eq!(
        written.columns(),
        model().impute(&holes(), &options).unwrap().columns()
    );
}
