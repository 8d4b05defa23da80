//! The same seed gives the same bytes: for any number of threads, by any way, with or without the table.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::argn::{SHORT, TestDir};

const WEIGHTS: &str = "ModelStore/model-data/model-weights.safetensors";
const DRAW: [&str; 5] = ["-n", "1000", "--seed", "11", "-q"];

/// Fits `t.csv` into a workspace, with more flags.
fn fit(dir: &TestDir, workspace: &str, more: &[&str]) {
    dir.done(&[&["fit", "t.csv", "-w", workspace, "-q"], &SHORT[..], more].concat());
}

/// Draws rows of a model into a file and reads it.
fn draw(dir: &TestDir, model: &str, out: &str) -> Vec<u8> {
    dir.done(&[&["sample", "-w", model, "-o", out], &DRAW[..]].concat());
    dir.read(out)
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let mut found = Vec::new();
    for (variable, flags) in [("1", &[][..]), ("2", &[]), ("1", &["--threads", "3"])] {
        let dir = TestDir::with_table();
        let run = |arguments: &[&str]| {
            let mut command = dir.command(&[arguments, flags].concat());
            let status = command.env("RAYON_NUM_THREADS", variable).status().unwrap();
            assert!(status.success(), "{arguments:?}");
        };
        run(&[&["fit", "t.csv", "-w", "ws", "-q"], &SHORT[..]].concat());
        for out in ["o.csv", "o.csv.gz", "o.parquet"] {
            run(&[&["sample", "-w", "ws", "-o", out], &DRAW[..]].concat());
        }
        let files = ["o.csv", "o.csv.gz", "o.parquet"].map(|name| dir.read(name));
        found.push((dir.read(&format!("ws/{WEIGHTS}")), files));
    }
    assert!(found[0] == found[1], "1 and 2 threads differ");
    assert!(found[0] == found[2], "1 and 3 threads differ");
    let lines = found[0].1[0].iter().filter(|&&b| b == b'\n').count();
    assert_eq!(lines, 1001);
}

#[test]
fn another_seed_changes_weights_and_rows() {
    let dir = TestDir::with_table();
    fit(&dir, "ws", &[]);
    dir.done(&[
        "fit",
        "t.csv",
        "-w",
        "other",
        "-q",
        "--max-epochs",
        "6",
        "--batch-size",
        "32",
        "--seed",
        "8",
    ]);
    assert!(dir.read(&format!("ws/{WEIGHTS}")) != dir.read(&format!("other/{WEIGHTS}")));
    let rows = draw(&dir, "ws", "o.csv");
    dir.done(&[
        "sample", "-w", "ws", "-o", "p.csv", "-n", "1000", "--seed", "12", "-q",
    ]);
    assert!(rows != dir.read("p.csv"));
}

#[test]
fn stages_one_by_one_are_a_fit_and_a_sample() {
    let dir = TestDir::with_table();
    fit(&dir, "ws", &[]);
    dir.done(&["split", "t.csv", "-w", "staged", "-q", "--seed", "7"]);
    for stage in ["analyze", "encode"] {
        dir.done(&[stage, "-w", "staged", "-q"]);
    }
    dir.done(&[
        "train",
        "-w",
        "staged",
        "-q",
        "--max-epochs",
        "6",
        "--batch-size",
        "32",
    ]);
    assert!(dir.read(&format!("ws/{WEIGHTS}")) == dir.read(&format!("staged/{WEIGHTS}")));
    let rows = draw(&dir, "ws", "o.csv");
    dir.done(&[&["generate", "-w", "staged", "-o", "p.csv"], &DRAW[..]].concat());
    assert!(rows == dir.read("p.csv"));
}

#[test]
fn one_go_is_a_fit_and_a_sample() {
    let dir = TestDir::with_table();
    fit(&dir, "ws", &[]);
    dir.done(&[
        "sample", "-w", "ws", "-n", "600", "--seed", "7", "-o", "o.csv", "-q",
    ]);
    dir.done(&[&["synthesize", "t.csv", "-o", "p.csv", "-q"], &SHORT[..]].concat());
    assert!(dir.read("o.csv") == dir.read("p.csv"));
}

#[test]
fn sampling_needs_only_the_model_store() {
    let dir = TestDir::with_table();
    fit(&dir, "ws", &[]);
    let rows = draw(&dir, "ws", "o.csv");
    dir.done(&["export", "-w", "ws", "-o", "m.argn", "-q"]);
    for entry in fs::read_dir(dir.path("ws")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "ModelStore" {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    fs::remove_file(dir.path("t.csv")).unwrap();
    assert!(rows == draw(&dir, "ws", "p.csv"));
    fs::remove_dir_all(dir.path("ws")).unwrap();
    assert!(rows == draw(&dir, "m.argn", "q.csv"));
}

#[test]
fn discarded_data_leave_no_row_and_the_same_model() {
    let dir = TestDir::with_table();
    // A value of one row only, which no statistic may keep.
    let secret = "Seldwyla-4711";
    let table = String::from_utf8(dir.read("t.csv")).unwrap();
    dir.write("t.csv", table + &format!("{secret},30,1.71,2011-01-05,yes\n"));
    let holds_secret = |name: &str| {
        let files = dir.files(name);
        assert!(!files.is_empty());
        files
            .values()
            .any(|f| f.windows(secret.len()).any(|w| w == secret.as_bytes()))
    };
    fit(&dir, "ws", &[]);
    fit(&dir, "bare", &["--discard-data"]);
    assert!(
        holds_secret("ws"),
        "the search finds nothing where there is something"
    );
    assert!(!holds_secret("bare"));
    let left: Vec<_> = fs::read_dir(dir.path("bare"))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["ModelStore"]);
    assert!(draw(&dir, "ws", "o.csv") == draw(&dir, "bare", "p.csv"));
}

#[test]
fn pipes_carry_the_same_bytes_as_files() {
    let dir = TestDir::with_table();
    let go = [&["-q"], &SHORT[..]].concat();
    dir.done(&[&["synthesize", "t.csv", "-o", "o.csv"], &go[..]].concat());
    let mut command = dir.command(&[&["synthesize", "-", "-o", "-"], &go[..]].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&dir.read("t.csv")).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(
        output.stdout == dir.read("o.csv"),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = TestDir::with_table();
    fit(&dir, "ws", &[]);
    let mut command = dir.command(&["sample", "-w", "ws", "-n", "200000", "-o", "-", "-q"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn leading_zeros_come_back() {
    let dir = TestDir::new();
    let rows: String = (0..600).map(|i| format!("{:03},{}\n", i % 40, i % 7)).collect();
    dir.write("t.csv", format!("code,n\n{rows}"));
    fit(&dir, "ws", &[]);
    let drawn = String::from_utf8(draw(&dir, "ws", "o.csv")).unwrap();
    let codes: Vec<_> = drawn
        .lines()
        .skip(1)
        .filter_map(|row| row.split(',').next())
        .collect();
    assert_eq!(codes.len(), 1000);
    let is_known = |code: &str| code.len() == 3 && code.parse().is_ok_and(|n: u32| n < 40);
    assert!(
        codes.iter().all(|code| is_known(code) || *code == "_RARE_"),
        "{codes:?}"
    );
    assert!(codes.iter().any(|code| code.starts_with('0')));
}
