//! A table whose columns follow from each other, learnt once: what is drawn keeps to the rules of the table.

use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow_select::nullif::nullif;
use arrow_select::take::take_record_batch;
use engine_api::{FittedTabularArgn, ImputeOptions, SampleOptions, TabularArgn, silent};

const ROWS: usize = 4_000;
const LIMIT: f64 = 120.0;

fn price(product: &str, amount: i64) -> f64 {
    let whole = 1_000.0 / amount as f64;
    (if product == "A" { 0.7 * whole } else { whole }).round()
}

/// The price follows from product and amount, its class from the price, and the note is often null.
fn table() -> RecordBatch {
    let product = |i: usize| if i * 7 % 10 < 5 { "A" } else { "B" };
    let amount = |i: usize| (i * 13 / 10 % 12) as i64 + 2;
    let of = |i: usize| price(product(i), amount(i));
    let columns: [(&str, ArrayRef); 5] = [
        (
            "product",
            Arc::new(StringArray::from_iter_values((0..ROWS).map(product))),
        ),
        (
            "amount",
            Arc::new(Int64Array::from_iter_values((0..ROWS).map(amount))),
        ),
        (
            "price",
            Arc::new(Float64Array::from_iter_values((0..ROWS).map(of))),
        ),
        (
            "class",
            Arc::new(StringArray::from_iter_values(
                (0..ROWS).map(|i| if of(i) >= LIMIT { "dear" } else { "cheap" }),
            )),
        ),
        (
            "note",
            Arc::new(StringArray::from_iter(
                (0..ROWS).map(|i| (!i.is_multiple_of(3)).then_some("kept")),
            )),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn model() -> &'static FittedTabularArgn {
    static MODEL: OnceLock<FittedTabularArgn> = OnceLock::new();
    MODEL.get_or_init(|| {
        let argn = TabularArgn::builder()
            .seed(2)
            .batch_size(64)
            .max_epochs(40.0)
            .build();
        argn.fit(&table(), &mut silent).unwrap()
    })
}

fn texts<'b>(rows: &'b RecordBatch, name: &str) -> Vec<Option<&'b str>> {
    rows.column_by_name(name)
        .unwrap()
        .as_string::<i32>()
        .iter()
        .collect()
}

fn floats(rows: &RecordBatch, name: &str) -> Vec<f64> {
    rows.column_by_name(name)
        .unwrap()
        .as_primitive::<Float64Type>()
        .values()
        .to_vec()
}

fn ints(rows: &RecordBatch, name: &str) -> Vec<i64> {
    rows.column_by_name(name)
        .unwrap()
        .as_primitive::<Int64Type>()
        .values()
        .to_vec()
}

/// The share of rows whose price is what the table's rule makes of product and amount, within a twentieth.
fn keeps_to_the_rule(rows: &RecordBatch) -> f64 {
    let (products, amounts, prices) = (
        texts(rows, "product"),
        ints(rows, "amount"),
        floats(rows, "price"),
    );
    let is_near = |i: &usize| {
        let want = price(products[*i].unwrap_or(""), amounts[*i]);
        (prices[*i] - want).abs() <= 0.05 * want + 0.5
    };
    (0..rows.num_rows()).filter(is_near).count() as f64 / rows.num_rows() as f64
}

#[test]
fn prices_follow_from_seeds() {
    let seeds = table().project(&[0, 1]).unwrap().slice(0, 1_000);
    let options = SampleOptions::builder()
        .seed_data(seeds.clone())
        .seed(1)
        .build()
        .unwrap();
    let rows = model().sample(&options).unwrap();
    for name in ["product", "amount"] {
        assert_eq!(rows.column_by_name(name), seeds.column_by_name(name), "{name}");
    }
    assert!(keeps_to_the_rule(&rows) > 0.95, "{}", keeps_to_the_rule(&rows));
}

#[test]
fn holes_keep_to_the_rule_and_null_notes_stay_null() {
    let truth = table().slice(0, 600);
    let mut columns = truth.columns().to_vec();
    // Each of three columns is missing in rows of its own, so that every row knows enough for the rule.
    for (nth, at) in [1, 2, 3].into_iter().enumerate() {
        let hole: BooleanArray = (0..600).map(|row| Some(row % 3 == nth)).collect();
        columns[at] = nullif(&columns[at], &hole).unwrap();
    }
    let holes = RecordBatch::try_new(truth.schema(), columns).unwrap();
    let options = ImputeOptions {
        columns: ["amount", "price", "class"].map(str::to_owned).to_vec(),
        seed: Some(3),
        ..ImputeOptions::default()
    };
    let filled = model().impute(&holes, &options).unwrap();
    assert!(
        keeps_to_the_rule(&filled) > 0.95,
        "{}",
        keeps_to_the_rule(&filled)
    );
    let classes = texts(&filled, "class").into_iter().zip(texts(&truth, "class"));
    let same = classes.filter(|(a, b)| a == b).count();
    assert!(same > 590, "{same} of 600 classes");
    assert_eq!(filled.column_by_name("note"), truth.column_by_name("note"));
    assert!(filled.column_by_name("note").unwrap().null_count() > 0);
}

#[test]
fn temperature_decides_how_closely_rules_are_kept() {
    let consistent = |temperature: f64, top_p: f64| {
        let options = SampleOptions::builder()
            .rows(2_000)
            .seed(4)
            .temperature(temperature)
            .top_p(top_p);
        let rows = model().sample(&options.build().unwrap()).unwrap();
        let pairs = floats(&rows, "price").into_iter().zip(texts(&rows, "class"));
        let dear: Vec<bool> = pairs
            .filter(|(price, _)| *price >= LIMIT)
            .map(|(_, c)| c == Some("dear"))
            .collect();
        dear.iter().filter(|is_dear| **is_dear).count() as f64 / dear.len() as f64
    };
    let (hot, cold) = (consistent(10.0, 1.0), consistent(0.5, 0.9));
    assert!(
        (0.4..0.75).contains(&hot) && cold > 0.95,
        "{hot} at 10, {cold} at 0.5"
    );
}

#[test]
fn columns_that_are_imputed_are_never_null_or_rare() {
    let options = SampleOptions::builder().rows(1_000).seed(5);
    let plain = model().sample(&options.clone().build().unwrap()).unwrap();
    assert!(plain.column_by_name("note").unwrap().null_count() > 200);
    let imputed = model().sample(&options.impute("note").build().unwrap()).unwrap();
    assert!(texts(&imputed, "note").iter().all(|note| *note == Some("kept")));
}

#[test]
fn numbers_keep_their_quantiles_in_every_encoding() {
    use engine_api::EncodingType;
    let cents = [0.0, 0.05, 0.5, 0.95, 0.99];
    let value = |i: usize| ((i * 7_919) % 300) as f64 + cents[i % 5];
    let column: ArrayRef = Arc::new(Float64Array::from_iter_values((0..3_000).map(value)));
    let original = RecordBatch::try_from_iter([("price", column)]).unwrap();
    let quantiles = |rows: &RecordBatch| {
        let mut values = floats(rows, "price");
        values.sort_by(f64::total_cmp);
        [0.25, 0.5, 0.75, 1.0].map(|q| values[((values.len() - 1) as f64 * q) as usize])
    };
    for encoding in [EncodingType::NUMERIC_AUTO, EncodingType::NUMERIC_DIGIT] {
        let argn = TabularArgn::builder()
            .seed(1)
            .encoding("price", encoding)
            .max_epochs(30.0)
            .build();
        let model = argn.fit(&original, &mut silent).unwrap();
        let rows = model
            .sample(&SampleOptions::builder().rows(6_000).seed(1).build().unwrap())
            .unwrap();
        for (got, want) in quantiles(&rows).into_iter().zip(quantiles(&original)) {
            assert!(
                (got - want).abs() < 0.05 * want + 5.0,
                "{encoding:?}: {got} instead of {want}"
            );
        }
    }
}

#[test]
fn rows_come_in_the_order_of_the_seeds() {
    let order: UInt64Array = [10u64, 10, 5, 700].into_iter().map(Some).collect();
    let seeds = take_record_batch(&table().project(&[1, 0]).unwrap(), &order).unwrap();
    let options = SampleOptions::builder()
        .seed_data(seeds.clone())
        .seed(1)
        .build()
        .unwrap();
    let rows = model().sample(&options).unwrap();
    assert_eq!(ints(&rows, "amount"), ints(&seeds, "amount"));
    assert_eq!(texts(&rows, "product"), texts(&seeds, "product"));
}
