//! Standard input and output beyond plain rows: packed input, messages, and readers of reports that go away.

use std::io::Write;
use std::process::Stdio;

use crate::argn::{Ended, SHORT, TestDir};

/// Runs the program on bytes from standard input, which it need not read to the end.
fn fed(dir: &TestDir, input: &[u8], arguments: &[&str]) -> Ended {
    let mut command = dir.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let ended = Ended::from(child.wait_with_output().unwrap());
    let _ = writer.join().unwrap();
    ended
}

#[test]
fn gzip_input_is_detected_by_its_bytes() {
    let dir = TestDir::with_table();
    dir.done(&[&["fit", "t.csv", "-w", "ws", "-q"], &SHORT[..]].concat());
    dir.done(&[
        "sample", "-w", "ws", "-n", "50", "-o", "o.csv.gz", "--seed", "1", "-q",
    ]);
    dir.done(&[
        "sample", "-w", "ws", "-n", "50", "-o", "o.csv", "--seed", "1", "-q",
    ]);
    let synthesize = [&["synthesize", "-", "-o", "-", "-q"], &SHORT[..]].concat();
    let [packed, plain] = ["o.csv.gz", "o.csv"].map(|name| fed(&dir, &dir.read(name), &synthesize));
    assert_eq!((packed.code, packed.err.as_str()), (0, ""));
    assert_eq!(plain.out.iter().filter(|b| **b == b'\n').count(), 51);
    assert!(packed.out == plain.out);
}

#[test]
fn errors_call_a_pipe_by_its_name() {
    let dir = TestDir::new();
    let ended = fed(&dir, b"", &["fit", "-", "-w", "ws"]);
    let sentence =
        "error: standard input: the file is empty; give a table with a header and at least one row\n";
    assert_eq!((ended.code, ended.err.as_str()), (3, sentence));
    let ended = fed(&dir, b"a,b\n1,2\n3\n", &["fit", "-", "-w", "ws"]);
    let sentence = "error: standard input, line 3: the row has 1 field, the header has 2; correct the line (is a quote or the \
                    delimiter ',' missing or superfluous?)\n";
    assert_eq!((ended.code, ended.err.as_str()), (3, sentence));
    assert!(!dir.exists("ws"));
}

#[test]
fn readers_of_reports_may_go_away() {
    let dir = TestDir::with_table();
    dir.done(&[&["fit", "t.csv", "-w", "ws", "-q"], &SHORT[..]].concat());
    for arguments in [
        &["info", "-w", "ws", "--graph"][..],
        &["info", "-w", "ws", "--json"],
        &["completions", "zsh"],
    ] {
        let mut command = dir.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let ended = Ended::from(child.wait_with_output().unwrap());
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{arguments:?}");
    }
}
