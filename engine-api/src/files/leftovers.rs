//! What killed runs leave behind, as against what living ones are at.
//!
//! Whatever is made under a temporary name is locked as long as its maker lives; the system takes the lock away with the
//! process, however that ends. So what bears such a name, is the user's own and can be locked is abandoned. Where the
//! file system knows no locks this cannot be decided, and nothing is removed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::error::FileError;
use super::operations::{remove_file, remove_tree};

/// Ending of every temporary name.
pub(super) const TEMPORARY_ENDING: &str = ".argn-tmp";

/// Removes temporary files and folders that a killed run of the same user left directly in `folder`; returns how many. Those of
/// living processes stay.
///
/// # Errors
/// [`FileError`] when the folder cannot be read or one of them cannot be removed.
pub fn remove_leftovers(folder: &Path) -> Result<usize, FileError> {
    remove_leftovers_of(folder, is_own)
}

/// As [`remove_leftovers`], of any process: for folders in which only one's own work lies.
///
/// # Errors
/// Those of [`remove_leftovers`].
pub(crate) fn remove_leftovers_of_all(folder: &Path) -> Result<usize, FileError> {
    remove_leftovers_of(folder, |_| true)
}

fn remove_leftovers_of(folder: &Path, is_ours: impl Fn(&fs::Metadata) -> bool) -> Result<usize, FileError> {
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(|e| FileError::new(folder, "read", e))? {
        let entry = entry.map_err(|e| FileError::new(folder, "read", e))?;
        if !is_temporary(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let Some((is_folder, _lock)) = taken(&path, &is_ours) else {
            continue;
        };
        let gone = match is_folder {
            true => remove_tree(&path),
            false => remove_file(&path),
        };
        gone.map_err(|e| FileError::new(path, "remove", e))?;
        removed += 1;
    }
    Ok(removed)
}

fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') && name.ends_with(TEMPORARY_ENDING)
}

/// Takes the lock of a leftover, and says whether it is a folder; `None` when it is none, or not surely one.
fn taken(path: &Path, is_ours: &impl Fn(&fs::Metadata) -> bool) -> Option<(bool, File)> {
    let found = fs::symlink_metadata(path).ok()?;
    if !(found.is_file() || found.is_dir()) || !is_ours(&found) {
        return None;
    }
    let opened = open_as_it_is(path).ok()?;
    opened.try_lock().ok()?;
    Some((found.is_dir(), opened))
}

#[cfg(unix)]
fn is_own(found: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(found) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &fs::Metadata) -> bool {
    true
}

/// Opens what is there itself, not what a link that has come in its place leads to.
fn open_as_it_is(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    options.open(path)
}

/// Locks what was just made, so that nobody takes it for a leftover; whether it is still there. In the moment before the lock it
/// might have been.
pub(super) fn claim(made: &File, path: &Path) -> bool {
    // Where nothing can be locked nothing is removed either.
    let _ = made.lock();
    match (made.metadata(), fs::symlink_metadata(path)) {
        (Ok(made), Ok(found)) => is_same(&made, &found),
        _ => false,
    }
}

#[cfg(unix)]
fn is_same(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
fn is_same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}
