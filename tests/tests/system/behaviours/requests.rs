//! Requests that are combined, that name what is not there, or that request next to nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow_schema::Schema;
use engine_api::{
    EncodingType, EvaluateOptions, Evaluation, FittedTabularArgn, PredictOptions, Predictor, Protection,
    SampleOptions, SampleOptionsBuilder, TabularArgn, silent,
};

const ROWS: usize = 1_200;

/// Two levels, a kind that may be null, and a number with a few values.
fn table() -> RecordBatch {
    let level = |i: usize| if i.is_multiple_of(4) { "high" } else { "low" };
    let kind = |i: usize| (!i.is_multiple_of(5)).then_some(if i.is_multiple_of(3) { "A" } else { "BB" });
    let columns: [(&str, ArrayRef); 3] = [
        (
            "level",
            Arc::new(StringArray::from_iter_values((0..ROWS).map(level))),
        ),
        ("kind", Arc::new(StringArray::from_iter((0..ROWS).map(kind)))),
        (
            "count",
            Arc::new(Int64Array::from_iter_values(
                (0..ROWS).map(|i| 10 * (i as i64 % 6)),
            )),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn fitted(encode: bool) -> FittedTabularArgn {
    let mut argn = TabularArgn::builder().seed(3).batch_size(64).max_epochs(20.0);
    if encode {
        argn = argn
            .encoding("count", EncodingType::CATEGORICAL)
            .encoding("kind", EncodingType::CATEGORICAL);
    }
    argn.build().fit(&table(), &mut silent).unwrap()
}

fn model() -> &'static FittedTabularArgn {
    static MODEL: OnceLock<FittedTabularArgn> = OnceLock::new();
    MODEL.get_or_init(|| fitted(false))
}

fn sample(options: SampleOptionsBuilder) -> RecordBatch {
    model().sample(&options.seed(1).build().unwrap()).unwrap()
}

/// Shares of texts; null is `null`.
fn shares(rows: &RecordBatch, name: &str) -> BTreeMap<String, f64> {
    let mut shares = BTreeMap::new();
    for text in rows.column_by_name(name).unwrap().as_string::<i32>() {
        *shares.entry(text.unwrap_or("null").to_owned()).or_insert(0.0) += 1.0 / rows.num_rows() as f64;
    }
    shares
}

#[track_caller]
fn near(got: f64, want: f64) {
    assert!((got - want).abs() < 0.03, "{got} instead of {want}");
}

#[test]
fn unknown_categories_leave_their_share_to_the_model() {
    let rows = sample(
        SampleOptions::builder()
            .rows(3_000)
            .lenient(true)
            .rebalance("kind", [("zzz", 0.5), ("A", 0.3)]),
    );
    near(shares(&rows, "kind")["A"], 0.3);
}

#[test]
fn shares_of_all_categories_are_scaled() {
    let rows = sample(
        SampleOptions::builder()
            .rows(3_000)
            .rebalance("level", [("high", 0.2), ("low", 0.2)]),
    );
    near(shares(&rows, "level")["high"], 0.5);
}

#[test]
fn nulls_can_be_rebalanced() {
    let rows = sample(
        SampleOptions::builder()
            .rows(3_000)
            .rebalance("kind", [("<<NULL>>", 0.5)]),
    );
    near(shares(&rows, "kind")["null"], 0.5);
}

#[test]
fn numbers_are_not_rebalanced() {
    let plain = sample(SampleOptions::builder().rows(500));
    let lenient = sample(
        SampleOptions::builder()
            .rows(500)
            .lenient(true)
            .rebalance("count", [("30", 0.9)]),
    );
    let count = |rows: &RecordBatch| {
        let values = rows
            .column_by_name("count")
            .unwrap()
            .as_primitive::<Int64Type>()
            .values()
            .to_vec();
        values.iter().filter(|v| **v == 30).count()
    };
    assert!(count(&plain).abs_diff(count(&lenient)) < 60);
    let strict = SampleOptions::builder()
        .rows(5)
        .rebalance("count", [("30", 0.9)])
        .build()
        .unwrap();
    assert_eq!(
        model().sample(&strict).unwrap_err().to_string(),
        "rebalancing: column \"count\" is not categorical; only categorical columns can be rebalanced"
    );
}

#[test]
fn seeds_win_over_rebalancing_and_fairness() {
    let seeds = table().project(&[0]).unwrap().slice(0, 400);
    let with = |options: SampleOptionsBuilder| sample(options.seed_data(seeds.clone()));
    for rows in [
        with(SampleOptions::builder().rebalance("level", [("high", 0.9)])),
        with(SampleOptions::builder().rebalance_exactly("level", [("high", 0.9)])),
        with(SampleOptions::builder().fairness("level", ["kind"])),
    ] {
        assert_eq!(rows.column_by_name("level"), seeds.column_by_name("level"));
    }
    let other = with(SampleOptions::builder().rebalance("kind", [("A", 0.6)]));
    near(shares(&other, "kind")["A"], 0.6);
    assert_eq!(other.column_by_name("level"), seeds.column_by_name("level"));
}

#[test]
fn rebalancing_goes_with_imputation_and_with_sensitive_columns() {
    let rows = sample(
        SampleOptions::builder()
            .rows(3_000)
            .rebalance("kind", [("A", 0.25)])
            .impute("kind")
            .fairness("level", ["kind"]),
    );
    let kinds = shares(&rows, "kind");
    near(kinds["A"], 0.25);
    assert!(!kinds.contains_key("null"));
}

#[test]
fn greedy_rows_are_all_alike() {
    for options in [
        SampleOptions::builder().temperature(0.0),
        SampleOptions::builder().top_p(0.0),
    ] {
        let rows = sample(options.rows(20));
        for name in ["level", "kind"] {
            assert_eq!(shares(&rows, name).len(), 1, "{name}");
        }
    }
}

#[test]
fn seeds_are_read_in_the_types_of_the_model() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["20", "30", " 40 "]));
    let strange: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let seeds = RecordBatch::try_from_iter([("count", texts), ("strange", strange)]).unwrap();
    let rows = sample(SampleOptions::builder().seed_data(seeds));
    assert_eq!(rows.schema(), model().schema());
    assert_eq!(
        rows.column_by_name("count")
            .unwrap()
            .as_primitive::<Int64Type>()
            .values(),
        &[20, 30, 40]
    );
}

#[test]
fn seeds_without_columns_only_count() {
    let rows = RecordBatchOptions::new().with_row_count(Some(4));
    let seeds = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &rows).unwrap();
    assert_eq!(sample(SampleOptions::builder().seed_data(seeds)).num_rows(), 4);
}

#[test]
fn without_a_number_there_are_as_many_rows_as_were_learnt() {
    let rows = sample(SampleOptions::builder());
    assert_eq!((rows.num_rows(), rows.schema()), (ROWS, model().schema()));
}

#[test]
fn output_has_the_order_of_the_table() {
    assert_eq!(fitted(true).schema(), table().schema());
}

#[test]
fn identifiers_are_all_protected() {
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..1_000).map(|i| format!("id-{i}")),
    ));
    let table = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let values = |protection| {
        let argn = TabularArgn::builder()
            .seed(1)
            .max_epochs(1.0)
            .protection(protection)
            .build();
        let model = argn.fit(&table, &mut silent).unwrap();
        let rows = model
            .sample(&SampleOptions::builder().rows(200).seed(1).build().unwrap())
            .unwrap();
        shares(&rows, "id")
    };
    assert_eq!(values(Protection::On).keys().collect::<Vec<_>>(), ["_RARE_"]);
    let open = values(Protection::Off);
    assert!(open.len() > 1 && !open.contains_key("_RARE_"));
}

#[test]
fn predictions_can_be_averaged_over_orders() {
    let x = table().project(&[0, 1]).unwrap().slice(0, 50);
    let predict = |orders| {
        let options = PredictOptions {
            predictor: Predictor::Mean,
            orders,
            ..PredictOptions::default()
        };
        let rows = model().predict(&x, &["count"], &options).unwrap();
        rows.column(0)
            .as_primitive::<arrow_array::types::Float64Type>()
            .values()
            .to_vec()
    };
    let (one, four) = (predict(1), predict(4));
    assert_ne!(one, four);
    assert_eq!(four, predict(4));
    // The counts go from 0 to 50 whatever the others hold.
    assert!(
        one.iter().zip(&four).all(|(a, b)| (a - b).abs() < 10.0),
        "{one:?} {four:?}"
    );
    let none = PredictOptions {
        orders: 0,
        ..PredictOptions::default()
    };
    assert_eq!(
        model().predict(&x, &["count"], &none).unwrap_err().to_string(),
        "orders is 0; give at least 1"
    );
}

#[test]
fn fixed_order_models_have_a_baseline_by_column() {
    let argn = TabularArgn::builder()
        .seed(3)
        .batch_size(64)
        .max_epochs(20.0)
        .fixed_order(true)
        .build();
    let fixed = argn.fit(&table(), &mut silent).unwrap();
    let evaluate = |model: &FittedTabularArgn| -> Evaluation {
        model
            .evaluate(&table(), "level", &EvaluateOptions::default())
            .unwrap()
    };
    for (one, any) in evaluate(&fixed).columns.iter().zip(evaluate(model()).columns) {
        let far = (one.baseline - any.baseline).abs();
        assert!(far < 0.1, "{}: {} and {}", one.column, one.baseline, any.baseline);
    }
}

#[test]
fn targets_must_be_columns_each_once() {
    use engine_api::ProbaOptions;
    let x = table().slice(0, 3);
    let ask = |targets: &[&str]| {
        let answer = model().predict_proba(&x, targets, &ProbaOptions::default());
        answer.map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(ask(&[]).unwrap_err(), "no target is named; name a target column");
    assert_eq!(
        ask(&["kind", "kind"]).unwrap_err(),
        "the target \"kind\" is named twice; name it once"
    );
    assert_eq!(
        ask(&["size"]).unwrap_err(),
        "the model: there is no column \"size\"; the columns are level, kind, count"
    );
    let digits = TabularArgn::builder()
        .seed(1)
        .encoding("count", EncodingType::NUMERIC_DIGIT)
        .max_epochs(1.0)
        .build()
        .fit(&table(), &mut silent)
        .unwrap();
    let ask = |targets: &[&str]| digits.predict_proba(&x, targets, &ProbaOptions::default());
    let alone = ask(&["count"]).unwrap();
    assert!((alone.row(0).iter().sum::<f64>() - 1.0).abs() < 1e-5);
    assert_eq!(
        ask(&["count", "kind"]).unwrap_err().to_string(),
        "column \"count\" has a code for each of its parts (digits, parts of a date) and cannot be one of several targets; request \
         it alone"
    );
}
