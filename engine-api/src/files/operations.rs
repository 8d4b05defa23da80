//! The changes of the file system: every file, folder and name that is made, moved or removed passes here.
//!
//! Builds for tests can be set to end at any of them as a kill would, so that a test can look at what each leaves behind.

use std::fs;
use std::io;
use std::path::Path;

/// The variable with the number, from 1, of the change before which a build for tests aborts.
#[cfg(debug_assertions)]
const ABORT_BEFORE: &str = "ARGN_ABORT_BEFORE_CHANGE";

/// Counts a change that is about to happen.
#[cfg(debug_assertions)]
pub(super) fn count_change() {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static LAST: OnceLock<Option<u64>> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let last = LAST.get_or_init(|| std::env::var(ABORT_BEFORE).ok()?.parse().ok());
    if last.is_some_and(|last| COUNT.fetch_add(1, Ordering::SeqCst) + 1 >= last) {
        std::process::abort();
    }
}

#[cfg(not(debug_assertions))]
pub(super) fn count_change() {}

pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    count_change();
    fs::rename(from, to)
}

pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    count_change();
    fs::create_dir(path)
}

/// Makes a folder and those above it; one that is there already is none the worse.
pub(super) fn make_folders(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        make_folders(above)?;
    }
    match make_folder(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Removes a file; one that is gone is none the worse.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    count_change();
    ignore_missing(fs::remove_file(path))
}

/// Removes an empty folder; one that is gone is none the worse.
pub(super) fn remove_empty(path: &Path) -> io::Result<()> {
    count_change();
    ignore_missing(fs::remove_dir(path))
}

/// Removes a folder with all that is in it. Links in it go, what they lead to stays.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => remove_tree(&entry.path())?,
            false => remove_file(&entry.path())?,
        }
    }
    remove_empty(path)
}

fn ignore_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Swaps two folders: in one step where the system can, else by three renames.
pub(super) fn exchange(made: &Path, target: &Path, aside: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        count_change();
        match renameat_with(CWD, made, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            // Some network file systems cannot swap.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {}
            Err(e) => return Err(e.into()),
        }
    }
    rename(target, aside)?;
    if let Err(e) = rename(made, target) {
        rename(aside, target)?;
        return Err(e);
    }
    rename(aside, made)
}
