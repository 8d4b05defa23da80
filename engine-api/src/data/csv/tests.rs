//! CSV as a whole: what is read, what is refused, and what comes back.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use arrow_select::concat::concat_batches;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::infer::CsvTable;
use super::input::CsvInput;
use crate::data::{DataError, ReadOptions, TableSink, TableSource};

fn open_bytes(
    folder: &Path,
    name: &str,
    bytes: &[u8],
    options: &ReadOptions,
) -> Result<TableSource, DataError> {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    TableSource::open(&path, options)
}

fn read(source: &TableSource) -> RecordBatch {
    let batches: Vec<RecordBatch> = source.batches().unwrap().map(Result::unwrap).collect();
    concat_batches(source.schema(), &batches).unwrap()
}

/// Reads a text in small batches and writes what was read.
fn there_and_back(text: &[u8], options: &ReadOptions) -> String {
    let folder = tempfile::tempdir().unwrap();
    let source = open_bytes(folder.path(), "in.csv", text, options).unwrap();
    let path = folder.path().join("out.csv");
    let mut sink = TableSink::create(&path, source.format()).unwrap();
    for batch in source.batches().unwrap() {
        sink.write(&batch.unwrap()).unwrap();
    }
    assert_eq!(sink.finish().unwrap(), source.rows());
    std::fs::read_to_string(&path).unwrap()
}

fn options() -> ReadOptions {
    ReadOptions {
        batch_rows: 3,
        ..ReadOptions::default()
    }
}

/// The message for a text, with the folder's path taken out.
fn refusal(text: &[u8], options: &ReadOptions) -> String {
    let folder = tempfile::tempdir().unwrap();
    let said = open_bytes(folder.path(), "t.csv", text, options)
        .unwrap_err()
        .to_string();
    said.replace(&format!("{}/", folder.path().display()), "")
}

const TRICKY: &str = "\
id,code,whole,price,mixed,sci,day,at,zoned,ok,say,gone
1,007,5,1.50,12,1.5,2024-02-29,2024-01-01 10:00:00,2024-01-01T10:00:00.000+02:00,True,\"a,b\",
2,012,-12,0.05,11.77,1e-05,1969-12-31,1969-12-31 23:59:59,1969-12-31T23:59:59.250+02:00,False,\"say \"\"hi\"\"\",
3,,,,,,,,,,,
4,1e5,0,-3.00,0.1,2.25e+16,0001-01-01,2024-01-01 00:00:00,2024-01-01T00:00:00.000+02:00,True,\"two
lines\",
5,x,9223372036854775807,123456.78,-7,-0.1,9999-12-31,2024-12-31 12:30:00,2024-06-01T10:00:00.123+02:00,True,ünïcode,
";

#[test]
fn a_tricky_table_comes_back_byte_for_byte() {
    assert_eq!(there_and_back(TRICKY.as_bytes(), &options()), TRICKY);
}

#[test]
fn a_tricky_table_has_the_types_that_a_person_would_give() {
    let folder = tempfile::tempdir().unwrap();
    let source = open_bytes(folder.path(), "in.csv", TRICKY.as_bytes(), &options()).unwrap();
    let types: Vec<DataType> = source
        .schema()
        .fields()
        .iter()
        .map(|f| f.data_type().clone())
        .collect();
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    assert_eq!(
        types,
        [
            DataType::Int64,
            DataType::Utf8,
            DataType::Int64,
            DataType::Float64,
            DataType::Float64,
            DataType::Float64,
            DataType::Date32,
            micros(None),
            micros(Some("UTC")),
            DataType::Boolean,
            DataType::Utf8,
            DataType::Null,
        ]
    );
    let batch = read(&source);
    assert_eq!((source.rows(), batch.num_rows()), (5, 5));
    // Only the third row has nulls, but for the last column.
    for column in &batch.columns()[1..11] {
        assert_eq!((0..5).filter(|&row| column.is_null(row)).collect::<Vec<_>>(), [2]);
    }
    assert_eq!(batch.column(10).as_string::<i32>().value(3), "two\nlines");
}

#[test]
fn quotes_null_texts_and_spaces_come_back() {
    let strings = "\"a\",\"b\"\n1,\"x\"\nNA,\"y \"\"z\"\"\"\n";
    let with_null = ReadOptions {
        null_texts: vec!["NA".to_owned()],
        ..options()
    };
    assert_eq!(there_and_back(strings.as_bytes(), &with_null), strings);
    let all = "\"a\";\"b\"\n\"1.50\";\"2024-01-01\"\n\"2.25\";\"2024-01-02\"\n";
    assert_eq!(there_and_back(all.as_bytes(), &options()), all);
    let spaced = "a, b, c\n 39, 1.5, State-gov\n 50, 2.5, Private\n";
    assert_eq!(there_and_back(spaced.as_bytes(), &options()), spaced);
    let delimiter_in_value = "day-at\n2024-01-01-2\n";
    let by_dash = ReadOptions {
        delimiter: Some('-'),
        ..options()
    };
    assert_eq!(
        there_and_back(b"day-at\n\"2024-01-01\"-2\n", &by_dash),
        "day-at\n\"2024-01-01\"-2\n"
    );
    assert!(refusal(delimiter_in_value.as_bytes(), &by_dash).contains("the row has 4 fields"));
    let single = "a\n1\n\"\"\n2\n";
    assert_eq!(there_and_back(single.as_bytes(), &options()), single);
}

#[test]
fn mark_line_ends_and_empty_lines_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let text = b"\xef\xbb\xbfa;b\r\n1;x\r\n\r\n2;\"\"\r\n3;z";
    let source = open_bytes(folder.path(), "in.csv", text, &options()).unwrap();
    let names: Vec<&str> = source
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .collect();
    assert_eq!((names, source.rows()), (vec!["a", "b"], 3));
    let batch = read(&source);
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
    assert!(batch.column(1).is_null(1));
    assert_eq!(there_and_back(text, &options()), "a;b\n1;x\n2;\n3;z\n");
}

#[test]
fn nan_is_null_and_null_texts_win_over_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let with_null = ReadOptions {
        null_texts: vec!["-99".to_owned()],
        ..options()
    };
    let source = open_bytes(folder.path(), "in.csv", b"a,b\n1,NaN\n-99,2.5\n", &with_null).unwrap();
    let batch = read(&source);
    assert_eq!(
        (batch.column(0).null_count(), batch.column(1).null_count()),
        (1, 1)
    );
    assert!(batch.column(0).is_null(1) && batch.column(1).is_null(0));
}

#[test]
fn excluded_columns_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let only_b = ReadOptions {
        exclude: vec!["a".to_owned()],
        primary_key: Some("b".to_owned()),
        ..options()
    };
    let source = open_bytes(
        folder.path(),
        "in.csv",
        b"a,b,c\n1,2,3\ninf,5,6\n4,5,6\n",
        &only_b,
    )
    .unwrap();
    let batch = read(&source);
    assert_eq!((batch.num_columns(), source.format().columns.len()), (2, 3));
    let unknown = ReadOptions {
        primary_key: Some("z".to_owned()),
        ..options()
    };
    assert_eq!(
        refusal(b"a,b\n1,2\n", &unknown),
        "t.csv: there is no column \"z\"; the columns are a, b"
    );
    let all = ReadOptions {
        exclude: vec!["a".to_owned()],
        ..options()
    };
    assert_eq!(
        refusal(b"a\n1\n", &all),
        "t.csv: every column is excluded; keep at least one"
    );
}

#[test]
fn batch_size_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::from("a,b\n");
    (0..1_000).for_each(|i| text.push_str(&format!("{i},t{}\n", i % 7)));
    let mut read_all = Vec::new();
    for batch_rows in [1, 7, 1_000, 4_000] {
        let sized = ReadOptions {
            batch_rows,
            ..ReadOptions::default()
        };
        let source = open_bytes(folder.path(), "in.csv", text.as_bytes(), &sized).unwrap();
        assert!(
            source
                .batches()
                .unwrap()
                .all(|b| b.unwrap().num_rows() <= batch_rows)
        );
        read_all.push(read(&source));
    }
    assert_eq!(read_all[0].num_rows(), 1_000);
    assert!(read_all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn compressed_and_piped_text_is_read_alike_and_again() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(TRICKY.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plain = read(&open_bytes(folder.path(), "in.csv", TRICKY.as_bytes(), &options()).unwrap());
    let from_gzip = open_bytes(folder.path(), "in.csv.gz", &packed, &options()).unwrap();
    assert_eq!(read(&from_gzip), plain);
    assert_eq!(read(&from_gzip), plain);
    for stream in [TRICKY.as_bytes(), &packed] {
        let input = CsvInput::spool(stream, "standard input").unwrap();
        let table = Arc::new(CsvTable::infer(input, &options()).unwrap());
        for _ in 0..2 {
            let batches =
                super::CsvBatches::new(Arc::clone(&table), Arc::clone(from_gzip.schema()), 3).unwrap();
            let batches: Vec<_> = batches.map(Result::unwrap).collect();
            assert_eq!(concat_batches(from_gzip.schema(), &batches).unwrap(), plain);
        }
    }
}

/// Text that is larger than what is kept in memory between the passes.
fn large_text() -> Vec<u8> {
    let mut text = b"\xef\xbb\xbfid,word\n".to_vec();
    (0..450_000)
        .for_each(|i| writeln!(text, "{i},something long enough to fill the memory {}", i % 10).unwrap());
    text
}

#[test]
fn large_text_is_read_again_from_its_file_or_its_spool() {
    let text = large_text();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&text).unwrap();
    let packed = packed.finish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (plain_path, packed_path) = (folder.path().join("a.csv"), folder.path().join("a.csv.gz"));
    std::fs::write(&plain_path, &text).unwrap();
    std::fs::write(&packed_path, &packed).unwrap();
    let inputs = [
        CsvInput::open(&plain_path).unwrap(),
        CsvInput::open(&packed_path).unwrap(),
        CsvInput::spool(text.as_slice(), "pipe").unwrap(),
        CsvInput::spool(packed.as_slice(), "pipe").unwrap(),
    ];
    for input in inputs {
        let table = CsvTable::infer(input, &ReadOptions::default()).unwrap();
        assert_eq!(table.rows(), 450_000);
        let schema = table.format().output_schema();
        let mut sum = 0;
        for batch in super::CsvBatches::new(Arc::new(table), schema, 100_000).unwrap() {
            sum += batch
                .unwrap()
                .column(0)
                .as_primitive::<Int64Type>()
                .values()
                .iter()
                .sum::<i64>();
        }
        assert_eq!(sum, 450_000 * 449_999 / 2);
    }
}

#[test]
fn a_file_that_changes_between_the_passes_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = large_text();
    let source = open_bytes(folder.path(), "a.csv", &text, &ReadOptions::default()).unwrap();
    text[11] = b'x';
    std::fs::write(folder.path().join("a.csv"), &text).unwrap();
    let error = source
        .batches()
        .unwrap()
        .find_map(Result::err)
        .unwrap()
        .to_string();
    assert_eq!(
        error.replace(&folder.path().display().to_string(), ""),
        "/a.csv, line 2, column \"id\": \"x\" was not there when the file was first read; let nothing write to the \
         file meanwhile and run again"
    );
}

#[test]
fn tables_that_are_none_are_refused() {
    let plain = options();
    for (text, message) in [
        (
            &b""[..],
            "t.csv: the file is empty; give a table with a header and at least one row",
        ),
        (
            b"\n\n",
            "t.csv: the file is empty; give a table with a header and at least one row",
        ),
        (
            b"a,b\n",
            "t.csv: there is a header but no row below it; give a table with at least one row",
        ),
        (
            b"a,,c\n1,2,3\n",
            "t.csv: column 2 has no name; name it in the header",
        ),
        (
            b"a,b,a\n1,2,3\n",
            "t.csv: columns 1 and 3 are both called \"a\"; rename one of the two",
        ),
        (
            b"a,b\n1,2\n\n3\n",
            "t.csv, line 4: the row has 1 field, the header has 2; correct the line (is a quote or the delimiter ',' \
             missing or superfluous?)",
        ),
        (
            b"a,b\n\"1\n\",2\n3,4,5\n",
            "t.csv, line 4: the row has 3 fields, the header has 2; correct the line (is a quote or the delimiter ',' \
             missing or superfluous?)",
        ),
        (
            b"a,b\r\n1,2\r\n3\r\n",
            "t.csv, line 3: the row has 1 field, the header has 2; correct the line (is a quote or the delimiter ',' \
             missing or superfluous?)",
        ),
        (
            b"a,b\n1,x\n2,caf\xe9\n",
            "t.csv, line 3, column \"b\": the bytes are not UTF-8 text; save the file in the encoding UTF-8",
        ),
        (
            b"a,b\n1,\xc3\n2,\xa9\n",
            "t.csv, line 2, column \"b\": the bytes are not UTF-8 text; save the file in the encoding UTF-8",
        ),
        (
            b"a,\xff\n1,2\n",
            "t.csv, line 1, column \"2\": the bytes are not UTF-8 text; save the file in the encoding UTF-8",
        ),
        (
            b"a,b\n1,2\n2,-Infinity\n",
            "t.csv, line 3, column \"b\": \"-Infinity\" is not a finite number; correct or empty the value, or exclude \
             the column",
        ),
        (
            b"a,b\n1,2\n2,1e999\n",
            "t.csv, line 3, column \"b\": \"1e999\" is not a finite number; correct or empty the value, or exclude the \
             column",
        ),
    ] {
        assert_eq!(refusal(text, &plain), message);
    }
}

#[test]
fn odd_delimiters_endings_and_archives_are_refused() {
    let odd = ReadOptions {
        delimiter: Some('ä'),
        ..options()
    };
    assert_eq!(
        refusal(b"a\n1\n", &odd),
        "'ä' cannot be a delimiter; give one ASCII character that is not a quote or a line end"
    );
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().display().to_string();
    let error = open_bytes(folder.path(), "t.xlsx", b"PK", &options()).unwrap_err();
    assert_eq!(
        error.to_string().replace(&shown, ""),
        "/t.xlsx: its ending names no known format; use .csv, .csv.gz or .parquet, or - for CSV through a pipe"
    );
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(TRICKY.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let error = open_bytes(folder.path(), "t.csv.gz", &packed[..packed.len() / 2], &options()).unwrap_err();
    assert_eq!(
        error.to_string().replace(&shown, ""),
        "/t.csv.gz: the gzip data is cut short or damaged; make or fetch the file anew"
    );
}
