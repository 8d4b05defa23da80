//! Finds cases by what they are: every folder, at any depth, that holds a `meta.json`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::compare::Outcome;
use crate::files;

/// A folder of inputs and outputs of mostlyai-engine.
#[derive(Debug)]
pub(crate) struct Case {
    /// Path of the folder below the folder of all cases, `sequences/long`.
    pub(crate) name: String,
    /// What is to be compared.
    pub(crate) kind: String,
    folder: PathBuf,
}

impl Case {
    /// Path of a file of the case.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Whether the case has a file.
    pub(crate) fn has(&self, file: &str) -> bool {
        self.path(file).is_file()
    }
}

/// All cases, by name.
pub(crate) fn cases() -> Outcome<Vec<Case>> {
    let root = root();
    let mut cases = Vec::new();
    collect(&root, &root, &mut cases)?;
    if cases.is_empty() {
        return Err(format!("no folder below {} holds a meta.json", root.display()).into());
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

fn root() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    match std::env::var_os("ENGINE_GOLDEN_DIR") {
        Some(folder) => workspace.join(folder),
        None => workspace.join("tests/fixtures/golden"),
    }
}

fn collect(root: &Path, folder: &Path, cases: &mut Vec<Case>) -> Outcome {
    let unreadable = |error| format!("the folder of golden cases {}: {error}", folder.display());
    if folder.join("meta.json").is_file() {
        let meta = files::json(&folder.join("meta.json"))?;
        let below = folder.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
        let name = if below.is_empty() {
            folder
                .canonicalize()?
                .file_name()
                .map(|n| n.to_string_lossy().into_owned())
        } else {
            Some(below)
        };
        cases.push(Case {
            name: name.unwrap_or_default(),
            kind: files::text(&meta, "kind")?.to_owned(),
            folder: folder.to_owned(),
        });
    }
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_dir() {
            collect(root, &path, cases)?;
        }
    }
    Ok(())
}
