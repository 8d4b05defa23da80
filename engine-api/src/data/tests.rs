//! Tables through Parquet, memory and the core, and what is refused on the way.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::*;
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow_select::concat::concat_batches;
use engine_core::schema::{DecodedColumn, DecodedValues, Values};

use super::*;

fn schema_of(columns: &[(&str, ArrayRef)]) -> SchemaRef {
    let fields = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn batch_of(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_new(
        schema_of(&columns),
        columns.into_iter().map(|(_, array)| array).collect(),
    )
    .unwrap()
}

fn texts() -> ArrayRef {
    Arc::new(StringArray::from(vec![
        Some("a"),
        None,
        Some("b,\"c\""),
        Some(""),
    ]))
}

/// A batch with a column of every type that is supported.
fn every_type() -> RecordBatch {
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![Some(0), None, Some(100), Some(7)]));
    let float: ArrayRef = Arc::new(Float64Array::from(vec![Some(-1.5), None, Some(0.25), Some(1e20)]));
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(-1), None, Some(19_782), Some(0)]));
    let instants: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
        Some(-1_000_000),
        None,
        Some(1_700_000_000_000_000),
        Some(0),
    ]));
    let clock: ArrayRef = Arc::new(Time64MicrosecondArray::from(vec![
        Some(1_500_000),
        None,
        Some(0),
        Some(3_600_000_000),
    ]));
    let to = |array: &ArrayRef, data_type: DataType| cast(array, &data_type).unwrap();
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("null".to_owned(), new_null_array(&DataType::Null, 4)),
        (
            "boolean".to_owned(),
            Arc::new(BooleanArray::from(vec![
                Some(true),
                None,
                Some(false),
                Some(true),
            ])),
        ),
    ];
    use DataType::*;
    for t in [Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64] {
        columns.push((t.to_string(), to(&whole, t)));
    }
    for t in [
        Decimal32(9, 2),
        Decimal64(18, 2),
        Decimal128(38, 3),
        Decimal256(50, 1),
    ] {
        columns.push((t.to_string(), to(&whole, t)));
    }
    for t in [Float32, Float64] {
        columns.push((t.to_string(), to(&float, t)));
    }
    let small: ArrayRef = Arc::new(Float64Array::from(vec![Some(-1.5), None, Some(0.25), Some(2.0)]));
    columns.push((Float16.to_string(), to(&small, Float16)));
    for t in [Date32, Date64] {
        columns.push((t.to_string(), to(&days, t)));
    }
    for unit in [
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ] {
        for zone in [None, Some("UTC".into()), Some("+02:00".into())] {
            // A cast would want a database of zones.
            let ticks = to(&instants, Timestamp(unit, None)).to_data().into_builder();
            let t = Timestamp(unit, zone);
            columns.push((t.to_string(), make_array(ticks.data_type(t).build().unwrap())));
        }
    }
    for t in [Time32(TimeUnit::Millisecond), Time64(TimeUnit::Microsecond)] {
        columns.push((t.to_string(), to(&clock, t)));
    }
    for t in [
        Utf8,
        LargeUtf8,
        Utf8View,
        Dictionary(Box::new(Int8), Box::new(Utf8)),
    ] {
        columns.push((t.to_string(), to(&texts(), t)));
    }
    batch_of(
        columns
            .iter()
            .map(|(name, array)| (name.as_str(), Arc::clone(array)))
            .collect(),
    )
}

fn write(path: &Path, source: &TableSource) {
    let mut sink = TableSink::create(path, source.format()).unwrap();
    source
        .batches()
        .unwrap()
        .for_each(|batch| sink.write(&batch.unwrap()).unwrap());
    assert_eq!(sink.finish().unwrap(), source.rows());
}

fn memory(batch: RecordBatch) -> TableSource {
    let schema = batch.schema();
    TableSource::from_batches("memory", &schema, vec![batch], &ReadOptions::default()).unwrap()
}

fn read(source: &TableSource) -> RecordBatch {
    let batches: Vec<RecordBatch> = source.batches().unwrap().map(Result::unwrap).collect();
    concat_batches(source.schema(), &batches).unwrap()
}

#[test]
fn every_type_comes_back_from_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let batch = every_type();
    write(&path, &memory(batch.clone()));
    let small = ReadOptions {
        batch_rows: 3,
        ..ReadOptions::default()
    };
    let source = TableSource::open(&path, &small).unwrap();
    assert_eq!(source.schema(), batch.schema_ref());
    assert_eq!(source.format().source, SourceFormat::Parquet);
    for _ in 0..2 {
        let batches: Vec<RecordBatch> = source.batches().unwrap().map(Result::unwrap).collect();
        assert_eq!(
            batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(),
            [3, 1]
        );
        assert_eq!(read(&source), batch);
    }
}

#[test]
fn columns_without_nulls_and_with_metadata_can_be_written() {
    let field = Field::new("x", DataType::Int32, false).with_metadata([("k".to_owned(), "v".to_owned())]);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(Int32Array::from(vec![1]))]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["t.csv", "t.parquet"] {
        let path = folder.path().join(name);
        write(&path, &memory(batch.clone()));
        let source = TableSource::open(&path, &ReadOptions::default()).unwrap();
        assert_eq!((source.rows(), read(&source).column(0).null_count()), (1, 0));
    }
}

#[test]
fn every_type_can_be_shown_to_the_core_with_its_nulls() {
    let shown = TableBatch::new(&every_type()).unwrap();
    let table = shown.table().unwrap();
    assert_eq!(
        (table.rows(), table.columns().len()),
        (4, every_type().num_columns())
    );
    for column in &table.columns()[1..] {
        assert_eq!(
            (0..4).map(|row| column.is_valid(row)).collect::<Vec<_>>(),
            [true, false, true, true]
        );
    }
    let Values::Text(texts) = table.column("Dictionary(Int8, Utf8)").unwrap().values else {
        panic!("texts")
    };
    assert_eq!((texts.get(0), texts.get(2)), ("a", "b,\"c\""));
    let Values::Text(clock) = table.column("Time32(ms)").unwrap().values else {
        panic!("texts")
    };
    assert_eq!((clock.get(2), clock.get(3)), ("00:00:00", "01:00:00"));
    let Values::Decimal { unscaled, scale } = table.column("Decimal256(50, 1)").unwrap().values else {
        panic!("decimals")
    };
    assert_eq!((unscaled[2], scale), (1_000, 1));
}

#[test]
fn slices_are_shown_without_a_copy() {
    let batch = every_type().slice(2, 2);
    let shown = TableBatch::new(&batch).unwrap();
    let table = shown.table().unwrap();
    let Values::Int64(values) = table.column("Int64").unwrap().values else {
        panic!("whole numbers")
    };
    let original = batch
        .column_by_name("Int64")
        .unwrap()
        .as_primitive::<arrow_array::types::Int64Type>();
    assert_eq!(values.as_ptr(), original.values().as_ptr());
    let Values::Text(texts) = table.column("Utf8").unwrap().values else {
        panic!("texts")
    };
    assert_eq!((texts.len(), texts.get(0), texts.get(1)), (2, "b,\"c\"", ""));
    assert!(
        table.columns()[1..]
            .iter()
            .all(|c| c.is_valid(0) && c.is_valid(1))
    );
}

#[test]
fn parquet_types_have_a_plain_form_in_csv() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let batch = every_type();
    write(&path, &memory(batch.clone()));
    let written = std::fs::read_to_string(&path).unwrap();
    let mut lines = ::csv::Reader::from_reader(written.as_bytes());
    let names: Vec<String> = lines.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(names.len(), batch.num_columns());
    let row: ::csv::StringRecord = lines.records().nth(2).unwrap().unwrap();
    let value = |name: &str| &row[names.iter().position(|n| n == name).unwrap()];
    for (name, expected) in [
        ("null", ""),
        ("boolean", "false"),
        ("Int8", "100"),
        ("UInt64", "100"),
        ("Decimal128(38, 3)", "100.000"),
        ("Float32", "0.25"),
        ("Float16", "0.25"),
        ("Date32", "2024-02-29"),
        ("Date64", "2024-02-29"),
        ("Timestamp(s)", "2023-11-14 22:13:20"),
        ("Timestamp(ns, \"UTC\")", "2023-11-14 22:13:20Z"),
        ("Timestamp(ms, \"+02:00\")", "2023-11-15 00:13:20+02:00"),
        ("Time32(ms)", "00:00:00"),
        ("Utf8View", "b,\"c\""),
        ("Dictionary(Int8, Utf8)", "b,\"c\""),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    assert!(
        written.lines().nth(2).unwrap().bytes().all(|b| b == b','),
        "nulls are empty"
    );
    assert!(written.lines().nth(4).unwrap().contains(",1e+20,"));
}

fn decoded(name: &str, values: DecodedValues) -> DecodedColumn {
    DecodedColumn {
        name: name.to_owned(),
        values,
        validity: None,
    }
}

fn labels(distinct: &[Option<&str>], indices: &[u32]) -> DecodedValues {
    let labels = distinct
        .iter()
        .map(|l| l.map(Into::into))
        .collect::<Vec<Option<Box<str>>>>()
        .into();
    DecodedValues::Labels {
        indices: indices.to_vec(),
        labels,
    }
}

/// Puts one decoded column into a type.
fn decode(values: DecodedValues, data_type: &DataType) -> Result<ArrayRef, DataError> {
    let format = TableFormat::of_schema(
        SourceFormat::Arrow,
        &Schema::new(vec![Field::new("c", data_type.clone(), true)]),
    );
    to_record_batch(vec![decoded("c", values)], &format).map(|batch| Arc::clone(batch.column(0)))
}

#[test]
fn texts_become_values_of_every_type_again() {
    let batch = every_type();
    for (field, original) in batch.schema_ref().fields().iter().zip(batch.columns()).skip(1) {
        let data_type = field.data_type();
        let as_text = match data_type {
            // The words of the peer.
            DataType::Boolean => Arc::new(StringArray::from(vec![
                Some("True"),
                None,
                Some("False"),
                Some("True"),
            ])),
            DataType::Timestamp(..) => Arc::new(StringArray::from(vec![
                Some("1969-12-31 23:59:59"),
                None,
                Some("2023-11-14 22:13:20+00:00"),
                Some("1970-01-01"),
            ])),
            DataType::Date64 => cast(&cast(original, &DataType::Date32).unwrap(), &DataType::Utf8).unwrap(),
            _ => cast(original, &DataType::Utf8).unwrap(),
        };
        let distinct: Vec<Option<&str>> = as_text.as_string::<i32>().iter().collect();
        let array = decode(labels(&distinct, &[0, 1, 2, 3]), data_type).unwrap();
        assert_eq!(&array, original, "{data_type}");
    }
}

#[test]
fn categories_become_texts_whole_numbers_and_nulls() {
    let rare = labels(&[Some("_RARE_"), None, Some("1.0"), Some("-7")], &[0, 1, 2, 3, 2]);
    let whole = decode(rare.clone(), &DataType::Int32).unwrap();
    assert_eq!(
        whole.as_primitive::<Int32Type>(),
        &Int32Array::from(vec![None, None, Some(1), Some(-7), Some(1)])
    );
    let words = decode(rare.clone(), &DataType::Utf8).unwrap();
    let expected = StringArray::from(vec![Some("_RARE_"), None, Some("1.0"), Some("-7"), Some("1.0")]);
    assert_eq!(words.as_string::<i32>(), &expected);
    let unsigned = decode(rare, &DataType::UInt8).unwrap();
    assert_eq!(unsigned.null_count(), 3);
}

#[test]
fn numbers_are_rounded_and_kept_in_range() {
    let whole = || DecodedValues::Int(vec![-1_000, 5, 1_000]);
    let float = || DecodedValues::Float(vec![-1_000.5, 4.6, f64::NAN]);
    let int8 = decode(whole(), &DataType::Int8).unwrap();
    assert_eq!(int8.as_primitive::<Int8Type>().values(), &[-128, 5, 127]);
    let int8 = decode(float(), &DataType::Int8).unwrap();
    assert_eq!(
        int8.as_primitive::<Int8Type>(),
        &Int8Array::from(vec![Some(-128), Some(5), None])
    );
    let unsigned = decode(float(), &DataType::UInt64).unwrap();
    assert_eq!(
        unsigned.as_primitive(),
        &UInt64Array::from(vec![Some(0), Some(5), None])
    );
    let single = decode(float(), &DataType::Float32).unwrap();
    assert_eq!(
        single.as_primitive::<arrow_array::types::Float32Type>().value(0),
        -1_000.5
    );
    for narrow in [DataType::Decimal128(4, 1), DataType::Decimal32(4, 1)] {
        let decimals = cast(&decode(whole(), &narrow).unwrap(), &DataType::Utf8).unwrap();
        assert_eq!(
            decimals.as_string::<i32>(),
            &StringArray::from(vec!["-999.9", "5.0", "999.9"]),
            "{narrow}"
        );
        let decimals = cast(&decode(float(), &narrow).unwrap(), &DataType::Utf8).unwrap();
        let expected = StringArray::from(vec![Some("-999.9"), Some("4.6"), None]);
        assert_eq!(decimals.as_string::<i32>(), &expected, "{narrow}");
    }
    let words = decode(float(), &DataType::Utf8).unwrap();
    assert_eq!(
        words.as_string::<i32>(),
        &StringArray::from(vec![Some("-1000.5"), Some("4.6"), None])
    );
    let words = decode(whole(), &DataType::LargeUtf8).unwrap();
    assert_eq!(words.as_string::<i64>().value(2), "1000");
}

#[test]
fn instants_become_dates_ticks_and_texts() {
    let instants = || DecodedValues::Timestamp(vec![-1, 1_700_000_000_123_456]);
    let days = decode(instants(), &DataType::Date32).unwrap();
    assert_eq!(
        days.as_primitive::<arrow_array::types::Date32Type>().values(),
        &[-1, 19_675]
    );
    let days = decode(instants(), &DataType::Date64).unwrap();
    assert_eq!(
        days.as_primitive::<arrow_array::types::Date64Type>().value(0),
        -86_400_000
    );
    for (unit, expected) in [
        (TimeUnit::Second, [-1, 1_700_000_000]),
        (TimeUnit::Millisecond, [-1, 1_700_000_000_123]),
        (TimeUnit::Microsecond, [-1, 1_700_000_000_123_456]),
        (TimeUnit::Nanosecond, [-1_000, 1_700_000_000_123_456_000]),
    ] {
        let data_type = DataType::Timestamp(unit, Some("UTC".into()));
        let array = decode(instants(), &data_type).unwrap();
        assert_eq!(array.data_type(), &data_type);
        let ticks = cast(&array, &DataType::Int64).unwrap();
        assert_eq!(
            ticks.as_primitive::<arrow_array::types::Int64Type>().values(),
            &expected
        );
    }
    let words = decode(instants(), &DataType::Utf8).unwrap();
    let expected = StringArray::from(vec!["1969-12-31 23:59:59.999999", "2023-11-14 22:13:20.123456"]);
    assert_eq!(words.as_string::<i32>(), &expected);
    let words = decode(DecodedValues::Timestamp(vec![0, 86_400_000_000]), &DataType::Utf8).unwrap();
    assert_eq!(
        words.as_string::<i32>(),
        &StringArray::from(vec!["1970-01-01", "1970-01-02"])
    );
}

#[test]
fn decoded_columns_find_their_place_and_keep_their_nulls() {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, false),
        Field::new("b", DataType::Utf8, true),
        Field::new("c", DataType::Null, true),
    ]);
    let mut format = TableFormat::of_schema(SourceFormat::Arrow, &schema);
    let b = DecodedColumn {
        validity: Some(vec![true, false]),
        ..decoded("b", DecodedValues::Text(vec!["x".to_owned(), "y".to_owned()]))
    };
    let a = decoded("a", DecodedValues::Int(vec![1, 2]));
    let c = decoded("c", DecodedValues::Null(2));
    let batch = to_record_batch(vec![b.clone(), c.clone(), a.clone()], &format).unwrap();
    assert_eq!(batch.schema(), format.output_schema());
    assert_eq!(
        batch.column(1).as_string::<i32>(),
        &StringArray::from(vec![Some("x"), None])
    );

    let said = |columns, format: &TableFormat| to_record_batch(columns, format).unwrap_err().to_string();
    assert_eq!(
        said(vec![a.clone(), b.clone()], &format),
        "column \"c\" does not fit the table's format: it is missing; give the columns of the format"
    );
    assert_eq!(
        said(vec![a.clone(), a.clone()], &format),
        "column \"a\" does not fit the table's format: it is given twice; give the columns of the format"
    );
    let short = decoded("c", DecodedValues::Null(1));
    assert_eq!(
        said(vec![a.clone(), short], &format),
        "column \"c\" does not fit the table's format: it has another number of rows than the first; give the columns \
         of the format"
    );
    format.set_role("t.csv", "c", Role::Excluded).unwrap();
    assert_eq!(
        to_record_batch(vec![a.clone(), b.clone()], &format)
            .unwrap()
            .num_columns(),
        2
    );
    assert_eq!(
        said(vec![a, b, c], &format),
        "column \"c\" does not fit the table's format: the format has no such column; give the columns of the format"
    );
    assert_eq!(
        decode(DecodedValues::Int(vec![1997]), &DataType::Date32)
            .unwrap_err()
            .to_string(),
        "column \"c\" does not fit the table's format: its encoding gives numbers, its type is none of numbers; give \
         the columns of the format"
    );
}

#[test]
fn parquet_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let said = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let source = TableSource::open(&path, &ReadOptions::default());
        let failed = source.and_then(|s| s.batches()?.try_for_each(|b| b.map(drop)));
        failed
            .unwrap_err()
            .to_string()
            .replace(&path.display().to_string(), "t.parquet")
    };
    assert_eq!(
        said(b""),
        "t.parquet: the file is empty; give a table with a header and at least one row"
    );
    let damaged =
        "t.parquet: this is no Parquet file, or it is cut short or damaged; make or fetch it anew (";
    assert!(said(b"a,b\n1,2\n3,4\n").starts_with(damaged));
    write(&path, &memory(every_type()));
    let whole = std::fs::read(&path).unwrap();
    assert!(said(&whole[..whole.len() / 2]).starts_with(damaged));
    let mut garbage = whole.clone();
    garbage[4..600].fill(0xa5);
    assert!(said(&garbage).starts_with(damaged));
    let mut empty = ParquetWriter::create(&path, every_type().schema()).unwrap();
    empty.write(&every_type().slice(0, 0)).unwrap();
    assert_eq!(empty.finish().unwrap(), 0);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(
        said(&bytes),
        "t.parquet: there is a header but no row below it; give a table with at least one row"
    );
    assert_eq!(ParquetTable::open(&path).unwrap().rows(), 0);
}

#[test]
fn columns_that_cannot_be_encoded_are_refused_unless_excluded() {
    let nested = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)]), None]);
    let batch = batch_of(vec![
        ("n", Arc::new(nested)),
        ("a", Arc::new(Int32Array::from(vec![1, 2]))),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let mut writer = ParquetWriter::create(&path, batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let error = TableSource::open(&path, &ReadOptions::default())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        format!(
            "{}, column \"n\": columns of the type List(Int32) are not supported; exclude the column or make it text, \
             a number, a date or a boolean",
            path.display()
        )
    );
    let without = ReadOptions {
        exclude: vec!["n".to_owned()],
        ..ReadOptions::default()
    };
    let source = TableSource::open(&path, &without).unwrap();
    assert_eq!(read(&source).num_columns(), 1);
    let stored = folder.path().join("table-format.json");
    source.format().save(&stored).unwrap();
    assert_eq!(&TableFormat::load(&stored).unwrap(), source.format());
    let binary = batch_of(vec![("b", Arc::new(BinaryArray::from(vec![&b"x"[..]])))]);
    let error = TableSource::from_batches("memory", &binary.schema(), vec![binary], &ReadOptions::default());
    assert_eq!(
        error.unwrap_err().to_string(),
        "memory, column \"b\": columns of the type Binary are not supported; exclude the column or make it text, a \
         number, a date or a boolean"
    );
}

#[test]
fn infinite_numbers_are_refused_and_nan_is_not() {
    let numbers = |values: Vec<f32>| memory(batch_of(vec![("x", Arc::new(Float32Array::from(values)))]));
    let error = numbers(vec![1.0, f32::NAN, f32::NEG_INFINITY])
        .batches()
        .unwrap()
        .find_map(Result::err)
        .unwrap();
    assert_eq!(
        error.to_string(),
        "memory, row 3, column \"x\": \"-inf\" is not a finite number; correct or empty the value, or exclude the column"
    );
    assert_eq!(read(&numbers(vec![1.0, f32::NAN])).num_rows(), 2);
}

#[test]
fn batches_in_memory_must_be_alike_and_have_rows() {
    let a = batch_of(vec![("x", Arc::new(Int32Array::from(vec![1])))]);
    let b = batch_of(vec![("y", Arc::new(Int32Array::from(vec![1])))]);
    let open = |batches| TableSource::from_batches("memory", &a.schema(), batches, &ReadOptions::default());
    assert_eq!(
        open(vec![a.clone(), b]).unwrap_err().to_string(),
        "memory: record batch 2 has another schema than the first; give batches of one schema"
    );
    assert_eq!(
        open(vec![]).unwrap_err().to_string(),
        "memory: there is a header but no row below it; give a table with at least one row"
    );
    assert_eq!(open(vec![a.clone(), a.clone()]).unwrap().rows(), 2);
}

#[test]
fn a_sink_refuses_other_columns_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let a = batch_of(vec![("x", Arc::new(Int32Array::from(vec![1])))]);
    let source = memory(a.clone());
    for name in ["t.csv", "t.csv.gz", "t.parquet"] {
        let mut sink = TableSink::create(&folder.path().join(name), source.format()).unwrap();
        sink.write(&a).unwrap();
        let renamed = batch_of(vec![("y", Arc::new(Int32Array::from(vec![1])))]);
        assert_eq!(
            sink.write(&renamed).unwrap_err().to_string(),
            "column \"y\" does not fit the table's format: another column is expected in its place; give the columns of \
             the format"
        );
        let retyped = batch_of(vec![("x", Arc::new(Int64Array::from(vec![1])))]);
        assert!(
            sink.write(&retyped)
                .unwrap_err()
                .to_string()
                .contains("it has another type")
        );
        drop(sink);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(matches!(
        TableSink::create(&folder.path().join("t.txt"), source.format()).map(|_| ()),
        Err(DataError::UnknownFormat { .. })
    ));
}

/// A stream whose reader has gone away.
struct Closed;

impl std::io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_is_distinguished_from_other_errors() {
    let source = memory(every_type());
    let error = TableSink::to_pipe(Box::new(Closed), "standard output", source.format())
        .map(|_| ())
        .unwrap_err();
    assert!(error.is_closed_pipe());
    assert_eq!(
        error.to_string(),
        "standard output: the reader has closed the pipe"
    );
    #[cfg(target_os = "linux")]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let error = TableSink::to_pipe(Box::new(full), "standard output", source.format())
            .map(|_| ())
            .unwrap_err();
        assert!(!error.is_closed_pipe());
        assert_eq!(
            error.to_string(),
            "standard output: the disk is full; free some space or choose another path, then run again"
        );
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let rows = 20_000;
    let batch = batch_of(vec![
        (
            "x",
            Arc::new(Float64Array::from_iter_values(
                (0..rows).map(|i| f64::from(i) / 8.0),
            )),
        ),
        (
            "w",
            Arc::new(StringArray::from_iter_values(
                (0..rows).map(|i| format!("w{}", i % 13)),
            )),
        ),
    ]);
    let source = memory(batch);
    let folder = tempfile::tempdir().unwrap();
    for name in ["t.csv", "t.csv.gz", "t.parquet"] {
        let written: Vec<Vec<u8>> = [1, 2, 7]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                let path = folder.path().join(name);
                pool.install(|| write(&path, &source));
                std::fs::read(&path).unwrap()
            })
            .collect();
        assert!(written[0].len() > 1_000);
        assert!(written.windows(2).all(|pair| pair[0] == pair[1]), "{name}");
    }
}
