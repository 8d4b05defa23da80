//! A `fit --force` over a finished model that is killed before any change of the file system goes on to the right model, or is
//! refused with what to do: never the old model under the new table, and never a mix.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::argn::{Ended, TestDir};

/// Read by builds for tests only, see `engine-api/src/files/operations.rs`.
const ABORT_BEFORE: &str = "ARGN_ABORT_BEFORE_CHANGE";
const ABORTED: i32 = 6;
const WEIGHTS: &str = "ModelStore/model-data/model-weights.safetensors";
const SHORT: [&str; 6] = ["-q", "--max-epochs", "1", "--model", "small", "--threads"];
const OLD: [&str; 3] = ["Wien", "Graz", "Linz"];
const NEW: [&str; 3] = ["Rome", "Bari", "Pisa"];
/// What somebody may try next. Every one says the workspace at its end.
const CONTINUATIONS: [&[&str]; 11] = [
    &["fit", "new.csv", "--state", "resume", "--seed", "8"],
    &["fit", "new.csv", "--seed", "8"],
    &["fit", "new.csv", "--force", "--seed", "8"],
    &["fit", "old.csv", "--state", "resume", "--seed", "7"],
    &["train", "--state", "resume"],
    &["train"],
    &["encode"],
    &["analyze"],
    &["generate", "-n", "30"],
    &["info"],
    &["export", "-o", "OUT"],
];

/// A table whose values distinguish it from the other one of the same form.
fn table(cities: [&str; 3]) -> String {
    let row = |i: usize| format!("{},{}\n", cities[(i * 7 + i / 3) % 3], 20 + i * 11 % 40);
    "city,age\n".to_owned() + &(0..120).map(row).collect::<String>()
}

/// A copy of a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Whose values the rows of a model are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rows {
    Old,
    New,
    /// None are drawn; the text says what to do.
    Refused,
}

struct Test {
    dir: TestDir,
    old: BTreeMap<PathBuf, Vec<u8>>,
    new_weights: Vec<u8>,
}

impl Test {
    fn new() -> Self {
        let dir = TestDir::new();
        dir.write("old.csv", table(OLD));
        dir.write("new.csv", table(NEW));
        for (name, seed) in [("old", "7"), ("new", "8")] {
            let fit = [
                &["fit", &format!("{name}.csv"), "-w", name, "--seed", seed],
                &SHORT[..],
                &["1"],
            ];
            dir.done(&fit.concat());
        }
        let old = Self::files(&dir, "old");
        let new_weights = dir.read(&format!("new/{WEIGHTS}"));
        Self {
            dir,
            old,
            new_weights,
        }
    }

    /// The files of a workspace by their path in it, but for temporary ones.
    fn files(dir: &TestDir, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = dir.files(name).into_iter();
        let inside = |path: &Path| path.strip_prefix(dir.path(name)).unwrap().to_owned();
        files
            .filter(|(path, _)| !path.to_string_lossy().contains("argn-tmp"))
            .map(|(path, bytes)| (inside(&path), bytes))
            .collect()
    }

    /// Starts `fit --force` in a copy of the old workspace and kills it; whether it was still running.
    fn is_killed(&self, before: u64, workspace: &str) -> bool {
        copy(&self.dir.path("old"), &self.dir.path(workspace));
        let fit = ["fit", "new.csv", "-w", workspace, "--force", "--seed", "8"];
        let mut command = self.dir.command(&[&fit[..], &SHORT[..], &["1"]].concat());
        let output = command.env(ABORT_BEFORE, before.to_string()).output().unwrap();
        let is_killed = output.status.signal() == Some(ABORTED);
        assert!(
            is_killed || output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        is_killed
    }

    fn run(&self, arguments: &[&str], workspace: &str) -> Ended {
        let out = format!("{workspace}.argn");
        let mut arguments: Vec<&str> = arguments.to_vec();
        arguments
            .iter_mut()
            .filter(|a| **a == "OUT")
            .for_each(|a| *a = &out);
        if ["fit", "train"].contains(&arguments[0]) {
            arguments.extend(SHORT);
            arguments.push("1");
        }
        arguments.extend(["-w", workspace]);
        self.dir.run(&arguments)
    }

    /// Draws rows of what is there now.
    fn rows(&self, workspace: &str) -> Rows {
        let ended = self.run(&["sample", "-n", "40", "-o", "-", "-q"], workspace);
        if ended.code != 0 {
            assert_refusal(&ended);
            return Rows::Refused;
        }
        let rows = String::from_utf8(ended.out).unwrap();
        let cities = rows.lines().skip(1).map(|row| row.split(',').next().unwrap());
        let cities: Vec<&str> = cities.filter(|city| *city != "_RARE_").collect();
        let all_of = |set: [&str; 3]| cities.iter().all(|city| set.contains(city));
        assert!(all_of(OLD) || all_of(NEW), "a mix: {cities:?}");
        if all_of(OLD) { Rows::Old } else { Rows::New }
    }

    /// What a continuation may end with.
    fn check(&self, killed: &str, next: &[&str], is_untouched: bool) {
        let workspace = format!("{killed}-{}", next.join("-").replace(".csv", ""));
        copy(&self.dir.path(killed), &self.dir.path(&workspace));
        let ended = self.run(next, &workspace);
        if ended.code != 0 {
            assert_refusal(&ended);
        }
        let about = format!("{next:?} after a kill before change {killed}");
        let rows = self.rows(&workspace);
        let is_fit = next[0] == "fit" && ended.code == 0;
        match rows {
            // Only a workspace that nothing has touched yet is the old one, or one that learns the old table.
            Rows::Old => assert!(is_untouched || (is_fit && next[1] == "old.csv"), "{about}"),
            Rows::New => assert!(!is_untouched || next.contains(&"--force"), "{about}"),
            Rows::Refused => assert!(!is_fit, "{about}"),
        }
        let trains = ["fit", "train"].contains(&next[0]) && ended.code == 0;
        if trains && rows == Rows::New {
            let weights = self.dir.read(&format!("{workspace}/{WEIGHTS}"));
            assert!(weights == self.new_weights, "{about}: other weights");
        }
        fs::remove_dir_all(self.dir.path(&workspace)).unwrap();
    }
}

#[track_caller]
fn assert_refusal(ended: &Ended) {
    let says_what_to_do = ["argn ", "--force", "run "]
        .iter()
        .any(|part| ended.err.contains(part));
    assert!(ended.code == 4 && says_what_to_do, "{} {}", ended.code, ended.err);
}

#[test]
fn a_forced_fit_killed_before_any_change_never_ends_as_the_old_model() {
    if !cfg!(debug_assertions) {
        eprintln!("skipped: builds without debug assertions cannot be made to abort");
        return;
    }
    let test = Test::new();
    let (next, untouched, ends) = (AtomicU64::new(1), AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let change = next.fetch_add(1, Ordering::SeqCst);
            let workspace = change.to_string();
            if !test.is_killed(change, &workspace) {
                ends.lock().unwrap().push(change);
                return;
            }
            let is_untouched = Test::files(&test.dir, &workspace) == test.old;
            untouched.fetch_add(u64::from(is_untouched), Ordering::SeqCst);
            for continuation in CONTINUATIONS {
                test.check(&workspace, continuation, is_untouched);
            }
            fs::remove_dir_all(test.dir.path(&workspace)).unwrap();
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let ends = ends.into_inner().unwrap();
    assert_eq!(ends.len(), threads, "a thread has failed");
    let changes = ends.iter().min().unwrap() - 1;
    assert!(changes > 50, "{changes} changes");
    let untouched = untouched.into_inner();
    assert!(untouched <= 3, "{untouched} kills before anything was touched");
}
