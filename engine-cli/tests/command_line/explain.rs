//! `argn analyze --explain`, and what the log says of columns that are not what they may seem.

use crate::argn::{Ended, TestDir};

/// Ages, postal codes as numbers and as text, cities of which some are rare, amounts, and a date; two of `odd` values.
fn table() -> String {
    let mut text = "age,zip,code,city,amount,since,odd column\n".to_owned();
    for row in 0..3_000u32 {
        let age = 18 + row % 60;
        let zip = 1_010 + (row * 7 % 130) * 61;
        let city = match row % 300 {
            0 => format!("village {row}"),
            n => ["Wien", "Graz"][n as usize % 2].to_owned(),
        };
        let amount = f64::from(row * row % 100_003) / 100.0;
        let since = format!("20{:02}-0{}-1{}", row % 24, 1 + row % 9, row % 10);
        let odd = if row % 2 == 0 { "1,234" } else { "1.234,5" };
        text += &format!(
            "{age},{zip},{:05},{city},{amount:.2},{since},\"{odd}\"\n",
            row % 40
        );
    }
    text
}

fn explained(flags: &[&str]) -> (String, Ended) {
    let dir = TestDir::new();
    dir.write("t.csv", table());
    let split = dir.done(&[&["split", "t.csv", "-w", "ws", "--seed", "7"], flags].concat());
    let ended = dir.done(&["analyze", "-w", "ws", "--explain"]);
    (
        String::from_utf8(ended.out.clone()).unwrap(),
        Ended {
            err: split.err + &ended.err,
            ..ended
        },
    )
}

/// The lines about a column.
#[track_caller]
fn about<'a>(text: &'a str, column: &str) -> Vec<&'a str> {
    let mut lines = text.lines().skip_while(|line| *line != column).skip(1).peekable();
    assert!(lines.peek().is_some(), "{column} is not in {text}");
    lines.take_while(|line| line.starts_with(' ')).collect()
}

#[test]
fn every_column_is_explained() {
    let (text, _) = explained(&[]);
    assert_eq!(
        about(&text, "age"),
        [
            "  type       Int64",
            "  encoding   numeric-discrete (cat 61)",
            "  why        the numbers that are not rare are few and hold 100 % of the rows",
            "  protected  0 % of the rows",
            "  override   split with --encoding age=categorical or --encoding age=numeric-binned or --encoding \
             age=numeric-digit",
        ]
    );
    let city = about(&text, "city");
    assert_eq!(city[2], "  why        columns of the type Utf8 are encoded so");
    assert_eq!(city[3], "  protected  0.33 % of the rows, 10 rare categories");
    let amount = about(&text, "amount");
    assert!(
        amount[1].starts_with("  encoding   numeric-binned (bin "),
        "{amount:?}"
    );
    assert!(
        amount[2].ends_with("5 decimal places are in use: too many for a code for each digit"),
        "{amount:?}"
    );
    assert!(
        amount[3].ends_with(" % of the rows") && !amount[3].contains(" 0 %"),
        "{amount:?}"
    );
    let since = about(&text, "since");
    assert_eq!(since[0], "  type       Date32");
    assert!(since[1].starts_with("  encoding   datetime (year "), "{since:?}");
    let odd = about(&text, "odd column");
    assert_eq!(
        odd.last(),
        Some(
            &"  override   split with --encoding 'odd column=numeric-auto' or --encoding 'odd column=character' or \
              --encoding 'odd column=datetime' or --encoding 'odd column=lat-long'"
        )
    );
}

#[test]
fn what_was_asked_for_is_said_to_be() {
    let (text, _) = explained(&["--encoding", "zip=categorical", "--exclude", "amount"]);
    let zip = about(&text, "zip");
    assert_eq!(
        zip[1..3],
        [
            "  encoding   categorical (cat 131)",
            "  why        it was requested"
        ]
    );
    assert!(!text.contains("amount"));
}

#[test]
fn codes_and_odd_texts_are_noted_with_their_override() {
    let (text, ended) = explained(&[]);
    for part in [
        "note: digits with leading zeros are codes and stay text, so that no zero is lost; learn the numbers with \
         --encoding code=numeric-auto (column \"code\")",
        "note: few different whole numbers far apart, each in many rows, may be codes rather than amounts; they are learnt as \
         amounts; learn categories with --encoding zip=categorical (column \"zip\")",
        "note: numbers with commas stay text",
    ] {
        assert!(ended.err.contains(part), "{part} is not in {}", ended.err);
    }
    assert!(
        !ended.err.contains("\"city\"") && !ended.err.contains("\"age\""),
        "{}",
        ended.err
    );
    assert!(
        about(&text, "zip")
            .iter()
            .any(|line| line.starts_with("  note       ")),
        "{text}"
    );
}

#[test]
fn without_the_flag_nothing_is_printed() {
    let dir = TestDir::with_table();
    dir.done(&["split", "t.csv", "-w", "ws", "-q"]);
    assert!(dir.done(&["analyze", "-w", "ws"]).out.is_empty());
}
