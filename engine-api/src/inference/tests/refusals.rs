//! What is refused, and in which words.

use super::*;

#[test]
fn options_that_exclude_each_other_are_refused() {
    let both = SampleOptions {
        rows: Some(5),
        ..SampleOptions::around(table())
    };
    says(
        both.check(),
        "a number of rows and seed data exclude each other: as many rows are drawn as the seed data have; leave the number out",
    );
    let ordered = SampleOptions {
        order: crate::ColumnOrder::Random,
        ..SampleOptions::around(table())
    };
    assert!(matches!(
        ordered.check(),
        Err(EngineError::Inference(InferenceError::Conflict { .. }))
    ));
    let lenient = SampleOptions {
        lenient: true,
        ..both
    };
    assert_eq!(model().sample(&lenient).unwrap().num_rows(), 600);
}

#[test]
fn bad_tables_are_refused_and_lenient_ones_are_not() {
    let unknown = batch(vec![texts("foo", &[Some("1")])]);
    says(
        proba(&unknown, &["shape"]),
        "the record batch: none of its columns is one of the model; the columns of the model are color, shape, size, weight, day",
    );
    let text = batch(vec![texts("size", &[Some("11"), Some("large")])]);
    says(
        proba(&text, &["shape"]),
        "the record batch, row 2, column \"size\": \"large\" of the type Utf8 is no value of the type Int64, which the model has \
         learnt; correct or empty it",
    );
    let number = batch(vec![ints("day", &[Some(3)])]);
    says(
        proba(&number, &["shape"]),
        "the record batch, column \"day\": it holds Int64, the model has learnt Date32; change its type, or leave it out",
    );
    let lenient = ProbaOptions {
        lenient: true,
        ..ProbaOptions::default()
    };
    for x in [unknown, text, number] {
        assert_eq!(
            model().predict_proba(&x, &["shape"], &lenient).unwrap().rows(),
            x.num_rows()
        );
    }
    says(proba(&table(), &[]), "no target is named; name a target column");
    says(
        proba(&table(), &["size", "size"]),
        "the target \"size\" is named twice; name it once",
    );
    says(
        proba(&table(), &["price"]),
        "the model: there is no column \"price\"; the columns are color, shape, size, weight, day",
    );
    assert!(matches!(
        proba(&table(), &["day", "size"]),
        Err(EngineError::Inference(InferenceError::Target { .. }))
    ));
    says(
        model().log_prob(&table().project(&[0, 1, 2]).unwrap(), &LogProbOptions::default()),
        "the record batch: there is no column weight, day; the likelihood of a row needs all columns of the model",
    );
}

#[test]
fn fixed_order_models_name_the_option_that_would_help() {
    let refused = |what: &str| {
        format!(
            "the column order does not match that of the training: this model was trained with a fixed order and cannot {what}"
        )
    };
    let model = fixed_model();
    let seeds = |columns: &[usize]| SampleOptions::around(table().slice(0, 5).project(columns).unwrap());
    assert_eq!(model.sample(&seeds(&[1, 0])).unwrap().num_rows(), 5);
    says(
        model.sample(&seeds(&[1])),
        &refused("take seed data but for its first columns"),
    );
    let rebalance = |column: &str, value: &str| SampleOptions {
        rebalance: vec![Rebalance {
            column: column.to_owned(),
            shares: vec![(value.to_owned(), 0.5)],
            exact: true,
        }],
        ..SampleOptions::rows(100)
    };
    assert_eq!(
        share_of(&model.sample(&rebalance("color", "red")).unwrap(), "color", "red"),
        0.5
    );
    says(
        model.sample(&rebalance("shape", "cube")),
        &refused("rebalance columns but its first ones"),
    );
    says(
        model.impute(&holes(), &ImputeOptions::default()),
        &refused("fill in a column before an observed one"),
    );
    let x = table().slice(0, 5).project(&[0, 2]).unwrap();
    let answer = model
        .predict_proba(&x, &["shape"], &ProbaOptions::default())
        .unwrap();
    (0..5).for_each(|row| assert!((answer.row(row).iter().sum::<f64>() - 1.0).abs() < 1e-5));
}

#[test]
fn values_are_matched_by_value_and_never_rounded() {
    let instants = |micros: i64| {
        let array = arrow_array::TimestampMicrosecondArray::from(vec![Some(micros)]);
        batch(vec![("day".to_owned(), Arc::new(array) as ArrayRef)])
    };
    let day = 18_000 * 86_400_000_000;
    assert!(proba(&instants(day), &["shape"]).is_ok());
    says(
        proba(&instants(day + 1), &["shape"]),
        "the record batch, row 1, column \"day\": \"2019-04-14T00:00:00.000001\" of the type Timestamp(µs) is no value of \
         the type Date32, which the model has learnt; correct or empty it",
    );
    let seeds = SampleOptions::around(batch(vec![ints("size", &[Some(11)])]));
    let other = batch(vec![texts("size", &[Some("11"), Some("12")])]);
    let odd = SampleOptions {
        seed_texts: Some(other),
        ..seeds
    };
    says(
        model().sample(&odd),
        "column \"size\" does not fit the table's format: the texts of the seed data are not one Utf8 value for each row; give the \
         columns of the format",
    );
}
