//! Training and sampling on a graphics device, on a driver in software where there is no other; and from one device to another.

#![expect(
    clippy::print_stdout,
    reason = "how many rows differ is what a test is run for"
)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::argn::{Ended, TestDir, table};

const MESSAGES: &str = "ws/ModelStore/model-data/progress-messages.csv";
const STATE: &str = "ws/ModelStore/model-data/training-state.bin";
/// Rows that are drawn on both devices, and how many of them may differ.
const DRAWN: &str = "2000";
const MAX_DIFFERENT: usize = 20;

fn dir(rows: u64) -> TestDir {
    let dir = TestDir::new();
    dir.write("t.csv", table(rows));
    dir
}

/// The rows that a device draws from the model of a dir, after the header.
fn drawn(dir: &TestDir, device: &str) -> Vec<String> {
    let flags = [
        "sample", "-w", "ws", "-n", DRAWN, "-o", "-", "-q", "--seed", "3", "--device", device,
    ];
    let text = String::from_utf8(dir.done(&flags).out).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_model_of_each_size_draws_the_same_rows_on_both_devices() {
    for size in ["small", "medium", "large"] {
        let dir = dir(1_000);
        let flags = [
            "--max-epochs",
            "2",
            "--seed",
            "7",
            "--model",
            size,
            "--device",
            "wgpu",
        ];
        dir.done(&[&["fit", "t.csv", "-w", "ws", "-q"], &flags[..]].concat());
        let (ours, theirs) = (drawn(&dir, "wgpu"), drawn(&dir, "cpu"));
        assert_eq!((ours.len(), theirs.len()), (2_000, 2_000));
        let different = ours.iter().zip(&theirs).filter(|(a, b)| a != b).count();
        println!("model {size}: {different} of {DRAWN} rows differ");
        assert!(
            different <= MAX_DIFFERENT,
            "model {size}: {different} rows differ"
        );
        let mut distinct = ours;
        distinct.sort_unstable();
        distinct.dedup();
        assert!(
            distinct.len() > 1_000,
            "model {size}: {} distinct rows",
            distinct.len()
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let weights = || {
        let dir = dir(400);
        let flags = ["--max-epochs", "2", "--seed", "7", "--device", "wgpu"];
        dir.done(&[&["fit", "t.csv", "-w", "ws", "-q"], &flags[..]].concat());
        (
            dir.read("ws/ModelStore/model-data/model-weights.safetensors"),
            drawn(&dir, "wgpu"),
        )
    };
    assert!(weights() == weights(), "two trainings differ");
}

/// Validation losses of the messages that have one, in order.
fn losses(messages: &str) -> Vec<f64> {
    let header: Vec<&str> = messages.lines().next().unwrap().split(',').collect();
    let at = header.iter().position(|name| *name == "val_loss").unwrap();
    let loss = |line: &str| line.split(',').nth(at).unwrap().parse().ok();
    messages.lines().skip(1).filter_map(loss).collect()
}

fn messages(dir: &TestDir) -> String {
    String::from_utf8(dir.read(MESSAGES)).unwrap()
}

const EPOCHS: [&str; 6] = ["--max-epochs", "8", "--batch-size", "64", "--seed", "7"];

/// A dir with a training that was killed after its first epoch was stored.
fn killed(device: &str) -> TestDir {
    let dir = dir(2_000);
    let mut command = dir.command(
        &[
            &["fit", "t.csv", "-w", "ws", "-q", "--device", device],
            &EPOCHS[..],
        ]
        .concat(),
    );
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while !dir.exists(STATE) {
        assert!(
            begin.elapsed() < Duration::from_secs(300),
            "no epoch in five minutes"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    dir
}

#[test]
fn a_training_is_resumed_on_another_device() {
    let whole = dir(2_000);
    whole.done(
        &[
            &["fit", "t.csv", "-w", "ws", "-q", "--device", "cpu"],
            &EPOCHS[..],
        ]
        .concat(),
    );
    let expected = losses(&messages(&whole));
    for (from, to) in [("wgpu", "cpu"), ("cpu", "wgpu")] {
        let dir = killed(from);
        let before = messages(&dir);
        assert!(!losses(&before).is_empty(), "{before}");
        dir.done(
            &[
                &["train", "-w", "ws", "--state", "resume", "-q", "--device", to],
                &EPOCHS[..],
            ]
            .concat(),
        );
        let after = messages(&dir);
        // Epochs, steps and losses up to the kill stay as they were, and the training goes on from there.
        let stored = after
            .lines()
            .zip(before.lines())
            .take_while(|(a, b)| a == b)
            .count();
        assert!(
            stored + 1 >= before.lines().count(),
            "from {from} to {to}:\n{before}\n{after}"
        );
        let got = losses(&after);
        assert_eq!(got.len(), expected.len(), "from {from} to {to}:\n{after}");
        let (ours, theirs) = (got[got.len() - 1], expected[expected.len() - 1]);
        assert!(
            (ours - theirs).abs() <= 0.02,
            "from {from} to {to}: {ours} instead of {theirs}"
        );
    }
}

#[test]
fn adapters_are_listed_and_chosen() {
    let dir = dir(100);
    let listed = String::from_utf8(dir.done(&["devices"]).out).unwrap();
    let first = listed
        .lines()
        .find(|line| line.starts_with("wgpu:0"))
        .unwrap_or_else(|| panic!("{listed}"));
    assert!(
        first.contains("buffers up to") && listed.contains("(auto)"),
        "{listed}"
    );
    let fit = [
        "fit",
        "t.csv",
        "-w",
        "ws",
        "-q",
        "--max-epochs",
        "1",
        "--seed",
        "1",
    ];
    dir.done(&[&fit[..], &["--device", "wgpu:0"]].concat());
    let ended = dir.run(&[&fit[..], &["--force", "--device", "wgpu:no such adapter"]].concat());
    assert_eq!(ended.code, 2, "{}", ended.err);
    let expected = "there is no device \"wgpu:no such adapter\"; use a number or a part of a name: 0: ";
    assert!(ended.err.contains(expected), "{}", ended.err);
}

#[test]
fn without_a_driver_there_is_a_sentence_and_the_processor_still_works() {
    let dir = dir(100);
    let fit = [
        "fit",
        "t.csv",
        "-w",
        "ws",
        "-q",
        "--max-epochs",
        "1",
        "--seed",
        "1",
        "--device",
    ];
    let run = |device: &str| {
        let mut command = dir.command(&[&fit[..], &[device]].concat());
        // A list of drivers that names none.
        command
            .env("VK_DRIVER_FILES", "/dev/null")
            .env("VK_ICD_FILENAMES", "/dev/null");
        Ended::from(command.output().unwrap())
    };
    let ended = run("wgpu");
    assert_eq!(ended.code, 1, "{}", ended.err);
    let sentence =
        "the device wgpu cannot be used: no graphics driver offers a device; install the driver of your GPU";
    assert!(ended.err.contains(sentence), "{}", ended.err);
    assert!(!dir.exists("ws/ModelStore/model-data/model-weights.safetensors"));
    let ended = run("auto");
    assert_eq!(ended.code, 0, "{}", ended.err);
}
