//! Tables of arrow2 in and out (`cargo test -p engine-api --features arrow2`).

#![cfg(feature = "arrow2")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array,
    Int64Array, LargeStringArray, NullArray, RecordBatch, StringArray, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow_select::concat::concat_batches;
use arrow2::datatypes::{DataType, Field, Schema};
use engine_api::data::{Arrow2Error, record_batch_from_arrow2, record_batch_to_arrow2};
use engine_api::{SampleOptions, TabularArgn, silent};

/// One column of every type that a table may have here and that arrow2 knows.
fn every_type() -> RecordBatch {
    let words: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("b"), Some("a")].into_iter().collect();
    let decimals = Decimal128Array::from(vec![Some(150), None, Some(-7), Some(0)]);
    let instants =
        TimestampMicrosecondArray::from(vec![Some(0), None, Some(-1), Some(1_700_000_000_000_001)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "whole",
            Arc::new(Int64Array::from(vec![Some(1), None, Some(-3), Some(i64::MAX)])),
        ),
        (
            "real",
            Arc::new(Float64Array::from(vec![Some(0.5), None, Some(-0.0), Some(1e308)])),
        ),
        (
            "flag",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                None,
                Some(false),
                Some(true),
            ])),
        ),
        (
            "text",
            Arc::new(StringArray::from(vec![
                Some("Zürich"),
                None,
                Some(""),
                Some("007"),
            ])),
        ),
        (
            "long text",
            Arc::new(LargeStringArray::from(vec![
                Some("x"),
                None,
                Some("yy"),
                Some(""),
            ])),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![
                Some(0),
                None,
                Some(-719_162),
                Some(20_000),
            ])),
        ),
        ("instant", Arc::new(instants.with_timezone("Europe/Vienna"))),
        (
            "price",
            Arc::new(decimals.with_precision_and_scale(12, 2).unwrap()),
        ),
        ("word", Arc::new(words)),
        ("nothing", Arc::new(NullArray::new(4))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .unwrap()
}

#[test]
fn every_type_comes_back_as_it_went() {
    let batch = every_type();
    let (schema, chunk) = record_batch_to_arrow2(&batch).unwrap();
    assert_eq!((schema.fields.len(), chunk.len()), (batch.num_columns(), 4));
    assert_eq!(record_batch_from_arrow2(&schema, &chunk).unwrap(), batch);
}

#[test]
fn a_part_of_a_batch_keeps_its_place_and_outlives_the_rest() {
    let batch = every_type();
    let part = record_batch_to_arrow2(&batch.slice(1, 2)).unwrap();
    let expected = concat_batches(batch.schema_ref(), [&batch.slice(1, 2)]).unwrap();
    drop(batch);
    let back = record_batch_from_arrow2(&part.0, &part.1).unwrap();
    drop(part);
    assert_eq!(back, expected);
}

#[test]
fn a_chunk_without_rows_is_a_batch_without_rows() {
    let (schema, chunk) = record_batch_to_arrow2(&every_type().slice(0, 0)).unwrap();
    assert_eq!(record_batch_from_arrow2(&schema, &chunk).unwrap().num_rows(), 0);
}

#[test]
fn a_schema_of_another_chunk_is_refused_by_column() {
    let (mut schema, chunk) = record_batch_to_arrow2(&every_type()).unwrap();
    schema.fields[2] = Field::new("flag", DataType::Int8, true);
    let error = record_batch_from_arrow2(&schema, &chunk).unwrap_err();
    assert!(
        matches!(&error, Arrow2Error::Type { column, .. } if column == "flag"),
        "{error}"
    );
    let error = record_batch_from_arrow2(&Schema::default(), &chunk).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the schema has 0 columns, the chunk has 10; give the schema of the chunk"
    );
}

#[test]
fn a_type_that_arrow2_does_not_know_is_refused_by_column() {
    let views: ArrayRef = Arc::new(StringViewArray::from(vec!["a"]));
    let batch = RecordBatch::try_from_iter([("view", views)]).unwrap();
    let error = record_batch_to_arrow2(&batch).unwrap_err();
    assert!(
        matches!(&error, Arrow2Error::ToArrow2 { column, .. } if column == "view"),
        "{error}"
    );
}

#[test]
fn a_model_learns_from_arrow2_and_its_rows_go_back() {
    let ages = Int32Array::from_iter_values((0..200).map(|i| 20 + i % 40));
    let jobs = StringArray::from_iter_values((0..200).map(|i| ["clerk", "nurse", "cook"][i % 3]));
    let table =
        RecordBatch::try_from_iter([("age", Arc::new(ages) as ArrayRef), ("job", Arc::new(jobs) as _)]);
    let (schema, chunk) = record_batch_to_arrow2(&table.unwrap()).unwrap();

    let table = record_batch_from_arrow2(&schema, &chunk).unwrap();
    let model = TabularArgn::builder()
        .seed(7)
        .max_epochs(1.0)
        .build()
        .fit(&table, &mut silent)
        .unwrap();
    let rows = model.sample(&SampleOptions::rows(50)).unwrap();
    let (rows_schema, rows) = record_batch_to_arrow2(&rows).unwrap();
    let types = |schema: &Schema| {
        schema
            .fields
            .iter()
            .map(|f| f.data_type.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!((rows.len(), types(&rows_schema)), (50, types(&schema)));
}
