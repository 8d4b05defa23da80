//! Odd values are understood, left as text, or refused; never altered silently.

use arrow::datatypes::{DataType, TimeUnit};

use super::*;

fn type_of(values: &[&str]) -> DataType {
    let folder = tempfile::tempdir().unwrap();
    let source = open(folder.path(), &format!("a,b\n{}\n", values.map_lines()));
    source.format().columns[0].data_type.clone()
}

trait Lines {
    fn map_lines(&self) -> String;
}

impl Lines for &[&str] {
    /// One line for each value, in quotes, beside a second column.
    fn map_lines(&self) -> String {
        let lines = self.iter().map(|value| format!("\"{value}\",1"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn what_is_no_plain_number_stays_text() {
    for odd in [
        "1,234",
        "1.234,5",
        "$5",
        "5 %",
        "12345678901234567890",
        "1_000",
        "+5",
        "(5)",
    ] {
        assert_eq!(type_of(&[odd, "7"]), DataType::Utf8, "{odd}");
        let text = format!("a,b\n{}", format!("\"{odd}\",1\n").repeat(40));
        let back = Trip::default().csv(&text);
        assert!(back.contains(odd), "{odd}: {back}");
    }
}

#[test]
fn minus_zero_is_zero_among_numbers() {
    assert_eq!(type_of(&["-0.0", "1.5"]), DataType::Float64);
    assert_eq!(type_of(&["-0", "1"]), DataType::Int64);
}

#[test]
fn mixed_dates_and_leap_seconds_stay_text() {
    for mixed in [
        &["2024-02-29", "29.02.2024"][..],
        &["2024-02-29 10:00:00Z", "2024-02-29 10:00:00"],
        &["2016-12-31T23:59:59Z", "2016-12-31T23:59:60Z"],
        &["01/02/23", "02/03/24"],
    ] {
        assert_eq!(type_of(mixed), DataType::Utf8, "{mixed:?}");
    }
    let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
    assert_eq!(type_of(&["2024-02-29", "2024-02-29 10:00"]), naive);
}

#[test]
fn years_of_two_digits_are_refused_in_a_column_of_dates() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "day,n\n01/02/2023,1\n02/03/2024,2\n".to_owned() + "05/06/23,3\n" + &"01/02/2023,1\n".repeat(30);
    let source = open(folder.path(), &text);
    let trip = Trip::default().with("day", EncodingType::Datetime);
    let error = trip.codes(&source).err().unwrap().to_string();
    let expected = "column \"day\", row 3: the year of \"05/06/23\" has two digits, which does not tell the century; write \
                    four, or use TABULAR_CATEGORICAL";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn years_from_1_to_9999_are_dates() {
    let text = "d\n".to_owned() + &"0001-01-01\n9999-12-31\n1582-10-10\n".repeat(30);
    assert_eq!(Trip::default().csv(&text), sorted(&text));
}
