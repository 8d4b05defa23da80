use serde_json::json;

use super::*;

/// Rows of subjects: a letter and a date, or `-` for null.
struct Rows {
    dates: Owned,
    subjects: Vec<u32>,
}

impl Rows {
    fn new(rows: &[(char, &str)]) -> Self {
        let dates: Vec<Option<&str>> = rows
            .iter()
            .map(|&(_, date)| (date != "-").then_some(date))
            .collect();
        Self {
            dates: instants(&dates),
            subjects: rows.iter().map(|&(subject, _)| u32::from(subject)).collect(),
        }
    }

    fn table(&self) -> Table<'_> {
        self.dates.table().with_subjects(&self.subjects).unwrap()
    }

    fn analyze(&self, protection: Protection) -> TableStats {
        let types = types(EncodingType::DATETIME_RELATIVE);
        let partial =
            analyze_partition(&self.table(), &types, SplitPart::Training, 0, Compat::MostlyAi).unwrap();
        let stats = reduce(
            &[partial],
            &types,
            protection,
            Compat::MostlyAi,
            TableKeys::default(),
            1,
        )
        .unwrap();
        assert_eq!(TableStats::from_json(&stats.to_json().unwrap()).unwrap(), stats);
        stats
    }

    fn encode(&self, stats: &TableStats) -> CodeTable {
        encode(&self.table(), stats, 1, 0).unwrap()
    }

    fn codes(&self, stats: &TableStats) -> Vec<Vec<u32>> {
        let codes = self.encode(stats);
        let row = |row: usize| codes.columns().iter().map(|c| c.get(row)).collect();
        (0..codes.rows()).map(row).collect()
    }

    fn decode(&self, codes: &CodeTable, stats: &TableStats) -> Vec<String> {
        shown(&decode_subjects(codes, stats, BinOffsets::Constant(0.5), &self.subjects).unwrap()[0])
    }

    fn back(&self, stats: &TableStats) -> Vec<String> {
        self.decode(&self.encode(stats), stats)
    }
}

fn cardinalities(stats: &TableStats) -> String {
    entry(stats)["cardinalities"].to_string()
}

#[test]
fn subjects_start_somewhere_and_go_on_from_there() {
    let rows = Rows::new(&[
        ('a', "-"),
        ('a', "1978-05-24"),
        ('a', "1976-06-22"),
        ('b', "1992-12-24"),
        ('c', "-"),
    ]);
    let stats = rows.analyze(Protection::Off);
    assert_eq!(
        cardinalities(&stats),
        concat!(
            r#"{"nan":2,"start_year":15,"start_month":8,"start_day":1,"itt_neg":2,"#,
            r#""itt_week":101,"itt_day":2}"#
        )
    );
    let entry = entry(&stats);
    assert_eq!(
        (&entry["min"], &entry["max"]),
        (&json!("1976-06-22"), &json!("1992-12-24"))
    );
    assert_eq!(
        rows.codes(&stats),
        [
            [1, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 1, 100, 1],
            [0, 14, 7, 0, 0, 0, 0],
            [1, 0, 1, 0, 0, 0, 0]
        ]
    );
    assert_eq!(
        rows.back(&stats),
        ["null", "1978-05-24", "1976-06-22", "1992-12-24", "null"]
    );
}

#[test]
fn times_of_day_count_when_a_subject_starts_at_one() {
    let rows = Rows::new(&[
        ('a', "2020-01-01 10:00:00"),
        ('a', "2020-01-09 11:01:02"),
        ('a', "2020-01-09 11:01:02.900"),
        ('b', "2021-05-05 00:00:00"),
        ('b', "2021-05-05 00:00:01"),
    ]);
    let stats = rows.analyze(Protection::Off);
    let entry = entry(&stats);
    assert_eq!(
        (&entry["has_time"], &entry["min"]),
        (&json!(true), &json!("2020-01-01 10:00:00.000"))
    );
    assert_eq!(rows.codes(&stats)[1], [0, 0, 0, 10, 0, 0, 1, 1, 1, 1, 2]);
    assert_eq!(rows.back(&stats)[2], "2020-01-09 11:01:02");
    // Times of later rows alone do not.
    let rows = Rows::new(&[('a', "2020-01-01"), ('a', "2020-01-02 10:00")]);
    let stats = rows.analyze(Protection::Off);
    assert_eq!(rows.back(&stats), ["2020-01-01", "2020-01-02"]);
}

#[test]
fn nulls_stand_still() {
    // The peer leaves the step of the null row out of the range, so that its third date becomes 2020-01-09.
    let rows = Rows::new(&[
        ('a', "2020-01-01"),
        ('a', "-"),
        ('a', "2020-01-05"),
        ('b', "2020-02-01"),
        ('b', "-"),
    ]);
    let stats = rows.analyze(Protection::Off);
    let entry = entry(&stats);
    assert_eq!(
        (&entry["min_values"]["itt_day"], &entry["max_values"]["itt_day"]),
        (&json!(0), &json!(4))
    );
    assert_eq!(
        rows.back(&stats),
        ["2020-01-01", "null", "2020-01-05", "2020-02-01", "null"]
    );
}

#[test]
fn rows_of_a_subject_need_not_stand_together() {
    let rows = Rows::new(&[
        ('a', "2020-01-01"),
        ('b', "2020-02-01"),
        ('a', "2020-01-03"),
        ('b', "2020-02-15"),
    ]);
    let stats = rows.analyze(Protection::Off);
    assert_eq!(
        cardinalities(&stats),
        r#"{"start_year":1,"start_month":2,"start_day":1,"itt_week":3,"itt_day":3}"#
    );
    assert_eq!(
        rows.codes(&stats),
        [[0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 2], [0, 1, 0, 2, 0]]
    );
}

#[test]
fn steps_are_rounded_down_to_milliseconds() {
    let rows = Rows::new(&[
        ('a', "2020-01-01 12:00:00.000"),
        ('a', "2020-01-01 12:00:01.999"),
        ('a', "2020-01-01 12:00:01.998999"),
        ('a', "2020-01-09 12:00:01.997"),
    ]);
    let stats = rows.analyze(Protection::Off);
    let codes = rows.codes(&stats);
    let steps: Vec<&[u32]> = codes.iter().map(|row| &row[6..]).collect();
    assert_eq!(
        steps,
        [
            [0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 1],
            [1, 0, 0, 0, 0, 0],
            [0, 1, 0, 23, 59, 59]
        ]
    );
}

#[test]
fn subjects_do_not_borrow_from_each_other() {
    // The peer gives the subject without dates the start of the next one.
    let rows = Rows::new(&[
        ('a', "2020-01-01"),
        ('a', "2020-01-03"),
        ('b', "-"),
        ('b', "-"),
        ('c', "2021-05-05"),
    ]);
    let stats = rows.analyze(Protection::Off);
    let codes = rows.codes(&stats);
    assert_eq!(
        (&codes[2], &codes[4]),
        (&vec![1, 0, 0, 0, 0, 0], &vec![0, 1, 4, 4, 0, 0])
    );
    assert_eq!(
        rows.back(&stats),
        ["2020-01-01", "2020-01-03", "null", "null", "2021-05-05"]
    );
}

#[test]
fn starts_are_clipped_and_later_rows_are_not() {
    let rows = Rows::new(&[
        ('a', "2000-01-01"),
        ('a', "2001-12-31"),
        ('b', "2000-03-09"),
        ('b', "2000-03-18"),
    ]);
    let mut stats = rows.analyze(Protection::Off);
    let values = values_of(&mut stats);
    let mut dates = values.get::<RelativeStats>().unwrap().clone();
    (dates.min, dates.max) = (Some("2000-06-15".to_owned()), Some("2001-06-15".to_owned()));
    *values = dates.into();
    assert_eq!(
        rows.back(&stats),
        ["2000-06-15", "2002-06-15", "2000-06-15", "2000-06-24"]
    );
}

#[test]
fn few_dates_are_hidden_and_years_are_cut() {
    let rows = Rows::new(&[('a', "2020-01-01 10:00"), ('a', "2020-01-02 10:00"), ('b', "-")]);
    let stats = rows.analyze(Protection::On);
    let hidden = entry(&stats);
    assert_eq!(
        (&hidden["value_protection"], &hidden["min"], &hidden["has_time"]),
        (&json!(true), &json!(null), &json!(false))
    );
    assert_eq!(rows.back(&stats), ["null", "null", "null"]);
    let dates: Vec<String> = (0..40).map(|i| format!("{}-06-01", 1980 + i)).collect();
    let rows: Vec<(char, &str)> = dates
        .iter()
        .enumerate()
        .map(|(i, d)| (char::from(b'A' + i as u8), d.as_str()))
        .collect();
    let stats = Rows::new(&rows).analyze(Protection::Fixed(0));
    let cut = entry(&stats);
    assert_eq!(
        (&cut["min"], &cut["max"]),
        (&json!("1985-06-01"), &json!("2014-06-01"))
    );
    assert_eq!(cut["cardinalities"]["start_year"], 30);
}

#[test]
fn second_rows_without_dates_are_no_steps() {
    // The peer crashes.
    let rows = Rows::new(&[('a', "2020-01-01"), ('a', "-"), ('b', "2020-02-01"), ('b', "-")]);
    let stats = rows.analyze(Protection::Off);
    assert_eq!(rows.back(&stats), ["2020-01-01", "null", "2020-02-01", "null"]);
    let none = Rows::new(&[('a', "-"), ('a', "-")]);
    let stats = none.analyze(Protection::Off);
    assert_eq!(
        cardinalities(&stats),
        r#"{"nan":2,"start_year":1,"start_month":1,"start_day":1,"itt_week":1,"itt_day":1}"#
    );
    assert_eq!(none.back(&stats), ["null", "null"]);
}

#[test]
fn without_subjects_nothing_is_done() {
    let rows = Rows::new(&[('a', "2020-01-01"), ('a', "2020-01-02")]);
    let stats = rows.analyze(Protection::Off);
    let wanted = EncodeError::NoSubjects {
        column: "x".to_owned(),
        encoding: EncodingType::DATETIME_RELATIVE,
    };
    let table = rows.dates.table();
    let types = types(EncodingType::DATETIME_RELATIVE);
    assert_eq!(
        analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap_err(),
        wanted
    );
    assert_eq!(encode(&table, &stats, 1, 0).unwrap_err(), wanted);
    let codes = rows.encode(&stats);
    assert_eq!(
        decode(&codes, &stats, BinOffsets::Constant(0.5)).unwrap_err(),
        wanted
    );
    let error = decode_subjects(&codes, &stats, BinOffsets::Constant(0.5), &[1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the subjects of 1 rows are given for 2 rows of codes; give one for each"
    );
    assert_eq!(
        wanted.to_string(),
        "column \"x\": the encoding datetime-relative counts from one row of a subject to the next, but the rows \
         of this table name no subject; use datetime"
    );
}

#[test]
fn statistics_must_be_consistent() {
    let rows = Rows::new(&[('a', "2020-01-01"), ('a', "2020-01-20")]);
    let stats = rows.analyze(Protection::Off).to_json().unwrap();
    for (from, to, key) in [
        ("\"start_month\": 1,", "\"start_month\": 13,", "min_values"),
        ("\"itt_day\": 5,", "\"itt_day\": 7,", "min_values"),
        ("\"itt_week\": 1,", "\"itt_week\": 2,", "cardinalities"),
        ("\"min\": \"2020-01-01\"", "\"min\": \"soon\"", "min"),
    ] {
        assert!(stats.contains(from), "{from}");
        let error = TableStats::from_json(&stats.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("columns.x.{key}: ")), "{from}: {error}");
    }
}
