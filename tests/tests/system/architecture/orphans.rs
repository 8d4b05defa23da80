//! Source files that no `mod` names: the compiler never sees them, so they rot.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether a file below the folder `src` is the root of a crate, or some module declares it.
pub(crate) fn is_declared(src: &Path, file: &Path) -> bool {
    let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
    let folder = file.parent().unwrap();
    let is_root = folder == src && (stem == "lib" || stem == "main");
    if is_root || folder == src.join("bin") {
        return true;
    }
    let (name, folder) = if stem == "mod" {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        (name, folder.parent().unwrap())
    } else {
        (stem, folder)
    };
    let parents = ["lib.rs", "main.rs", "mod.rs"].map(|parent| folder.join(parent));
    let beside: PathBuf = folder.with_extension("rs");
    parents.iter().chain([&beside]).any(|parent| {
        let text = fs::read_to_string(parent).unwrap_or_default();
        text.lines().any(|line| declares(line, &name))
    })
}

fn declares(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with("//") {
        return false;
    }
    let declared = line
        .split_once("mod ")
        .map(|(_, rest)| rest.trim_end_matches([';', '{', ' ']));
    declared.is_some_and(|found| found == name && line.ends_with(';'))
}

#[test]
fn a_file_without_a_module_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let src = folder.path();
    for (file, text) in [
        ("lib.rs", "pub(crate) mod a;\n// mod lost;\nmod inline { }\n"),
        ("a.rs", "mod deep;"),
        ("a/deep.rs", ""),
        ("lost.rs", ""),
        ("inline.rs", ""),
        ("b/mod.rs", ""),
    ] {
        let path = src.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = ["lib.rs", "a.rs", "a/deep.rs", "lost.rs", "inline.rs", "b/mod.rs"];
    let found = found.map(|file| is_declared(src, &src.join(file)));
    assert_eq!(found, [true, true, true, false, false, false]);
}
