//! Tables in Parquet: values are matched by what they are, and come out in the type that they came in.

use std::fs::File;
use std::sync::Arc;

use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

use crate::argn::{SHORT, TestDir};

const TABLE: i32 = 3;

fn write_parquet(dir: &TestDir, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(dir.path(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
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
