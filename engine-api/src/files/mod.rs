//! Files that appear whole or not at all: a temporary name in the same folder, synced, renamed, and the folder synced. What
//! killed runs have left under such names is removed, and what holds private rows is its owner's alone.

mod atomic_file;
mod atomic_folder;
mod error;
mod leftovers;
mod operations;
mod rights;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

pub use atomic_file::{AtomicFile, write_atomically};
pub use atomic_folder::{AtomicFolder, TemporaryFolder, remove_own_temporary_folders};
pub use error::FileError;
pub use leftovers::remove_leftovers;
pub(crate) use leftovers::remove_leftovers_of_all;

/// Opens a file for reading.
///
/// # Errors
/// [`FileError`] when it is missing, a folder, or may not be read.
pub fn open(path: &Path) -> Result<File, FileError> {
    let file = File::open(path).map_err(|e| FileError::new(path, "read", e))?;
    match file.metadata() {
        Ok(found) if found.is_dir() => Err(FileError::IsFolder {
            path: path.to_owned(),
        }),
        Ok(_) => Ok(file),
        Err(e) => Err(FileError::new(path, "read", e)),
    }
}

/// Makes a folder in one that is there.
pub(crate) fn make_folder(path: &Path) -> Result<(), FileError> {
    operations::make_folder(path).map_err(|e| FileError::new(path, "make", e))
}

/// Makes a folder and those above it, as far as they are not there.
pub(crate) fn make_folders(path: &Path) -> Result<(), FileError> {
    operations::make_folders(path).map_err(|e| FileError::new(path, "make", e))
}

/// Removes a file, if it is there, and makes that last.
pub(crate) fn remove_file(path: &Path) -> Result<(), FileError> {
    if fs::symlink_metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
        return Ok(());
    }
    operations::remove_file(path).map_err(|e| FileError::new(path, "remove", e))?;
    sync_folder(folder_of(path))
}

/// Removes a folder if it is empty.
pub(crate) fn remove_if_empty(path: &Path) {
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()) {
        let _ = operations::remove_empty(path);
    }
}

/// Removes a folder with everything in it, if it is there, and makes that last. It is gone by one rename, before what is in it
/// goes. Where a symbolic link leads to it both go.
///
/// # Errors
/// [`FileError`] when something in it cannot be removed.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    let failed = |path: &Path, e| FileError::new(path, "remove", e);
    let is_link = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|e| failed(path, e))?.is_symlink(),
    };
    let folder = match is_link {
        true => resolved(path).map_err(|e| failed(path, e))?,
        false => path.to_owned(),
    };
    if folder.is_dir() {
        let above = folder_of(&folder);
        let mut name = tempfile::Builder::new();
        let prefix = temporary_prefix(&folder);
        name.prefix(&prefix).suffix(leftovers::TEMPORARY_ENDING);
        let moved = name.make_in(above, |to| operations::rename(&folder, to));
        let doomed = match moved.map(|moved| moved.into_temp_path().keep()) {
            Ok(Ok(doomed)) => {
                sync_folder(above)?;
                doomed
            }
            // Where the folder itself cannot be moved, what is in it may still be removed.
            _ => folder.clone(),
        };
        operations::remove_tree(&doomed).map_err(|e| failed(&doomed, e))?;
        sync_folder(above)?;
    }
    if is_link {
        operations::remove_file(path).map_err(|e| failed(path, e))?;
        sync_folder(folder_of(path))?;
    }
    Ok(())
}

/// Syncs a folder, so that the names in it survive a power cut.
///
/// # Errors
/// [`FileError`] when the system reports one.
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let synced = File::open(folder).and_then(|opened| opened.sync_all());
    synced.map_err(|e| FileError::new(folder, "sync", e))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Where a path leads when all links are followed, also that to something which is not there yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let mut path = path.to_owned();
    // As many links as Linux follows; what goes in circles was an error already.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(to) => path = folder_of(&path).join(to),
            Err(_) => break,
        }
    }
    Ok(path)
}

fn temporary_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!(".{}.", name.to_string_lossy())
}
