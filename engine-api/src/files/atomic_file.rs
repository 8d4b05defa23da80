//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::error::FileError;
use super::leftovers::{TEMPORARY_ENDING, claim, remove_leftovers};
use super::operations::count_change;
use super::rights::{ORDINARY_FILE, PRIVATE_FILE, keep_rights, permissions};
use super::{folder_of, resolved, sync_folder, temporary_prefix};

pub(super) const BUFFER_BYTES: usize = 1 << 17;

/// A buffered file that appears at its path only when [`AtomicFile::commit`] succeeds.
///
/// What is not a regular file (a device, a named pipe) is written directly, because a rename would replace it. A
/// symbolic link is followed, so the file that it points to is replaced and the link stays, also where there is no such file yet.
/// A file that is replaced keeps its rights and its owner. What a killed run left in the folder is removed.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    sink: Option<BufWriter<Sink>>,
}

#[derive(Debug)]
enum Sink {
    Temporary(NamedTempFile),
    Special(File),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Temporary(file) => file.as_file_mut().write(bytes),
            Self::Special(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AtomicFile {
    /// Starts a file that will replace whatever is at `path`.
    ///
    /// # Errors
    /// [`FileError`] when `path` is a folder, or its folder is missing or cannot be written to.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let target = resolved(path).map_err(|e| FileError::new(path, "write", e))?;
        let replaced = match fs::metadata(&target) {
            Ok(found) if found.is_dir() => {
                return Err(FileError::IsFolder {
                    path: path.to_owned(),
                });
            }
            Ok(found) => Some(found),
            Err(_) => None,
        };
        let sink = if replaced.as_ref().is_some_and(|found| !found.is_file()) {
            let file = File::options().write(true).open(&target);
            Sink::Special(file.map_err(|e| FileError::new(path, "write", e))?)
        } else {
            let file = temporary_file(&target, path, replaced.is_some())?;
            if let Some(replaced) = replaced {
                keep_rights(file.as_file(), &replaced).map_err(|e| FileError::new(path, "write", e))?;
            }
            Sink::Temporary(file)
        };
        Ok(Self {
            target,
            sink: Some(BufWriter::with_capacity(BUFFER_BYTES, sink)),
        })
    }

    /// The path that the file will have.
    pub fn path(&self) -> &Path {
        &self.target
    }

    /// Writes out what is buffered, syncs, renames and syncs the folder.
    ///
    /// # Errors
    /// [`FileError`], for instance when the disk is full; nothing is left behind then.
    pub fn commit(mut self) -> Result<(), FileError> {
        let Some(buffered) = self.sink.take() else {
            return Ok(());
        };
        let failed = |e| FileError::new(&self.target, "write", e);
        match buffered.into_inner().map_err(|e| failed(e.into_error()))? {
            Sink::Special(mut file) => file.flush().map_err(failed),
            Sink::Temporary(file) => {
                file.as_file().sync_all().map_err(failed)?;
                count_change();
                file.persist(&self.target).map_err(|e| failed(e.error))?;
                sync_folder(folder_of(&self.target))
            }
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Some(sink) => sink.write(bytes),
            None => Err(io::Error::other("the file is already committed")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // A dropped BufWriter would still write its buffer into a file that is about to be removed.
        if let Some(buffered) = self.sink.take() {
            drop(buffered.into_parts());
        }
    }
}

/// Writes `bytes` as the whole content of `path`, atomically.
///
/// # Errors
/// As [`AtomicFile::create`] and [`AtomicFile::commit`].
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)
        .map_err(|e| FileError::new(path, "write", e))?;
    file.commit()
}

fn temporary_file(target: &Path, asked: &Path, replaces: bool) -> Result<NamedTempFile, FileError> {
    let folder = folder_of(target);
    if !folder.exists() {
        return Err(FileError::FolderMissing {
            path: asked.to_owned(),
            folder: folder.to_owned(),
        });
    }
    // What cannot be tidied away is no reason not to write.
    let _ = remove_leftovers(folder);
    let prefix = temporary_prefix(target);
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(TEMPORARY_ENDING);
    let mode = if replaces { PRIVATE_FILE } else { ORDINARY_FILE };
    if let Some(granted) = permissions(mode) {
        builder.permissions(granted);
    }
    loop {
        count_change();
        let made = builder.tempfile_in(folder).map_err(|e| match e.kind() {
            io::ErrorKind::PermissionDenied => FileError::Denied {
                path: folder.to_owned(),
                action: "write to",
            },
            _ => FileError::new(asked, "write", e),
        })?;
        if claim(made.as_file(), made.path()) {
            return Ok(made);
        }
    }
}
