//! A training that is killed at any instant and resumed ends as one that was never killed.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::argn::TestDir;

const WEIGHTS: &str = "ws/ModelStore/model-data/model-weights.safetensors";
const STATE: &str = "ws/ModelStore/model-data/training-state.bin";
const SETTINGS: [&str; 7] = ["-q", "--max-epochs", "6", "--batch-size", "32", "--seed", "7"];
const FIT: [&str; 4] = ["fit", "t.csv", "-w", "ws"];
const RESUME: [&str; 5] = ["train", "-w", "ws", "--state", "resume"];
/// SIGKILL, which no program can catch.
const KILL: i32 = 9;

/// Numbers that look random and are the same in every run.
struct Instants(u64);

impl Instants {
    /// A moment within a duration.
    fn within(&mut self, whole: Duration) -> Duration {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        whole.mul_f64((self.0 >> 40) as f64 / (1u64 << 24) as f64)
    }
}

/// Runs the program and kills it after a while; whether it was still running.
fn is_killed(dir: &TestDir, arguments: &[&str], after: Duration) -> bool {
    let mut child = dir.command(arguments).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let is_killed = output.status.signal() == Some(KILL);
    assert!(
        is_killed || output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    is_killed
}

/// A dir with a finished model, and how long the command took that made it.
fn uninterrupted(command: &[&str]) -> (TestDir, Duration) {
    let dir = TestDir::with_table();
    if command[0] == "train" {
        prepare(&dir);
    }
    let begin = Instant::now();
    dir.done(&[command, &SETTINGS[..]].concat());
    (dir, begin.elapsed())
}

/// Everything before the training.
fn prepare(dir: &TestDir) {
    dir.done(&["split", "t.csv", "-w", "ws", "-q", "--seed", "7"]);
    for stage in ["analyze", "encode"] {
        dir.done(&[stage, "-w", "ws", "-q"]);
    }
}

#[test]
fn a_training_killed_at_random_instants_ends_with_the_same_weights() {
    let (whole, mut time) = uninterrupted(&["train", "-w", "ws"]);
    let resume = [&RESUME[..], &SETTINGS[..]].concat();
    let mut instants = Instants(2);
    let (mut rounds, mut kills, mut kills_after_a_checkpoint) = (0, 0, 0);
    while kills < 10 || kills_after_a_checkpoint < 3 {
        rounds += 1;
        assert!(
            rounds <= 50,
            "{kills} kills, {kills_after_a_checkpoint} of them after a checkpoint"
        );
        let dir = TestDir::with_table();
        prepare(&dir);
        let first = instants.within(time);
        if !is_killed(&dir, &resume, first) {
            // The machine is faster than it was: kill earlier from now on.
            time = time.min(first);
        } else {
            // Each run may last longer, so that the training ends however busy the machine is.
            let mut patience = Duration::ZERO;
            loop {
                kills += 1;
                kills_after_a_checkpoint += u32::from(dir.exists(STATE));
                patience += time.mul_f64(0.1);
                if !is_killed(&dir, &resume, instants.within(time) + patience) {
                    break;
                }
            }
        }
        assert!(
            dir.read(WEIGHTS) == whole.read(WEIGHTS),
            "the weights differ in round {rounds}"
        );
    }
}

#[test]
fn a_fit_killed_at_random_instants_begins_afresh_or_resumes_to_the_same_weights() {
    let (whole, time) = uninterrupted(&FIT);
    let mut instants = Instants(3);
    for round in 0..8 {
        let dir = TestDir::with_table();
        let fit = [&FIT[..], &SETTINGS[..]].concat();
        if is_killed(&dir, &fit, instants.within(time)) {
            let is_encoded = dir.exists("ws/OriginalData/encoded-data");
            if is_encoded && round % 2 == 0 {
                dir.done(&[&RESUME[..], &SETTINGS[..]].concat());
            } else {
                // Killed between the end of the training and that of the program, it is finished.
                let again = dir.run(&fit);
                let is_finished = again.code == 4 && again.err.contains("there is a trained model already");
                assert!(again.code == 0 || is_finished, "{}", again.err);
            }
        }
        assert!(
            dir.read(WEIGHTS) == whole.read(WEIGHTS),
            "the weights differ in round {round}"
        );
        let mut files = dir.files("ws").into_keys();
        let leftover = files.find(|file| file.to_string_lossy().contains("argn-tmp"));
        assert_eq!(leftover, None);
    }
}

#[test]
fn to_resume_what_is_finished_changes_nothing() {
    let (dir, _) = uninterrupted(&FIT);
    let before = dir.files("ws");
    dir.done(&[&RESUME[..], &SETTINGS[..]].concat());
    assert!(dir.files("ws") == before);
}

#[test]
fn the_epochs_of_a_resumed_training_are_counted_in_all() {
    let (whole, _) = uninterrupted(&FIT);
    let dir = TestDir::with_table();
    let short = ["-q", "--max-epochs", "2", "--batch-size", "32", "--seed", "7"];
    dir.done(&[&FIT[..], &short[..]].concat());
    assert!(dir.read(WEIGHTS) != whole.read(WEIGHTS));
    dir.done(&[&RESUME[..], &SETTINGS[..]].concat());
    assert!(dir.read(WEIGHTS) == whole.read(WEIGHTS));
}
