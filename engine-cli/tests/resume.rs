//! A training that is killed at any instant and resumed ends with the weights of one that never was.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const ARGN: &str = env!("CARGO_BIN_EXE_argn");
/// Delays before a kill, in milliseconds: a fixed sequence, so that a failure can be repeated.
const DELAYS: [u64; 8] = [3, 31, 45, 20, 60, 12, 80, 50];

fn table(path: &Path) {
    let mut text = String::from("a,b,c,d\n");
    for i in 0..2_000u64 {
        let x = i
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407)
            >> 33;
        text += &format!(
            "{},{},{},{}\n",
            x % 7,
            ["x", "y", "z"][(x % 3) as usize],
            x % 50,
            (x % 7) * 10
        );
    }
    std::fs::write(path, text).unwrap();
}

fn train(workspace: &Path, state: &str) -> Command {
    let mut command = Command::new(ARGN);
    command.arg("train").arg("-w").arg(workspace).args([
        "--state",
        state,
        "--seed",
        "3",
        "--max-epochs",
        "100",
    ]);
    command
        .args(["--batch-size", "8", "--threads", "1", "--quiet"])
        .stdout(Stdio::null());
    command
}

fn succeeds(command: &mut Command) {
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
}

fn model_file(workspace: &Path, name: &str) -> Vec<u8> {
    std::fs::read(workspace.join("ModelStore/model-data").join(name)).unwrap()
}

#[test]
fn killed_and_resumed_trainings_end_with_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("table.csv");
    table(&csv);
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    for workspace in [&whole, &killed] {
        succeeds(
            Command::new(ARGN)
                .arg("split")
                .arg(&csv)
                .arg("-w")
                .arg(workspace)
                .args(["--seed", "3", "--quiet"]),
        );
        for stage in ["analyze", "encode"] {
            succeeds(
                Command::new(ARGN)
                    .arg(stage)
                    .arg("-w")
                    .arg(workspace)
                    .arg("--quiet"),
            );
        }
    }
    succeeds(&mut train(&whole, "reset"));

    let mut kills = 0;
    for delay in DELAYS {
        let mut child = train(&killed, "resume").stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    assert!(kills >= 2, "the training was over after {kills} kills");
    succeeds(&mut train(&killed, "resume"));
    let weights = "model-weights.safetensors";
    assert!(
        model_file(&whole, weights) == model_file(&killed, weights),
        "the weights differ after {kills} kills"
    );

    let before = model_file(&killed, "training-state.bin");
    succeeds(&mut train(&killed, "resume"));
    assert!(
        before == model_file(&killed, "training-state.bin"),
        "a finished training that is resumed changes nothing"
    );
}
