//! Ctrl-C: the first leaves a model that samples and resumes, the second ends at once.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::argn::{Ended, TestDir, table};

const MODEL: &str = "ws/ModelStore/model-data";
const STOPPED: i32 = 130;

fn interrupt(child: &Child) {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// A dir with a table that takes a while.
fn long_table() -> TestDir {
    let dir = TestDir::new();
    dir.write("t.csv", table(6_000));
    dir
}

/// Starts a training of so many epochs and waits until its first epoch is stored.
fn training(dir: &TestDir, epochs: &str) -> Child {
    let limits = ["--max-epochs", epochs, "--batch-size", "8", "--seed", "7"];
    let mut command = dir.command(&[&["fit", "t.csv", "-w", "ws"], &limits[..]].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let begin = Instant::now();
    while !dir.exists(&format!("{MODEL}/training-state.bin")) {
        assert!(begin.elapsed() < Duration::from_secs(60), "no epoch in a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn weights(dir: &TestDir) -> Vec<u8> {
    dir.read(&format!("{MODEL}/model-weights.safetensors"))
}

#[test]
fn the_first_ctrl_c_leaves_a_model_that_samples_and_goes_on() {
    let dir = long_table();
    let child = training(&dir, "5");
    interrupt(&child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, STOPPED, "{}", ended.err);
    let hint = "the model can be sampled, and `argn train -w ws --state resume` goes on";
    assert!(ended.err.contains(hint), "{}", ended.err);
    dir.done(&["sample", "-w", "ws", "-n", "5", "-o", "o.csv", "-q"]);
    dir.done(&[
        "train",
        "-w",
        "ws",
        "--state",
        "resume",
        "--max-epochs",
        "5",
        "-q",
    ]);
    let whole = long_table();
    let ended = Ended::from(training(&whole, "5").wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(weights(&dir) == weights(&whole), "the weights differ");
}

#[test]
fn the_second_ctrl_c_ends_at_once() {
    let dir = long_table();
    let mut child = training(&dir, "100");
    let begin = Instant::now();
    // Two signals in a row may arrive as one, so they go on until it has ended.
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not end");
        interrupt(&child);
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(status.code(), Some(STOPPED));
}
