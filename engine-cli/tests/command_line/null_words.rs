//! The usual words for a missing value: null among numbers and dates, texts among texts.

use std::fs;
use std::path::Path;

use crate::argn::TestDir;

const FIT: [&str; 6] = ["--max-epochs", "1", "--seed", "1", "--model", "small"];

fn types(dir: &TestDir, workspace: &str) -> Vec<(String, String)> {
    let path = format!("{workspace}/ModelStore/tgt-stats/table-format.json");
    let format: serde_json::Value = serde_json::from_slice(&dir.read(&path)).unwrap();
    let columns = format["columns"].as_array().unwrap().iter();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    columns
        .map(|c| (text(&c["type"]), text(&c["null_text"])))
        .collect()
}

#[test]
fn null_words_are_recognised_in_any_order_of_rows() {
    for (file, word) in [("60_null_NA.csv", "NA"), ("60_null_q.csv", "?")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(file);
        let table = fs::read_to_string(path).unwrap();
        let header = table.lines().next().unwrap().to_owned();
        let mut rows: Vec<&str> = table.lines().skip(1).collect();
        let words = |at: usize| {
            rows.iter()
                .filter(|row| row.split(',').nth(at) == Some(word))
                .count()
        };
        let notes = [("height", words(0)), ("day", words(1))].map(|(column, count)| {
            format!(
                "note: {word:?} is read as a missing value, {count} times, for all other values are numbers or dates; keep them as \
                 values with --keep-null-words (column \"{column}\")"
            )
        });
        let dir = TestDir::new();
        for _ in 0..3 {
            // Words first, words last, and as the rows came.
            dir.write("t.csv", format!("{header}\n{}\n", rows.join("\n")));
            let ended = dir.done(&[&["fit", "t.csv", "-w", "ws", "--force"], &FIT[..]].concat());
            for note in &notes {
                assert!(ended.err.contains(note), "{note}\n{}", ended.err);
            }
            let found = types(&dir, "ws");
            assert_eq!(found[0], ("Float64".to_owned(), word.to_owned()));
            assert_eq!(found[1], ("Date32".to_owned(), word.to_owned()));
            rows.sort_by_key(|row| row.contains(word));
            if rows.last().is_some_and(|row| row.contains(word)) {
                rows.reverse();
            }
        }
        dir.write("q.csv", format!("{header}\n{word},{word},a\n"));
        let filled = dir.done(&["impute", "q.csv", "-w", "ws", "-o", "-", "-q"]).out;
        assert!(!String::from_utf8(filled).unwrap().contains(word));
        let kept = dir.done(&[&["fit", "t.csv", "-w", "kept", "--keep-null-words"], &FIT[..]].concat());
        assert!(!kept.err.contains("read as a missing value"), "{}", kept.err);
        assert_eq!(types(&dir, "kept")[0].0, "Utf8");
    }
}

#[test]
fn null_words_stay_texts_among_texts_with_a_note() {
    let dir = TestDir::new();
    let rows: String = (0..200)
        .map(|i| ["rot\n", "NA\n", "blau\n", "?\n"][i % 4])
        .collect();
    dir.write("t.csv", format!("farbe\n{rows}"));
    let ended = dir.done(&[&["fit", "t.csv", "-w", "ws"], &FIT[..]].concat());
    for word in ["NA", "?"] {
        let note = format!(
            "note: {word:?} is learnt as a text, 50 times, and may stand for a missing value; give its text with --null if it stands for \
             a missing value (column \"farbe\")"
        );
        assert!(ended.err.contains(&note), "{}", ended.err);
    }
    assert_eq!(types(&dir, "ws"), [("Utf8".to_owned(), String::new())]);
    let named = dir.done(
        &[
            &["fit", "t.csv", "-w", "named", "--null", "NA", "--null", "?"],
            &FIT[..],
        ]
        .concat(),
    );
    assert!(!named.err.contains("learnt as a text"), "{}", named.err);
}
