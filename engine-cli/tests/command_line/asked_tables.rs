//! Tables that a model is asked about are read, and answered, as the model's table was written.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::argn::{Ended, TestDir};

const TABLE: i32 = 3;
const FIT: [&str; 7] = ["--max-epochs", "2", "--seed", "1", "--model", "small", "-q"];

/// A folder with some of the tables of `tests/data`.
fn with_tables(names: &[&str]) -> TestDir {
    let dir = TestDir::new();
    for name in names {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name);
        dir.write(name, fs::read(path).unwrap());
    }
    dir
}

fn fit(dir: &TestDir, table: &str, more: &[&str]) {
    dir.done(&[&["fit", table, "-w", "ws"], &FIT[..], more].concat());
}

/// Runs a query to the model; there must be no note on how the table may be learnt.
#[track_caller]
fn ask(dir: &TestDir, arguments: &[&str]) -> Ended {
    let ended = dir.done(&[arguments, &["-w", "ws"]].concat());
    assert!(!ended.err.contains("note:"), "{arguments:?}: {}", ended.err);
    ended
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec())
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn answer(dir: &TestDir, arguments: &[&str]) -> Vec<String> {
    lines(&ask(dir, &[arguments, &["-o", "-"]].concat()).out)
}

/// Whether a text looks like a pattern, in which 9 is any digit.
fn looks_like(text: &str, pattern: &str) -> bool {
    let digits = |c: char| if c.is_ascii_digit() { '9' } else { c };
    text.chars().map(digits).eq(pattern.chars())
}

#[test]
fn two_rows_of_day_first_times_are_read_by_the_model() {
    let dir = with_tables(&["88_eutime.csv", "88_head.csv"]);
    fit(&dir, "88_eutime.csv", &[]);
    let filled = answer(&dir, &["impute", "88_head.csv"]);
    assert_eq!(filled[..2], ["t,n", "03/04/2022 10:00,2"]);
    assert!(looks_like(&filled[2], "99/99/9999 99:99,9") && filled[2].starts_with("05/06/2022 11:30,"));
    let seeded = answer(&dir, &["sample", "--seed-data", "88_head.csv"]);
    assert_eq!(seeded, ["t,n", "03/04/2022 10:00,2", "05/06/2022 11:30,"]);
    for predicted in &answer(&dir, &["predict", "88_head.csv", "--target", "t"])[1..] {
        assert!(looks_like(predicted, "99/99/9999 99:99"), "{predicted}");
    }
    let labels = &answer(&dir, &["proba", "88_head.csv", "--target", "t"])[0];
    assert!(
        labels
            .split(',')
            .skip(1)
            .all(|l| looks_like(l, "99/99/9999 99:99")),
        "{labels}"
    );
    ask(&dir, &["proba", "88_head.csv", "--target", "n", "-o", "p.csv"]);
    ask(&dir, &["log-prob", "88_head.csv", "-o", "l.csv"]);
    ask(&dir, &["evaluate", "--test", "88_head.csv", "--target", "n"]);
}

#[test]
fn a_table_that_contradicts_the_model_is_refused_by_column_row_and_forms() {
    let dir = with_tables(&["88_eutime.csv"]);
    fit(&dir, "88_eutime.csv", &[]);
    dir.write("us.csv", "t;n\n03/04/2022 10:00;2\n12/28/2022 11:15;\n");
    let sentence = "error: us.csv, row 2, column \"t\": \"12/28/2022 11:15\" is a date and time MM/DD/YYYY HH:MM, and the model has \
                    learnt dates and times DD/MM/YYYY HH:MM; write it so, or empty it\n";
    for command in [
        &["impute", "us.csv", "-o", "o.csv"][..],
        &["predict", "us.csv", "-o", "o.csv", "--target", "n"],
        &["proba", "us.csv", "-o", "o.csv", "--target", "n"],
        &["log-prob", "us.csv", "-o", "o.csv"],
        &["evaluate", "--test", "us.csv", "--target", "n"],
        &["sample", "--seed-data", "us.csv", "-o", "o.csv"],
    ] {
        let ended = dir.run(&[command, &["-w", "ws"]].concat());
        assert_eq!((ended.err.as_str(), ended.code), (sentence, TABLE), "{command:?}");
        assert!(!dir.exists("o.csv"));
    }
    // What a query does not read cannot contradict.
    ask(&dir, &["predict", "us.csv", "-o", "o.csv", "--target", "t"]);
    let lenient = dir.done(&["impute", "us.csv", "-w", "ws", "-o", "-", "--lenient"]);
    assert!(
        lenient.err.contains("read as null (column \"t\", count 1)"),
        "{}",
        lenient.err
    );
    assert_eq!(lines(&lenient.out)[..2], ["t;n", "03/04/2022 10:00;2"]);
}

#[test]
fn answers_are_in_the_delimiter_and_the_form_of_the_column() {
    let dir = with_tables(&["55_train.csv", "55_test.csv"]);
    fit(&dir, "55_train.csv", &["--null", "NA"]);
    let predict = [
        "predict",
        "55_test.csv",
        "--target",
        "Datum",
        "--target",
        "Aktiv",
        "--target",
        "Preis",
    ];
    for (more, price) in [(&[][..], false), (&["--by", "mode"], true)] {
        let predicted = answer(&dir, &[&predict[..], more].concat());
        assert_eq!(predicted[0], "Datum;Aktiv;Preis");
        assert_eq!(predicted.len(), 21);
        for line in &predicted[1..] {
            let fields: Vec<&str> = line.split(';').collect();
            assert!(looks_like(fields[0], "99.99.9999"), "{line}");
            assert!(["TRUE", "FALSE"].contains(&fields[1]), "{line}");
            // A mean has the decimals that it needs.
            assert!(!price || looks_like(fields[2], "9.99"), "{line}");
        }
    }
    let drawn = answer(&dir, &[&predict[..6], &["--draws", "2", "--seed", "1"]].concat());
    let is_list = |line: &String| line.contains("\"[\"\"TRUE\"\", ") || line.contains("\"[\"\"FALSE\"\", ");
    assert!(drawn[1..].iter().all(is_list), "{drawn:?}");
    let classes = answer(&dir, &["proba", "55_test.csv", "--target", "Aktiv"]);
    assert_eq!(classes[0], "_RARE_;FALSE;TRUE");
    let prices = answer(&dir, &["proba", "55_test.csv", "--target", "Preis"]);
    assert_eq!(prices[0], "_RARE_;<<NULL>>;1.50;2.25;3.00");
    let named = answer(
        &dir,
        &["proba", "55_test.csv", "--target", "Aktiv", "--delimiter", ";"],
    );
    assert_eq!(named[0], "_RARE_;FALSE;TRUE");
    // Through Parquet by value, and back into the form.
    ask(&dir, &["impute", "55_test.csv", "--seed", "1", "-o", "whole.csv"]);
    ask(
        &dir,
        &["impute", "55_test.csv", "--seed", "1", "-o", "whole.parquet"],
    );
    ask(&dir, &["impute", "whole.parquet", "-o", "again.csv"]);
    assert_eq!(lines(&dir.read("again.csv")), lines(&dir.read("whole.csv")));
    let from_csv = answer(&dir, &["log-prob", "whole.csv"]);
    assert_eq!(answer(&dir, &["log-prob", "whole.parquet"]), from_csv);
}

#[test]
fn null_texts_are_those_of_the_model_unless_others_are_named() {
    let dir = with_tables(&["61_textnull.csv"]);
    fit(&dir, "61_textnull.csv", &["--null", "NA"]);
    dir.write("h.csv", "farbe,form\nNA,rund\nblau,NA\n");
    for row in &answer(&dir, &["impute", "h.csv"])[1..] {
        assert!(!row.contains("NA"), "{row}");
    }
    let seeded = answer(&dir, &["sample", "--seed-data", "h.csv"]);
    assert_eq!(seeded[1..], ["NA,rund", "blau,NA"]);
    let named = dir.done(&["impute", "h.csv", "-w", "ws", "-o", "-", "--null", "?"]);
    assert_eq!(lines(&named.out)[1..], ["NA,rund", "blau,NA"]);
    assert_eq!(
        named.err.matches("1 value that the model does not know").count(),
        2
    );
}

#[test]
fn seeds_are_returned_to_the_letter() {
    let dir = with_tables(&["50_train.csv", "81_seedkept.csv"]);
    fit(&dir, "50_train.csv", &["--null", "NA"]);
    let columns = |rows: &[String]| -> Vec<String> {
        let header: Vec<&str> = rows[0].split(',').collect();
        let at = |name: &str| header.iter().position(|h| *h == name).unwrap();
        let places = ["amount", "day", "age"].map(at);
        let row = |row: &String| {
            let fields: Vec<&str> = row.split(',').collect();
            places.map(|at| fields[at]).join(",")
        };
        rows.iter().map(row).collect()
    };
    let given = lines(&dir.read("81_seedkept.csv"));
    assert_eq!(
        columns(&answer(&dir, &["sample", "--seed-data", "81_seedkept.csv"])),
        given
    );
    // By value where there are no texts.
    ask(
        &dir,
        &["sample", "--seed-data", "81_seedkept.csv", "-o", "seeds.parquet"],
    );
    let again = columns(&answer(&dir, &["sample", "--seed-data", "seeds.parquet"]));
    assert_eq!(again[1..], ["12.555,2021-01-05,30", "0.10,2021-01-06,31"]);
}

#[test]
fn unknown_values_are_counted_in_one_line_a_column() {
    let dir = with_tables(&["50_train.csv", "51_seed_unseen.csv"]);
    fit(&dir, "50_train.csv", &["--null", "NA"]);
    let said = |arguments: &[&str]| {
        let ended = ask(&dir, arguments);
        let warnings = ended.err.lines().filter(|line| line.starts_with("warning: "));
        let mut warnings: Vec<String> = warnings.map(str::to_owned).collect();
        warnings.sort();
        warnings
    };
    let unseen = "warning: 2 values that the model does not know, unseen or rare in training";
    let counted = [
        "warning: 2 values beyond the range of the model, taken for its nearest (column \"age\")".to_owned(),
        format!("{unseen} (column \"region\")"),
        format!("{unseen} (column \"sex\")"),
    ];
    assert_eq!(
        said(&["sample", "--seed-data", "51_seed_unseen.csv", "-o", "s.csv"]),
        counted
    );
    assert_eq!(
        said(&[
            "predict",
            "51_seed_unseen.csv",
            "--target",
            "income",
            "-o",
            "p.csv"
        ]),
        counted
    );
    assert_eq!(said(&["impute", "51_seed_unseen.csv", "-o", "i.csv"]), counted);
    assert_eq!(lines(&dir.read("s.csv"))[1].split(',').next(), Some("Divers"));
}

/// A way to write a table.
struct Form {
    delimiter: char,
    /// A date of a day and a month.
    date: fn(u32, u32) -> String,
    words: [&'static str; 2],
    number: fn(u32) -> String,
    null: &'static str,
    quoted_header: bool,
}

impl Form {
    fn header(&self) -> String {
        let names = ["tag", "ja", "preis", "stadt", "nr"];
        let names = names.map(|name| {
            if self.quoted_header {
                format!("\"{name}\"")
            } else {
                name.to_owned()
            }
        });
        names.join(&self.delimiter.to_string()) + "\n"
    }

    fn row(&self, i: u32) -> [String; 5] {
        let (day, month) = (1 + i * 7 % 28, 1 + i * 5 % 12);
        let city = ["Graz", "Linz", "Wien"][(i % 3) as usize];
        let null = |is_null: bool, value: String| if is_null { self.null.to_owned() } else { value };
        [
            (self.date)(day, month),
            self.words[(i / 2 % 2) as usize].to_owned(),
            null(i % 11 == 3, (self.number)(i % 40)),
            null(i % 13 == 5, city.to_owned()),
            format!("{:03}", i % 20),
        ]
    }

    fn line(&self, row: &[String; 5]) -> String {
        row.join(&self.delimiter.to_string())
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_query_reads_short_tables_of_every_form() {
    let point: fn(u32) -> String = |n| format!("{n}.50");
    let comma: fn(u32) -> String = |n| format!("{n},50");
    let german: fn(u32, u32) -> String = |day, month| format!("{day:02}.{month:02}.2022");
    let american: fn(u32, u32) -> String = |day, month| format!("{month}/{day}/2022");
    let times: fn(u32, u32) -> String = |day, month| format!("{day:02}/{month:02}/2022 {day:02}:30");
    let year: fn(u32, u32) -> String = |day, month| format!("2022/{month:02}/{day:02}");
    let iso: fn(u32, u32) -> String = |day, month| format!("2022-{month:02}-{day:02}T08:00:00Z");
    let form = |delimiter, date, words, number, null, quoted_header| Form {
        delimiter,
        date,
        words,
        number,
        null,
        quoted_header,
    };
    for (i, form) in [
        form(';', german, ["FALSE", "TRUE"], comma, "NA", true),
        form('\t', american, ["no", "yes"], point, "?", false),
        form('|', times, ["F", "T"], point, "n/a", true),
        form(',', year, ["0", "1"], point, "NULL", false),
        form('~', iso, ["False", "True"], point, "-", false),
    ]
    .iter()
    .enumerate()
    {
        let dir = TestDir::new();
        let rows: Vec<String> = (0..300).map(|i| form.line(&form.row(i))).collect();
        dir.write("t.csv", form.header() + &rows.join("\n") + "\n");
        let delimiter = form.delimiter.to_string();
        fit(&dir, "t.csv", &["--null", form.null, "--delimiter", &delimiter]);
        // 1 March could as well be 3 January.
        let mut asked = [form.row(0), form.row(1)];
        asked[0][0] = (form.date)(1, 3);
        asked[1][0] = (form.date)(3, 4);
        asked[1][3] = form.null.to_owned();
        for count in [1, 2] {
            let text = form.header()
                + &asked[..count]
                    .iter()
                    .map(|row| form.line(row) + "\n")
                    .collect::<String>();
            dir.write("q.csv", &text);
            dir.write("bom.csv", format!("\u{feff}{text}"));
            dir.write("q.csv.gz", gzip(&text));
            let expected: Vec<String> = text.lines().map(str::to_owned).collect();
            for file in ["q.csv", "bom.csv", "q.csv.gz"] {
                let seeded = answer(&dir, &["sample", "--seed-data", file, "--seed", "1"]);
                assert_eq!(seeded[1..], expected[1..], "form {i}: {file}");
                let filled = answer(&dir, &["impute", file, "--seed", "1"]);
                assert_eq!(filled[1], expected[1], "form {i}: {file}");
                assert_eq!(filled.len(), expected.len());
                let cells = filled.iter().flat_map(|row| row.split(form.delimiter));
                assert!(
                    !cells.into_iter().any(|cell| cell == form.null),
                    "form {i}: {filled:?}"
                );
                let predicted = answer(
                    &dir,
                    &[
                        "predict", file, "--target", "tag", "--target", "ja", "--by", "mode",
                    ],
                );
                for row in &predicted[1..] {
                    let fields: Vec<&str> = row.split(form.delimiter).collect();
                    assert!(form.words.contains(&fields[1]), "form {i}: {row}");
                    let is_date = |(day, month): (u32, u32)| (form.date)(day, month) == fields[0];
                    let days = (1..=31).flat_map(|day| (1..=12).map(move |month| (day, month)));
                    // The hours of an instant are those of its day in some forms only.
                    let long = fields[0].contains(':') && fields[0].len() == (form.date)(1, 1).len();
                    assert!(long || days.clone().any(is_date), "form {i}: {row}");
                }
                let labels = answer(&dir, &["proba", file, "--target", "ja"]).remove(0);
                let labels = labels.split(form.delimiter).map(|label| label.trim_matches('"'));
                let words = labels.filter(|label| *label != "_RARE_");
                assert_eq!(words.collect::<Vec<_>>(), form.words, "form {i}");
                let scored = answer(&dir, &["log-prob", file]);
                assert_eq!(scored.len(), expected.len());
                ask(&dir, &["evaluate", "--test", file, "--target", "stadt"]);
            }
        }
    }
}
