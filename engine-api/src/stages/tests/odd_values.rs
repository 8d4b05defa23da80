//! Odd values are understood, left as text, or refused; never altered silently.

use std::collections::BTreeSet;

use super::*;

const DOCUMENTATION: &str = include_str!("../../../../docs/data.md");

/// The code spans of a cell of a table; `null` outside of them is the empty text.
fn spans(cell: &str) -> Vec<String> {
    let mut found: Vec<String> = cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    if cell.split('`').step_by(2).any(|words| words.contains("null")) {
        found.push(String::new());
    }
    found
}

/// The distinct values of the first column of a CSV.
fn first_column(text: &str) -> BTreeSet<String> {
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap()[0].to_owned()).collect()
}

#[test]
fn the_documentation_says_what_becomes_of_odd_values() {
    let (_, section) = DOCUMENTATION.split_once("## CSV: odd values").unwrap();
    let (section, _) = section
        .split_once("## CSV: how values are written again")
        .unwrap();
    let lines = section.lines().filter(|line| line.starts_with("| `"));
    let mut checked = 0;
    for line in lines {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [values, data_type, back] = cells[..] else {
            panic!("{line}")
        };
        let (values, data_type) = (spans(values), spans(data_type).remove(0));
        let expected = if back == "the same" {
            values.clone()
        } else {
            spans(back)
        };
        let lines: String = values.iter().map(|value| format!("\"{value}\",1\n")).collect();
        let text = format!("odd,plain\n{}", lines.repeat(30));
        let folder = tempfile::tempdir().unwrap();
        let found = open(folder.path(), &text).format().columns[0]
            .data_type
            .to_string();
        assert_eq!(found, data_type, "{line}");
        let written = first_column(&Trip::default().csv(&text));
        assert_eq!(written, expected.into_iter().collect(), "{line}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked} lines");
}

#[test]
fn years_of_two_digits_are_refused_in_a_column_of_dates() {
    let folder = tempfile::tempdir().unwrap();
    let known = "01/02/2023,1\n".repeat(30);
    let text = format!("day,n\n01/02/2023,1\n02/03/2024,2\n05/06/23,3\n{known}");
    let source = open(folder.path(), &text);
    let trip = Trip::default().with("day", EncodingType::DATETIME);
    let error = trip.codes(&source).err().unwrap().to_string();
    let expected = "column \"day\", row 3: the year of \"05/06/23\" has two digits, which leaves the century open; write \
                    four, or use categorical";
    assert!(error.ends_with(expected), "{error}");
}
