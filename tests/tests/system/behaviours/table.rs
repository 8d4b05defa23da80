//! The table in `docs/behaviours.md` has every row, and every test that it names exists.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Rows of the tables of the document, each as its cells.
fn rows() -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join("docs/behaviours.md")).unwrap();
    let lines = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| row"));
    let cells = |line: &str| {
        line.trim_matches('|')
            .split(" | ")
            .map(|c| c.trim().to_owned())
            .collect()
    };
    lines.map(cells).collect()
}

fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            *into += &fs::read_to_string(&path).unwrap();
        }
    }
}

/// The numbers that a first cell stands for: `B3` or `B3 to B8`.
fn numbers(cell: &str) -> Vec<String> {
    let number = |text: &str| text[1..].parse::<usize>().ok();
    match cell.split_once(" to ") {
        Some((first, last)) => {
            let (first_number, last_number) = (number(first).unwrap(), number(last).unwrap());
            (first_number..=last_number)
                .map(|n| format!("{}{n}", &first[..1]))
                .collect()
        }
        None => vec![cell.to_owned()],
    }
}

#[test]
fn every_row_is_there() {
    let found: HashSet<String> = rows().iter().flat_map(|cells| numbers(&cells[0])).collect();
    let extra = ["B26a", "B102a", "B102b"].map(str::to_owned);
    let behaviours = (1..=126).map(|n| format!("B{n}")).chain(extra);
    let missing: Vec<String> = behaviours
        .chain((1..=53).map(|n| format!("I{n}")))
        .chain((1..=30).map(|n| format!("Q{n}")))
        .filter(|name| !found.contains(name))
        .collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
}

#[test]
fn every_test_that_is_named_exists() {
    let mut text = String::new();
    for folder in [
        "engine-core",
        "engine-cpu",
        "engine-api",
        "engine-cli",
        "tests/tests",
        "examples",
    ] {
        sources(&root().join(folder), &mut text);
    }
    let mut named = 0;
    for cells in rows() {
        let Some(last) = cells.last() else { continue };
        for name in last.split('`').skip(1).step_by(2) {
            named += 1;
            let is_there = match name.strip_prefix("golden:") {
                Some(group) => text.contains(&format!("\"{group}\"")),
                None => text.contains(&format!("fn {name}(")),
            };
            assert!(is_there, "row {}: there is no test {name}", cells[0]);
        }
    }
    assert!(named > 80, "{named} tests are named");
}
