//! What the tests of the command line share: a folder, a table, the program.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Flags that make a training short.
pub(crate) const SHORT: [&str; 6] = ["--max-epochs", "6", "--batch-size", "32", "--seed", "7"];

/// A temporary folder in which the program runs, so that file names in messages are short and known.
pub(crate) struct TestDir(TempDir);

/// How a run of the program ended.
pub(crate) struct Ended {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: Vec<u8>,
    /// Standard error.
    pub(crate) err: String,
}

impl TestDir {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A folder with the table `t.csv`.
    pub(crate) fn with_table() -> Self {
        let dir = Self::new();
        dir.write("t.csv", table(600));
        dir
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The program, about to run here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_argn"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    /// Runs the program.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().unwrap())
    }

    /// Runs the program, which must succeed.
    pub(crate) fn done(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "argn {arguments:?}: {}", ended.err);
        ended
    }

    /// The content of every file below a folder, by its path.
    pub(crate) fn files(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        gather(&self.path(name), &mut found);
        found
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            // A signal has no code; no test expects this one.
            code: output.status.code().unwrap_or(-1),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn gather(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, found);
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

/// A CSV of five columns: text, whole and decimal numbers, dates, nulls.
pub(crate) fn table(rows: u64) -> String {
    let mut text = "city,age,height,since,smoker\n".to_owned();
    let mut state = 12345u64;
    let mut below = |n: u64| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) % n
    };
    for _ in 0..rows {
        let city = ["Wien", "Graz", "Linz"][below(3) as usize];
        let smoker = ["yes", "no", ""][below(3) as usize];
        let (age, cm) = (18 + below(60), 150 + below(50));
        let (year, month, day) = (2010 + below(14), 1 + below(12), 1 + below(28));
        text += &format!(
            "{city},{age},{}.{:02},{year}-{month:02}-{day:02},{smoker}\n",
            cm / 100,
            cm % 100
        );
    }
    text
}
