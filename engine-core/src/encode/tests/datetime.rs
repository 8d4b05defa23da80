use serde_json::json;

use super::*;

fn some<'a>(values: &[&'a str]) -> Vec<Option<&'a str>> {
    values.iter().copied().map(Some).collect()
}

const DATES: [Option<&str>; 4] = [Some("2020-01-31"), Some("2021-03-15"), None, Some("2019-12-01")];

#[test]
fn dates_have_three_parts() {
    let stats = analyze(instants(&DATES), EncodingType::DATETIME);
    let entry = entry(&stats);
    assert_eq!(
        entry["cardinalities"].to_string(),
        r#"{"nan":2,"year":3,"month":12,"day":31}"#
    );
    assert_eq!(
        (&entry["min"], &entry["max"]),
        (&json!("2019-12-01"), &json!("2021-03-15"))
    );
    assert_eq!(
        (&entry["min_values"]["year"], &entry["max_values"]["month"]),
        (&json!(2019), &json!(12))
    );
    let all = codes(&instants(&DATES), &stats);
    assert_eq!(
        (&all[0], &all[1], &all[3]),
        (&vec![0, 1, 0, 30], &vec![0, 2, 2, 14], &vec![0, 0, 11, 0])
    );
    assert_eq!(all[2][0], 1);
    assert_eq!(
        there_and_back(&instants(&DATES), &stats),
        ["2020-01-31", "2021-03-15", "null", "2019-12-01"]
    );
    let beyond = instants(&some(&["2030-05-05", "1990-02-28"]));
    assert_eq!(codes(&beyond, &stats), [[0, 2, 2, 14], [0, 0, 11, 0]]);
}

#[test]
fn times_have_six_parts() {
    let values = some(&["2020-01-31 10:20:30", "2021-03-15 00:00:00"]);
    let stats = analyze(instants(&values), EncodingType::DATETIME);
    assert_eq!(
        entry(&stats)["cardinalities"].to_string(),
        r#"{"year":2,"month":3,"day":17,"hour":11,"minute":21,"second":31}"#
    );
    assert_eq!(
        codes(&instants(&values), &stats),
        [[0, 0, 16, 10, 20, 30], [1, 2, 0, 0, 0, 0]]
    );
    assert_eq!(
        there_and_back(&instants(&values), &stats),
        ["2020-01-31 10:20:30", "2021-03-15"]
    );
}

#[test]
fn milliseconds_have_three_digits() {
    let values = some(&["2020-01-31 10:20:30.123456", "2020-01-31 10:20:31.999"]);
    let stats = analyze(instants(&values), EncodingType::DATETIME);
    let entry = entry(&stats);
    assert_eq!(
        (&entry["cardinalities"]["ms_E2"], &entry["cardinalities"]["ms_E0"]),
        (&json!(9), &json!(7))
    );
    assert_eq!(entry["min"], "2020-01-31 10:20:30.123456");
    assert_eq!(entry["max"], "2020-01-31 10:20:31.999000");
    assert_eq!(
        codes(&instants(&values), &stats),
        [[0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 8, 7, 6]]
    );
    assert_eq!(
        there_and_back(&instants(&values), &stats),
        ["2020-01-31 10:20:30.123456", "2020-01-31 10:20:31.999"]
    );
}

#[test]
fn parts_of_a_second_alone_are_no_times() {
    let values = some(&["2020-01-31 00:00:00.500", "2020-02-01 00:00:00.250"]);
    let stats = analyze(instants(&values), EncodingType::DATETIME);
    let entry = entry(&stats);
    assert_eq!(
        (&entry["has_time"], &entry["has_ms"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(entry["min"], "2020-01-31 00:00:00.500");
    assert_eq!(
        there_and_back(&instants(&values), &stats),
        ["2020-01-31", "2020-02-01"]
    );
}

#[test]
fn hidden_dates_decode_to_null() {
    let values = [Some("2020-01-31 10:00:00"), Some("2021-03-15 11:00:00"), None];
    let stats = analyze_parts(&[instants(&values)], EncodingType::DATETIME, Protection::On);
    let entry = entry(&stats);
    assert_eq!(
        entry["cardinalities"].to_string(),
        r#"{"nan":2,"year":2,"month":3,"day":17}"#
    );
    assert_eq!((&entry["min"], &entry["has_time"]), (&json!(null), &json!(false)));
    assert_eq!(
        there_and_back(&instants(&values), &stats),
        ["null", "null", "null"]
    );
    let without_null = analyze_parts(&[instants(&values[..2])], EncodingType::DATETIME, Protection::On);
    assert_eq!(
        there_and_back(&instants(&values[..2]), &without_null),
        ["null", "null"]
    );
}

#[test]
fn days_end_with_their_month() {
    let values = some(&["2019-01-05", "2020-01-31", "2021-12-25"]);
    let mut stats = analyze(instants(&values), EncodingType::DATETIME);
    let values = values_of(&mut stats);
    let mut dates = values.get::<DatetimeStats>().unwrap().clone();
    dates.min_values.day = 1;
    dates.cardinalities["day"] = 31;
    *values = dates.into();
    let rows = [[0, 1, 30], [1, 1, 30], [0, 3, 30], [2, 11, 30], [0, 0, 0]].map(Vec::from);
    assert_eq!(
        shown(&decode_rows(&rows, &stats, BinOffsets::Constant(0.5))),
        [
            "2019-02-28",
            "2020-02-29",
            "2019-04-30",
            "2021-12-25",
            "2019-01-05"
        ]
    );
}

#[test]
fn parts_without_dates_say_nothing_about_years() {
    let parts = [
        instants(&some(&["1995-06-10", "1999-07-20"])),
        instants(&[None, None]),
    ];
    let stats = analyze_parts(&parts, EncodingType::DATETIME, Protection::Off);
    assert_eq!(
        entry(&stats)["cardinalities"].to_string(),
        r#"{"nan":2,"year":5,"month":2,"day":11}"#
    );
}

#[test]
fn protection_cuts_the_years() {
    let dates: Vec<String> = (0..40)
        .map(|i| format!("{}-06-{:02}", 1980 + i, i % 28 + 1))
        .collect();
    let dates: Vec<Option<&str>> = dates.iter().map(|d| Some(d.as_str())).collect();
    let stats = analyze_parts(&[instants(&dates)], EncodingType::DATETIME, Protection::Fixed(0));
    let entry = entry(&stats);
    assert_eq!(
        (&entry["min"], &entry["max"]),
        (&json!("1985-06-06"), &json!("2014-06-07"))
    );
    assert_eq!(entry["cardinalities"]["year"], 30);
}

#[test]
fn ancient_dates_are_dates_like_any_other() {
    let values = some(&["0476-09-04", "1066-10-14", "9999-12-31"]);
    let stats = analyze(instants(&values), EncodingType::DATETIME);
    assert_eq!(
        there_and_back(&instants(&values), &stats),
        ["0476-09-04", "1066-10-14", "9999-12-31"]
    );
}

#[test]
fn what_is_no_date_is_refused() {
    let words = texts(&some(&["soon", "later", "2020-01-01"]));
    let types = types(EncodingType::DATETIME);
    let partial =
        analyze_partition(&words.table(), &types, SplitPart::Training, 0, Compat::MostlyAi).unwrap();
    let error = reduce(
        &[partial],
        &types,
        Protection::Off,
        Compat::MostlyAi,
        TableKeys::default(),
        1,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"x\", row 1: \"soon\" is not a date, like 2 of 3 values of the column; the encoding datetime does \
         not fit, use categorical"
    );
    let flags = Column {
        name: "x",
        values: Values::Boolean(Bitmap::new(&[1], 0, 2).unwrap()),
        validity: None,
    };
    let table = Table::new(vec![flags], 2).unwrap();
    let error = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"x\": the encoding datetime cannot hold booleans; use categorical"
    );
}

#[test]
fn years_of_two_digits_are_guessed_by_the_rules_of_mostlyai_engine_only() {
    let words = texts(&some(&["05/06/23", "07/08/68", "09/10/69"]));
    let stats = analyze(
        texts(&some(&["05/06/23", "07/08/68", "09/10/69"])),
        EncodingType::DATETIME,
    );
    assert_eq!(
        there_and_back(&words, &stats),
        ["2023-05-06", "2068-07-08", "1969-09-10"]
    );
    let types = types(EncodingType::DATETIME);
    let error =
        analyze_partition(&words.table(), &types, SplitPart::Training, 0, Compat::Native).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "column \"x\", row 1: the year of \"05/06/23\" has two digits, which leaves the century open"
        ),
        "{error}"
    );
    // The statistics say by whose rules texts are read later on.
    let long = texts(&some(&["2023-05-06", "1969-09-10"]));
    let native = analyze_by(Compat::Native, &[long], EncodingType::DATETIME, Protection::Off);
    assert!(matches!(
        encode(&words.table(), &native, 1, 0),
        Err(EncodeError::ShortYear { row: 0, .. })
    ));
    assert!(encode(&words.table(), &stats, 1, 0).is_ok());
}
