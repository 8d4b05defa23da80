//! Every Arrow type comes back as itself, with sensible values.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::*;
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use arrow_select::concat::concat_batches;

use super::*;
use crate::data::ParquetWriter;

const ROWS: i64 = 400;

/// A column with a null in every tenth row; the others hold one of `distinct` values.
fn of_type(data_type: &DataType, distinct: i64) -> ArrayRef {
    let whole = Int64Array::from_iter((0..ROWS).map(|row| (row % 10 != 3).then_some(row * 7 % distinct)));
    let to = |array: &dyn Array| cast(array, data_type).unwrap();
    // So many ticks of so long a unit a row, from the year 2001 on.
    let ticks = |start: i64, step: i64| -> Int64Array { whole.unary(|n| start + n * step) };
    let per_second = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    match data_type {
        DataType::Null => new_null_array(data_type, ROWS as usize),
        DataType::Boolean => Arc::new(BooleanArray::from_unary(&whole, |n| n % 2 == 0)),
        DataType::Date32 | DataType::Date64 => {
            let days = cast(&ticks(11_323, 13), &DataType::Int32).unwrap();
            to(&cast(&days, &DataType::Date32).unwrap())
        }
        DataType::Timestamp(unit, zone) => {
            let second = per_second(unit);
            let plain = cast(
                &ticks(978_307_200 * second, 86_461 * second),
                &DataType::Timestamp(*unit, None),
            );
            let data = plain.unwrap().to_data().into_builder();
            make_array(
                data.data_type(DataType::Timestamp(*unit, zone.clone()))
                    .build()
                    .unwrap(),
            )
        }
        DataType::Time32(unit) => {
            let ticks = cast(
                &ticks(3_600 * per_second(unit), 97 * per_second(unit)),
                &DataType::Int32,
            );
            to(&ticks.unwrap())
        }
        DataType::Time64(unit) => to(&ticks(3_600 * per_second(unit), 97 * per_second(unit))),
        DataType::Dictionary(_, values) => to(&of_type(values, distinct)),
        text if text.is_string() => {
            let words = StringArray::from_iter(whole.iter().map(|n| n.map(|n| format!("w{n}, \"ä\""))));
            to(&words)
        }
        number if number.is_floating() => to(&Float64Array::from_iter(
            whole.iter().map(|n| n.map(|n| n as f64 / 4.0 - 3.0)),
        )),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => {
            let amounts = StringArray::from_iter(whole.iter().map(|n| n.map(|n| format!("{n}.50"))));
            to(&amounts)
        }
        _ => to(&whole),
    }
}

fn every_type() -> Vec<DataType> {
    use DataType::*;
    let mut all = vec![
        Null,
        Boolean,
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float16,
        Float32,
        Float64,
        Decimal32(9, 2),
        Decimal64(18, 2),
        Decimal128(38, 3),
        Decimal256(50, 1),
        Date32,
        Date64,
        Utf8,
        LargeUtf8,
        Utf8View,
    ];
    for unit in [
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ] {
        for zone in [
            None,
            Some("UTC".into()),
            Some("+02:00".into()),
            Some("Europe/Vienna".into()),
        ] {
            all.push(Timestamp(unit, zone));
        }
    }
    all.extend([Time32(TimeUnit::Second), Time32(TimeUnit::Millisecond)]);
    all.extend([Time64(TimeUnit::Microsecond), Time64(TimeUnit::Nanosecond)]);
    for values in [
        Utf8,
        LargeUtf8,
        Utf8View,
        Int64,
        Int16,
        Float64,
        Date32,
        Decimal128(10, 2),
    ] {
        all.push(Dictionary(Box::new(Int8), Box::new(values.clone())));
        all.push(Dictionary(Box::new(UInt32), Box::new(values)));
    }
    all
}

/// A table with a column of every type, named by it.
fn table(distinct: i64) -> RecordBatch {
    let types = every_type();
    let fields = types.iter().map(|t| Field::new(t.to_string(), t.clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = types.iter().map(|t| of_type(t, distinct));
    RecordBatch::try_new(schema, columns.collect()).unwrap()
}

fn memory(batch: &RecordBatch) -> TableSource {
    let batches = vec![batch.slice(0, 150), batch.slice(150, batch.num_rows() - 150)];
    TableSource::from_batches("t", &batch.schema(), batches, &ReadOptions::default()).unwrap()
}

/// The values of a column as text, in order, nulls as `null`.
fn values(array: &ArrayRef) -> Vec<String> {
    let plain = match array.data_type() {
        DataType::Dictionary(_, of) => cast(array, of).unwrap(),
        _ => Arc::clone(array),
    };
    // A named zone would need a database of zones to be shown.
    let plain = match plain.data_type() {
        DataType::Timestamp(..) => cast(&plain, &DataType::Int64).unwrap(),
        _ => plain,
    };
    let shown = cast(&plain, &DataType::Utf8).unwrap();
    let mut shown: Vec<String> = shown
        .as_string::<i32>()
        .iter()
        .map(|text| text.unwrap_or("null").to_owned())
        .collect();
    shown.sort_unstable();
    shown
}

#[track_caller]
fn assert_same_types(before: &RecordBatch, after: &RecordBatch) {
    let types = |batch: &RecordBatch| -> Vec<(String, DataType)> {
        let schema = batch.schema();
        let fields = schema.fields().iter();
        fields
            .map(|f| (f.name().clone(), f.data_type().clone()))
            .collect()
    };
    assert_eq!(types(before), types(after));
    assert_eq!(before.num_rows(), after.num_rows());
}

#[test]
fn few_values_of_every_type_come_back_as_they_are() {
    let before = table(20);
    let after = Trip::unprotected().there_and_back(&memory(&before));
    assert_same_types(&before, &after);
    for (field, (a, b)) in before
        .schema()
        .fields()
        .iter()
        .zip(before.columns().iter().zip(after.columns()))
    {
        assert_eq!(values(a), values(b), "{}", field.data_type());
    }
}

#[test]
fn the_same_holds_from_parquet_to_parquet() {
    let before = table(20);
    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (
        folder.path().join("in.parquet"),
        folder.path().join("out.parquet"),
    );
    let mut writer = ParquetWriter::create(&path, before.schema()).unwrap();
    writer.write(&before).unwrap();
    writer.finish().unwrap();
    let source = TableSource::open(&path, &ReadOptions::default()).unwrap();
    let mut sink = TableSink::create(&out, source.format()).unwrap();
    sink.write(&Trip::unprotected().there_and_back(&source)).unwrap();
    sink.finish().unwrap();
    let written = TableSource::open(&out, &ReadOptions::default()).unwrap();
    let batches: Vec<RecordBatch> = written.batches().unwrap().map(Result::unwrap).collect();
    let after = concat_batches(written.schema(), &batches).unwrap();
    assert_same_types(&before, &after);
    for (field, (a, b)) in before
        .schema()
        .fields()
        .iter()
        .zip(before.columns().iter().zip(after.columns()))
    {
        assert_eq!(values(a), values(b), "{}", field.data_type());
    }
}

#[test]
fn many_values_under_protection_keep_type_and_nulls_and_stay_in_range() {
    let before = table(97);
    let after = Trip::default().there_and_back(&memory(&before));
    assert_same_types(&before, &after);
    for (field, (a, b)) in before
        .schema()
        .fields()
        .iter()
        .zip(before.columns().iter().zip(after.columns()))
    {
        let data_type = field.data_type();
        if *data_type == DataType::Null {
            continue;
        }
        let present = b.len() - b.logical_null_count();
        // Each of the values stands in about four rows, so categories of them are all rare, which is null where it is no text.
        let is_category = matches!(data_type, DataType::Dictionary(..)) || data_type.is_string();
        if !is_category {
            assert_eq!(a.logical_null_count(), b.logical_null_count(), "{data_type}");
        }
        assert!(
            is_category || present > 300,
            "{data_type}: {present} values are left"
        );
        if let Some((least, greatest)) = range(a) {
            let (low, high) = range(b).unwrap();
            assert!(least <= low && high <= greatest, "{data_type}: {low} to {high}");
            assert!(high > low, "{data_type}: all values are {low}");
        }
    }
}

/// Least and greatest of a column of numbers or instants.
fn range(array: &ArrayRef) -> Option<(i64, i64)> {
    let is_number = array.data_type().is_numeric()
        || matches!(
            array.data_type(),
            DataType::Date32 | DataType::Timestamp(..) | DataType::Time64(_)
        );
    if !is_number {
        return None;
    }
    let whole = cast(array, &DataType::Int64).unwrap();
    let whole = whole.as_primitive::<Int64Type>();
    Some((whole.iter().flatten().min()?, whole.iter().flatten().max()?))
}

#[test]
fn a_full_dictionary_has_no_room_for_the_rare_token() {
    // 128 words fill the keys of 8 bits; 100 of them are rare.
    let words = |row: usize| match row {
        0..128 => format!("w{row}"),
        _ => format!("w{}", row % 28),
    };
    let words = StringArray::from_iter_values((0..1_000).map(words));
    let data_type = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let words = cast(&words, &data_type).unwrap();
    let batch = RecordBatch::try_from_iter([("word", words)]).unwrap();
    let after = Trip::default().there_and_back(&memory(&batch));
    assert_eq!(after.column(0).data_type(), &data_type);
    let seen: HashSet<String> = values(after.column(0)).into_iter().collect();
    assert!(seen.contains("w5") && !seen.contains("w100"), "{seen:?}");
}

#[test]
fn unsigned_numbers_beyond_the_signed_ones_come_back() {
    let large = |row: u64| u64::MAX - (1 << 40) * (row % 30);
    let array = UInt64Array::from_iter_values((0..600).map(large));
    let batch = RecordBatch::try_from_iter([("n", Arc::new(array) as ArrayRef)]).unwrap();
    for encoding in [
        EncodingType::NUMERIC_DISCRETE,
        EncodingType::NUMERIC_BINNED,
        EncodingType::CATEGORICAL,
    ] {
        let after = Trip::unprotected()
            .with("n", encoding)
            .there_and_back(&memory(&batch));
        let after = after.column(0).as_primitive::<arrow_array::types::UInt64Type>();
        let least = after.values().iter().min().unwrap();
        assert!(*least >= u64::MAX - (1 << 40) * 30, "{encoding}: {least}");
    }
}

#[test]
fn encodings_that_cannot_come_back_are_refused_before_anything_is_done() {
    let batch = table(20);
    for (column, encoding) in [
        ("Date32", EncodingType::NUMERIC_AUTO),
        ("Timestamp(s)", EncodingType::NUMERIC_DIGIT),
        ("Time64(µs)", EncodingType::NUMERIC_BINNED),
        ("Boolean", EncodingType::DATETIME),
        ("Decimal128(38, 3)", EncodingType::DATETIME),
    ] {
        let error = Trip::default()
            .with(column, encoding)
            .codes(&memory(&batch))
            .err()
            .unwrap();
        let expected = format!(
            "column {column:?} of the type {column} cannot come back from the encoding {encoding}; use categorical, or leave \
             the encoding out"
        );
        assert_eq!(error.to_string(), expected);
    }
}
