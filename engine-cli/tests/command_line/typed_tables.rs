//! Tables in Parquet: values are matched by what they are, and come out in the type that they came in.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::LogicalType;

use crate::argn::{SHORT, TestDir};

const TABLE: i32 = 3;

fn write_parquet(dir: &TestDir, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(dir.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A folder with one of the tables of `tests/data`, which a model has learnt.
fn fitted_to(table: &str, more: &[&str]) -> TestDir {
    let dir = TestDir::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(table);
    dir.write(table, fs::read(path).unwrap());
    let fit = [
        "fit",
        table,
        "-w",
        "ws",
        "-q",
        "--max-epochs",
        "2",
        "--seed",
        "1",
        "--model",
        "small",
    ];
    dir.done(&[&fit[..], more].concat());
    dir
}

/// Schema and rows of a Parquet file, with the logical types that other programs see.
struct Read {
    batch: RecordBatch,
    logical: Vec<Option<LogicalType>>,
}

fn read_parquet(dir: &TestDir, name: &str) -> Read {
    let file = File::open(dir.path(name)).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let columns = builder.parquet_schema().columns().iter();
    let logical = columns.map(|c| c.logical_type_ref().cloned()).collect();
    let mut batches = builder.with_batch_size(1 << 20).build().unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    Read { batch, logical }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn fitted() -> TestDir {
    let dir = TestDir::with_table();
    dir.done(&[&["fit", "t.csv", "-w", "ws", "-q"], &SHORT[..]].concat());
    dir
}

#[test]
fn a_mean_has_the_decimals_that_it_needs_from_csv_and_from_parquet() {
    let dir = fitted();
    dir.write("some.csv", "city,height\nWien,\nGraz,\nLinz,1.70\n");
    let sample = |from: &str, to: &str| {
        dir.done(&["sample", "-w", "ws", "--seed-data", from, "--seed", "1", "-o", to]);
    };
    sample("some.csv", "q.parquet");
    sample("q.parquet", "q.csv");
    let filled = |rows: &str, aggregate: &str| {
        let flags = [
            "impute",
            rows,
            "-w",
            "ws",
            "--seed",
            "2",
            "-o",
            "-",
            "--draws",
            "3",
            "--aggregate",
            aggregate,
            "--columns",
            "height",
        ];
        lines(&dir.done(&flags).out)
    };
    let decimals = |line: &String| line.split(',').nth(2).unwrap().split('.').nth(1).unwrap().len();
    for aggregate in ["mean", "median", "mode"] {
        let from_csv = filled("q.csv", aggregate);
        assert_eq!(filled("q.parquet", aggregate), from_csv, "{aggregate}");
        let most = from_csv[1..].iter().map(decimals).max();
        assert_eq!(most > Some(2), aggregate == "mean", "{from_csv:?}");
    }
}

#[test]
fn what_the_model_cannot_hold_is_refused_or_counted_once() {
    let dir = fitted();
    let ages = Decimal128Array::from(vec![3_000, 3_050, 4_075]);
    let ages = ages.with_precision_and_scale(6, 2).unwrap();
    let cities = StringArray::from(vec!["Wien"; 3]);
    write_parquet(
        &dir,
        "q.parquet",
        vec![("city", Arc::new(cities)), ("age", Arc::new(ages))],
    );
    for command in [
        &["impute", "q.parquet", "-o", "o.csv"][..],
        &["log-prob", "q.parquet", "-o", "o.csv"],
        &["predict", "q.parquet", "-o", "o.csv", "--target", "smoker"],
        &["sample", "--seed-data", "q.parquet", "-o", "o.csv"],
    ] {
        // Likelihoods need all columns, and say so first.
        if command[0] != "log-prob" {
            let ended = dir.run(&[command, &["-w", "ws"]].concat());
            let refused = "row 2, column \"age\": \"30.50\" of the type Decimal128(6, 2) is no value of the type Int64, which the model has \
                           learnt; correct or empty it";
            assert!(
                ended.code == TABLE && ended.err.contains(refused),
                "{command:?}: {}",
                ended.err
            );
            assert!(!dir.exists("o.csv"));
        }
        let lenient = dir.run(&[command, &["-w", "ws", "--lenient"]].concat());
        assert_eq!(
            lenient
                .err
                .matches("read as null (column \"age\", count 2)")
                .count(),
            1,
            "{command:?}: {}",
            lenient.err
        );
        let _ = std::fs::remove_file(dir.path("o.csv"));
    }
}

#[test]
fn types_and_metadata_come_out_as_they_went_in() {
    for (table, more) in [
        ("66_exact.parquet", &[][..]),
        ("p09_pandas.parquet", &["--primary-key", "pid"]),
        ("extension.parquet", &[]),
    ] {
        let dir = fitted_to(table, more);
        dir.done(&["sample", "-w", "ws", "-n", "50", "-o", "s.parquet"]);
        dir.done(&["sample", "-w", "ws", "--seed-data", table, "-o", "seeded.parquet"]);
        dir.done(&["impute", table, "-w", "ws", "-o", "filled.parquet"]);
        let given = read_parquet(&dir, table);
        for out in ["s.parquet", "seeded.parquet", "filled.parquet"] {
            let made = read_parquet(&dir, out);
            let (schema, expected) = (made.batch.schema_ref(), given.batch.schema_ref());
            for (field, expected) in schema.fields().iter().zip(expected.fields()) {
                assert_eq!(field.name(), expected.name());
                assert_eq!(field.data_type(), expected.data_type(), "{out}: {field}");
                assert_eq!(field.metadata(), expected.metadata(), "{out}: {field}");
                assert_eq!(
                    field.dict_is_ordered(),
                    expected.dict_is_ordered(),
                    "{out}: {field}"
                );
            }
            assert_eq!(made.logical, given.logical, "{table}: {out}");
            assert!(schema.metadata().keys().eq(expected.metadata().keys()));
            let types = |schema: &arrow_schema::Schema| -> Option<Vec<String>> {
                let pandas: serde_json::Value =
                    serde_json::from_str(schema.metadata().get("pandas")?).unwrap();
                let columns = pandas["columns"].as_array()?.iter();
                Some(
                    columns
                        .map(|c| format!("{} {}", c["field_name"], c["numpy_type"]))
                        .collect(),
                )
            };
            assert_eq!(types(schema), types(expected), "{out}");
        }
        // What was given is still there, to the last digit.
        let seeded = read_parquet(&dir, "seeded.parquet");
        assert_eq!(seeded.batch.columns(), given.batch.columns(), "{table}");
    }
}
