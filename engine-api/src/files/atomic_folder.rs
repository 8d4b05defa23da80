//! Folders that appear whole or not at all, and folders of private rows that go with their process.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::Builder;

use super::error::FileError;
use super::leftovers::{TEMPORARY_ENDING, claim, remove_leftovers};
use super::operations::{count_change, exchange, make_folders, remove_tree, rename};
use super::rights::{ORDINARY_FOLDER, PRIVATE_FOLDER, keep_rights, make_private, permissions};
use super::{folder_of, resolved, sync_folder, temporary_prefix};

/// A folder that is filled under a temporary name and takes the place of an older one by one rename.
#[derive(Debug)]
pub struct AtomicFolder {
    target: PathBuf,
    made: TemporaryFolder,
    replaced: Option<fs::Metadata>,
    is_private: bool,
}

impl AtomicFolder {
    /// Starts an empty folder that will replace whatever folder is at `path`, and keep its owner and rights; the folders above it
    /// are made. A symbolic link is followed and stays.
    ///
    /// # Errors
    /// [`FileError`] when `path` is a file or the folder above cannot be written to.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        Self::begin(path, false)
    }

    /// As [`Self::create`], for private rows: nobody but its owner may enter it or read what is in it, from the first moment on.
    ///
    /// # Errors
    /// Those of [`Self::create`].
    pub fn create_private(path: &Path) -> Result<Self, FileError> {
        Self::begin(path, true)
    }

    fn begin(path: &Path, is_private: bool) -> Result<Self, FileError> {
        let target = resolved(path).map_err(|e| FileError::new(path, "make", e))?;
        let replaced = fs::metadata(&target).ok();
        if replaced.as_ref().is_some_and(|found| !found.is_dir()) {
            return Err(FileError::IsFile {
                path: path.to_owned(),
            });
        }
        let above = folder_of(&target);
        make_folders(above).map_err(|e| FileError::new(above, "make", e))?;
        let mode = if is_private {
            PRIVATE_FOLDER
        } else {
            ORDINARY_FOLDER
        };
        let made = TemporaryFolder::begin(above, &temporary_prefix(&target), mode)
            .map_err(|e| FileError::new(path, "make", e))?;
        Ok(Self {
            target,
            made,
            replaced,
            is_private,
        })
    }

    /// Where to write the files of the folder until it is committed.
    pub fn path(&self) -> &Path {
        self.made.path()
    }

    /// Syncs the folder and puts it in the place of the older one, which is removed.
    ///
    /// The files in it must be synced already (those of [`super::AtomicFile`] are).
    ///
    /// # Errors
    /// [`FileError`]; the older folder is still there then.
    pub fn commit(self) -> Result<(), FileError> {
        let made = self.made.path();
        let granted = match &self.replaced {
            replaced if self.is_private => make_private(made, replaced.as_ref()),
            Some(replaced) => File::open(made).and_then(|made| keep_rights(&made, replaced)),
            None => Ok(()),
        };
        granted.map_err(|e| FileError::new(made, "write", e))?;
        sync_folder(made)?;
        let mut aside = made.as_os_str().to_owned();
        aside.push(TEMPORARY_ENDING);
        let moved = match self.target.exists() {
            true => exchange(made, &self.target, Path::new(&aside)),
            false => rename(made, &self.target),
        };
        moved.map_err(|e| FileError::new(&self.target, "replace", e))?;
        sync_folder(folder_of(&self.target))?;
        // Under the temporary name lies the older folder now, or nothing.
        self.made.close()
    }
}

/// The temporary folders of this process that are there.
static OWN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes the temporary folders of this process: for a program that ends at once, without dropping what it holds. What is being
/// written there fails from now on.
///
/// # Errors
/// [`FileError`] when something cannot be removed; the others are removed all the same.
pub fn remove_own_temporary_folders() -> Result<(), FileError> {
    let own = std::mem::take(&mut *OWN.lock().unwrap_or_else(PoisonError::into_inner));
    let removed = own
        .into_iter()
        .map(|path| remove_tree(&path).map_err(|e| FileError::new(path, "remove", e)));
    removed.fold(Ok(()), Result::and)
}

/// A folder for private rows that lives as long as its value: nobody but its owner may enter it, and what a killed run leaves is
/// removed by the next one.
#[derive(Debug)]
pub struct TemporaryFolder {
    path: PathBuf,
    /// Shows other processes that its maker lives.
    _lock: Option<File>,
}

impl TemporaryFolder {
    /// Makes one in the system's folder for temporary files.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be made.
    pub fn create() -> Result<Self, FileError> {
        let above = std::env::temp_dir();
        Self::begin(&above, ".argn.", PRIVATE_FOLDER).map_err(|e| FileError::new(above, "write to", e))
    }

    fn begin(above: &Path, prefix: &str, mode: u32) -> io::Result<Self> {
        // What cannot be tidied away is no reason not to go on.
        let _ = remove_leftovers(above);
        let mut builder = Builder::new();
        builder.prefix(prefix).suffix(TEMPORARY_ENDING);
        if let Some(granted) = permissions(mode) {
            builder.permissions(granted);
        }
        loop {
            count_change();
            let path = builder.tempdir_in(above)?.keep();
            let lock = File::open(&path).ok();
            if lock.as_ref().is_none_or(|lock| claim(lock, &path)) {
                OWN.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(path.clone());
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it with all that is in it.
    ///
    /// # Errors
    /// [`FileError`] when something in it cannot be removed.
    pub fn close(self) -> Result<(), FileError> {
        self.remove()
    }

    fn remove(&self) -> Result<(), FileError> {
        let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        own.retain(|path| *path != self.path);
        drop(own);
        remove_tree(&self.path).map_err(|e| FileError::new(&self.path, "remove", e))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if self.path.exists() && self.remove().is_err() {
            tracing::warn!(path = %self.path.display(), "the temporary folder cannot be removed");
        }
    }
}
