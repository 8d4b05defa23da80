//! Private rows stay their owner's, what belongs to nothing is refused, and no model is lost without a word.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::argn::{Ended, SHORT, TestDir, table};

const WORKSPACE: i32 = 4;
const NOBODY: &str = "65534";

fn fit(dir: &TestDir, more: &[&str]) -> Ended {
    dir.run(&[&["fit", "t.csv", "-w", "ws", "-q"], &SHORT[..], more].concat())
}

/// A dir with a finished model.
fn fitted() -> TestDir {
    let dir = TestDir::with_table();
    assert_eq!(fit(&dir, &[]).code, 0);
    dir
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[track_caller]
fn assert_all_private(path: &Path) {
    let expected = if path.is_dir() { 0o700 } else { 0o600 };
    assert_eq!(mode(path), expected, "{}", path.display());
    if path.is_dir() {
        entries(path).iter().for_each(|path| assert_all_private(path));
    }
}

#[track_caller]
fn assert_refused(ended: &Ended, part: &str) {
    assert_eq!(ended.code, WORKSPACE, "{}", ended.err);
    assert!(ended.err.contains(part), "{}", ended.err);
}

#[test]
fn rows_in_a_workspace_are_their_owners_alone() {
    let dir = fitted();
    assert_all_private(&dir.path("ws/OriginalData"));
    // One that an older program has made is private from the next split on.
    fs::set_permissions(dir.path("ws/OriginalData"), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(fit(&dir, &["--force"]).code, 0);
    assert_all_private(&dir.path("ws/OriginalData"));
}

#[test]
fn temporary_folders_are_private_and_go_with_the_next_run_unless_they_live() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: builds without debug assertions cannot be made to abort");
        return;
    }
    let dir = TestDir::with_table();
    fs::create_dir(dir.path("tmp")).unwrap();
    let run = |abort: Option<&str>| {
        let arguments = [&["synthesize", "t.csv", "-o", "o.csv", "-q"], &SHORT[..]].concat();
        let mut command = dir.command(&arguments);
        command.env("TMPDIR", dir.path("tmp"));
        if let Some(change) = abort {
            command.env("ARGN_ABORT_BEFORE_CHANGE", change);
        }
        command.output().unwrap().status.success()
    };
    assert!(!run(Some("30")));
    let left = entries(&dir.path("tmp"));
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(mode(&left[0]), 0o700);
    // As long as somebody holds its lock it lives.
    let lock = File::open(&left[0]).unwrap();
    lock.lock().unwrap();
    assert!(run(None));
    assert_eq!(entries(&dir.path("tmp")), left);
    drop(lock);
    assert!(run(None));
    assert_eq!(entries(&dir.path("tmp")), Vec::<PathBuf>::new());
}

#[test]
fn outputs_keep_rights_and_links() {
    let dir = fitted();
    let sample = |out: &str| dir.done(&["sample", "-w", "ws", "-n", "5", "-q", "-o", out]);
    dir.write("o.csv", "old");
    fs::set_permissions(dir.path("o.csv"), Permissions::from_mode(0o640)).unwrap();
    symlink("o.csv", dir.path("link.csv")).unwrap();
    sample("link.csv");
    assert!(dir.read("o.csv").starts_with(b"city,"));
    assert_eq!(mode(&dir.path("o.csv")), 0o640);
    symlink("later.csv", dir.path("dangling.csv")).unwrap();
    sample("dangling.csv");
    assert!(dir.read("later.csv").starts_with(b"city,"));
    for link in ["link.csv", "dangling.csv"] {
        assert!(dir.path(link).symlink_metadata().unwrap().is_symlink());
    }
}

#[test]
fn data_are_discarded_however_the_command_ends() {
    let dir = fitted();
    dir.write("bad.csv", "a,b\n1\n");
    copy(&dir, "ws", "whole");
    for arguments in [
        &["fit", "t.csv"][..],
        &["fit", "missing.csv", "--force"],
        &["fit", "bad.csv", "--force"],
        &["fit", "t.csv", "--force", "--device", "none"],
        &["fit", "t.csv", "--force", "--encoding", "none=categorical"],
        &[
            "fit",
            "t.csv",
            "--force",
            "--stats-epsilon",
            "1",
            "--domain",
            "city=missing.txt",
        ],
        &["train"],
        &["train", "--force", "--device", "none"],
    ] {
        fs::remove_dir_all(dir.path("ws")).unwrap();
        copy(&dir, "whole", "ws");
        fs::create_dir(dir.path("ws/.OriginalData.Xyz.argn-tmp")).unwrap();
        let ended = dir.run(&[arguments, &["-w", "ws", "-q", "--discard-data"]].concat());
        assert_ne!(ended.code, 0, "{arguments:?}");
        let left = entries(&dir.path("ws"));
        assert_eq!(left, [dir.path("ws/ModelStore")], "{arguments:?}");
    }
}

fn copy(dir: &TestDir, from: &str, to: &str) {
    let status = Command::new("cp")
        .arg("-r")
        .args([dir.path(from), dir.path(to)])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn data_are_discarded_by_one_ctrl_c_and_by_two() {
    for signals in [1, 2] {
        let dir = TestDir::new();
        dir.write("t.csv", table(6_000));
        let long = ["--max-epochs", "100", "--batch-size", "8", "--discard-data"];
        let mut command = dir.command(&[&["fit", "t.csv", "-w", "ws"], &long[..]].concat());
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while !dir.exists("ws/ModelStore/model-data") {
            assert!(
                begin.elapsed() < Duration::from_secs(120),
                "no training in two minutes"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(dir.exists("ws/OriginalData"));
        let mut sent = 0;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(begin.elapsed() < Duration::from_secs(240), "it does not end");
            if sent < signals {
                let kill = Command::new("kill")
                    .args(["-INT", &child.id().to_string()])
                    .status();
                assert!(kill.unwrap().success());
                // Two signals in a row may arrive as one, so there is no counting of the second.
                sent += u32::from(signals == 1);
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(status.code(), Some(130));
        assert!(!dir.exists("ws/OriginalData"), "after {signals}");
    }
}

#[test]
fn data_that_cannot_be_removed_are_an_error() {
    let dir = fitted();
    let setpriv = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
        command
            .arg(env!("CARGO_BIN_EXE_argn"))
            .args(arguments)
            .current_dir(dir.path(""));
        command.output()
    };
    fs::set_permissions(dir.path(""), Permissions::from_mode(0o755)).unwrap();
    match setpriv(&["--version"]) {
        Ok(output) if output.status.success() => {}
        _ => return eprintln!("skipped: no other user can run the program here"),
    }
    let chown = Command::new("chown")
        .args(["-R", NOBODY])
        .arg(dir.path("ws/OriginalData"))
        .status();
    assert!(chown.unwrap().success());
    let output = setpriv(&["train", "-w", "ws", "-q", "--discard-data"]).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("OriginalData: no permission to remove it"),
        "{said}"
    );
    assert!(dir.exists("ws/OriginalData"));
}

#[test]
fn whatever_would_lose_a_model_asks_first() {
    let dir = fitted();
    let before = dir.files("ws");
    for arguments in [
        &["analyze"][..],
        &["analyze", "--explain", "--no-value-protection"],
        &["train"],
        &["split", "t.csv"],
        &["fit", "t.csv"],
    ] {
        let ended = dir.run(&[arguments, &["-w", "ws"]].concat());
        assert_refused(
            &ended,
            "there is a trained model already; replace it with --force",
        );
        assert_eq!(ended.out, b"");
        assert!(dir.files("ws") == before, "{arguments:?}");
    }
    dir.done(&[&["train", "-w", "ws", "-q", "--force"], &SHORT[..]].concat());
    dir.done(&["analyze", "-w", "ws", "-q", "--force"]);
    assert!(!dir.exists("ws/ModelStore/model-data"));
}

#[test]
fn explaining_only_reads() {
    let dir = fitted();
    let before = dir.files("ws");
    let explain = |arguments: &[&str]| String::from_utf8(dir.done(arguments).out).unwrap();
    let text = explain(&["analyze", "-w", "ws", "--explain"]);
    assert!(
        text.contains("\n  why        columns of the type Utf8 are encoded so\n"),
        "{text}"
    );
    assert_eq!(explain(&["info", "-w", "ws", "--explain"]), text);
    assert!(dir.files("ws") == before);
    dir.done(&["export", "-w", "ws", "-o", "m.argn"]);
    let exported = explain(&["info", "-w", "m.argn", "--explain"]);
    assert!(
        exported.contains("\n  encoding   categorical (cat 4)\n"),
        "{exported}"
    );
    assert!(exported.ends_with("The table is not there, so this is what follows from its statistics.\n"));
}

#[test]
fn a_fit_goes_on_with_its_own_table_only() {
    let dir = fitted();
    let resume = |table: &str| {
        dir.run(&[
            "fit",
            table,
            "-w",
            "ws",
            "-q",
            "--state",
            "resume",
            "--max-epochs",
            "6",
        ])
    };
    let text = table(600);
    dir.write("one_cell.csv", text.replacen("Wien", "Graz", 1));
    dir.write(
        "one_row.csv",
        text.lines().take(600).collect::<Vec<_>>().join("\n") + "\n",
    );
    dir.write("renamed.csv", text.replacen("city", "town", 1));
    dir.write("same.csv", &text);
    let before = dir.files("ws");
    for other in ["one_cell.csv", "one_row.csv", "renamed.csv"] {
        assert_refused(
            &resume(other),
            &format!("ws: {other} is not the table that this workspace has learnt"),
        );
    }
    let ended = resume("same.csv");
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(
        dir.files("ws") == before,
        "a training that is over stays as it is"
    );
    // Without the data nothing shows what the table was.
    fs::remove_dir_all(dir.path("ws/OriginalData")).unwrap();
    assert_refused(&resume("same.csv"), "nothing shows whether same.csv is the table");
    let reuse = dir.run(&[
        "fit",
        "one_cell.csv",
        "-w",
        "ws",
        "-q",
        "--state",
        "reuse",
        "--max-epochs",
        "1",
    ]);
    assert_eq!(reuse.code, 0, "{}", reuse.err);
}

#[test]
fn parts_of_another_workspace_are_refused() {
    let dir = fitted();
    let flags = [
        "fit",
        "t.csv",
        "-w",
        "other",
        "-q",
        "--max-epochs",
        "1",
        "--seed",
        "8",
    ];
    dir.done(&flags);
    copy(&dir, "ws", "whole");
    let resume = [
        "train",
        "-w",
        "ws",
        "--state",
        "resume",
        "-q",
        "--max-epochs",
        "9",
    ];
    let sample = ["sample", "-w", "ws", "-n", "5", "-o", "o.csv"];
    for (part, command, says) in [
        (
            "ModelStore/tgt-stats",
            &sample[..],
            "the statistics are those of an older table or analysis",
        ),
        (
            "ModelStore/model-data",
            &sample,
            "the model is that of an older table or older statistics",
        ),
        ("OriginalData", &resume, "the table was to be replaced by another"),
        (
            "OriginalData/encoded-data",
            &resume,
            "the codes are those of an older table or older statistics",
        ),
    ] {
        fs::remove_dir_all(dir.path("ws")).unwrap();
        copy(&dir, "whole", "ws");
        fs::remove_dir_all(dir.path(&format!("ws/{part}"))).unwrap();
        copy(&dir, &format!("other/{part}"), &format!("ws/{part}"));
        let ended = dir.run(command);
        assert_refused(&ended, says);
        assert!(ended.err.contains("run `argn "), "{}", ended.err);
    }
    assert!(!dir.exists("o.csv"));
}

#[test]
fn no_export_and_no_part_of_the_model_holds_the_digest_of_the_table() {
    let dir = fitted();
    dir.done(&["export", "-w", "ws", "-o", "m.argn"]);
    let split = String::from_utf8(dir.read("ws/OriginalData/tgt-meta/split.json")).unwrap();
    let hex = |key: &str| {
        let after = split.split(&format!("\"{key}\": \"")).nth(1).unwrap();
        after.split('"').next().unwrap().to_owned()
    };
    for digits in [hex("key"), hex("value")] {
        assert_eq!(digits.len(), 32);
        let holds = |bytes: &[u8]| bytes.windows(32).any(|part| part == digits.as_bytes());
        assert!(!holds(&dir.read("m.argn")));
        assert!(dir.files("ws/ModelStore").values().all(|bytes| !holds(bytes)));
    }
}
