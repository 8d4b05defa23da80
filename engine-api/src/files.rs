//! Files that appear whole or not at all: a temporary name in the same folder, synced, renamed, and the folder synced.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempDir};
use thiserror::Error;

/// Ending of every temporary name, so that [`remove_leftovers`] knows what a killed run left behind.
const TEMPORARY_ENDING: &str = ".argn-tmp";
const BUFFER_BYTES: usize = 1 << 17;

/// Why a file or folder could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// There is no such file or folder.
    #[error("{}: there is no such file or folder; check the path", path.display())]
    Missing {
        /// What was looked for.
        path: PathBuf,
    },
    /// The folder that a file is to be written to does not exist.
    #[error("{}: the folder {} does not exist; make it first or choose another path", path.display(), folder.display())]
    FolderMissing {
        /// The file that was to be written.
        path: PathBuf,
        /// The folder that is missing.
        folder: PathBuf,
    },
    /// The system does not allow it.
    #[error("{}: no permission to {action} it; change its permissions or choose another path", path.display())]
    Denied {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, for instance `write`.
        action: &'static str,
    },
    /// The file system cannot be written to.
    #[error("{}: the file system is read-only; choose another path", path.display())]
    ReadOnly {
        /// The file or folder.
        path: PathBuf,
    },
    /// The disk or the quota is full.
    #[error("{}: the disk is full; free some space or choose another path, then run again", path.display())]
    DiskFull {
        /// The file that did not fit.
        path: PathBuf,
    },
    /// A folder is where a file was expected.
    #[error("{}: this is a folder; give the path of a file", path.display())]
    IsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A file is where a folder was expected.
    #[error("{}: this is a file; give the path of a folder", path.display())]
    IsFile {
        /// The file.
        path: PathBuf,
    },
    /// Whoever read a pipe has closed it. For a command this is success.
    #[error("{}: the reader has closed the pipe", path.display())]
    Closed {
        /// Name of the pipe.
        path: PathBuf,
    },
    /// Everything else that the system reports.
    #[error("{}: cannot {action} it: {source}", path.display())]
    Other {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, for instance `write`.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl FileError {
    /// Puts path and action to an error of the system.
    pub fn new(path: impl Into<PathBuf>, action: &'static str, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::PermissionDenied => Self::Denied { path, action },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::IsADirectory => Self::IsFolder { path },
            io::ErrorKind::NotADirectory => Self::IsFile { path },
            io::ErrorKind::BrokenPipe => Self::Closed { path },
            _ => Self::Other { path, action, source },
        }
    }
}

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

/// A buffered file that appears at its path only when [`AtomicFile::commit`] succeeds.
///
/// What is not a regular file (a device, a named pipe) is written directly, because a rename would replace it. A
/// symbolic link is followed, so the file that it points to is replaced and the link stays.
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
        let target = match fs::canonicalize(path) {
            Ok(resolved) => resolved,
            Err(e) if e.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(e) => return Err(FileError::new(path, "write", e)),
        };
        let special = match fs::metadata(&target) {
            Ok(found) if found.is_dir() => {
                return Err(FileError::IsFolder {
                    path: path.to_owned(),
                });
            }
            Ok(found) => !found.is_file(),
            Err(_) => false,
        };
        let sink = if special {
            let file = File::options().write(true).open(&target);
            Sink::Special(file.map_err(|e| FileError::new(path, "write", e))?)
        } else {
            Sink::Temporary(temporary_file(&target, path)?)
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

/// A folder that is filled under a temporary name and takes the place of an older one by one rename.
#[derive(Debug)]
pub struct AtomicFolder {
    target: PathBuf,
    temporary: TempDir,
}

impl AtomicFolder {
    /// Starts an empty folder that will replace whatever folder is at `path`; the folders above it are made.
    ///
    /// # Errors
    /// [`FileError`] when `path` is a file or the folder above cannot be written to.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        if path.is_file() {
            return Err(FileError::IsFile {
                path: path.to_owned(),
            });
        }
        let above = folder_of(path);
        fs::create_dir_all(above).map_err(|e| FileError::new(above, "make", e))?;
        let prefix = temporary_prefix(path);
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(TEMPORARY_ENDING);
        if let Some(granted) = permissions(0o777) {
            builder.permissions(granted);
        }
        let temporary = builder
            .tempdir_in(above)
            .map_err(|e| FileError::new(path, "make", e))?;
        Ok(Self {
            target: path.to_owned(),
            temporary,
        })
    }

    /// Where to write the files of the folder until it is committed.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Syncs the folder and puts it in the place of the older one, which is removed.
    ///
    /// The files in it must be synced already (those of [`AtomicFile`] are).
    ///
    /// # Errors
    /// [`FileError`]; the older folder is still there then.
    pub fn commit(self) -> Result<(), FileError> {
        let made = self.temporary.path();
        sync_folder(made)?;
        let exists = self.target.exists();
        let moved = if exists {
            exchange(made, &self.target)
        } else {
            fs::rename(made, &self.target)
        };
        moved.map_err(|e| FileError::new(&self.target, "replace", e))?;
        sync_folder(folder_of(&self.target))?;
        if exists {
            // Under the temporary name lies the older folder now.
            let older = self.temporary.path().to_owned();
            return self
                .temporary
                .close()
                .map_err(|e| FileError::new(older, "remove", e));
        }
        let _ = self.temporary.keep();
        Ok(())
    }
}

/// Removes temporary files and folders that a killed run left directly in `folder`; returns how many.
///
/// # Errors
/// [`FileError`] when the folder cannot be read or one of them cannot be removed.
pub fn remove_leftovers(folder: &Path) -> Result<usize, FileError> {
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(|e| FileError::new(folder, "read", e))? {
        let entry = entry.map_err(|e| FileError::new(folder, "read", e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !(name.starts_with('.') && name.ends_with(TEMPORARY_ENDING)) {
            continue;
        }
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
        let gone = if is_folder {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        gone.map_err(|e| FileError::new(path, "remove", e))?;
        removed += 1;
    }
    Ok(removed)
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

fn temporary_prefix(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    format!(".{}.", name.to_string_lossy())
}

fn temporary_file(target: &Path, asked: &Path) -> Result<NamedTempFile, FileError> {
    let folder = folder_of(target);
    if !folder.exists() {
        return Err(FileError::FolderMissing {
            path: asked.to_owned(),
            folder: folder.to_owned(),
        });
    }
    let prefix = temporary_prefix(target);
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(TEMPORARY_ENDING);
    if let Some(granted) = permissions(0o666) {
        builder.permissions(granted);
    }
    builder.tempfile_in(folder).map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => FileError::Denied {
            path: folder.to_owned(),
            action: "write to",
        },
        _ => FileError::new(asked, "write", e),
    })
}

/// The rights of an ordinary new file or folder (less the process's mask) in place of the private ones of `tempfile`.
fn permissions(mode: u32) -> Option<fs::Permissions> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    {
        let _ = mode;
        None
    }
}

/// Swaps two folders: in one step where the system can, else by two renames.
fn exchange(made: &Path, target: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, made, CWD, target, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(()),
            // Some network file systems cannot swap.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let mut aside = made.as_os_str().to_owned();
    aside.push(TEMPORARY_ENDING);
    let aside = PathBuf::from(aside);
    fs::rename(target, &aside)?;
    if let Err(e) = fs::rename(made, target) {
        fs::rename(&aside, target)?;
        return Err(e);
    }
    fs::rename(&aside, made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_only_when_committed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"one").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_dropped_file_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.txt");
        write_atomically(&path, b"old").unwrap();
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(&vec![b'x'; 3 * BUFFER_BYTES]).unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a.txt"]);
    }

    #[test]
    fn a_folder_replaces_the_older_one_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("stage");
        for round in ["first", "second"] {
            let made = AtomicFolder::create(&path).unwrap();
            write_atomically(&made.path().join(round), round.as_bytes()).unwrap();
            made.commit().unwrap();
            assert_eq!(names(&path), [round]);
        }
        assert_eq!(names(&folder.path().join("deep")), ["stage"]);
    }

    #[test]
    fn a_dropped_folder_leaves_the_older_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stage");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("old"), b"").unwrap();
        let made = AtomicFolder::create(&path).unwrap();
        fs::write(made.path().join("new"), b"").unwrap();
        drop(made);
        assert_eq!(names(&path), ["old"]);
        assert_eq!(names(folder.path()), ["stage"]);
    }

    #[test]
    fn leftovers_of_a_killed_run_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let kept = AtomicFile::create(&folder.path().join("a.csv")).unwrap();
        std::mem::forget(kept);
        std::mem::forget(AtomicFolder::create(&folder.path().join("stage")).unwrap());
        fs::write(folder.path().join(".hidden"), b"").unwrap();
        assert_eq!(names(folder.path()).len(), 3);
        assert_eq!(remove_leftovers(folder.path()).unwrap(), 2);
        assert_eq!(names(folder.path()), [".hidden"]);
    }

    #[cfg(unix)]
    #[test]
    fn new_files_have_ordinary_rights_and_links_stay() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        fs::write(&plain, b"").unwrap();
        let target = folder.path().join("target");
        let link = folder.path().join("link");
        fs::write(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_atomically(&link, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&target), mode(&plain));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_said_and_a_device_is_not_replaced() {
        let error = write_atomically(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/dev/full: the disk is full; free some space or choose another path, then run again"
        );
        assert!(!fs::metadata("/dev/full").unwrap().is_file());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_nobody_can_write_to_is_said() {
        // Not even the superuser can make files there, so the test holds for everybody.
        let said = AtomicFile::create(Path::new("/sys/t.csv"))
            .unwrap_err()
            .to_string();
        let denied = "/sys: no permission to write to it; change its permissions or choose another path";
        let read_only = "/sys/t.csv: the file system is read-only; choose another path";
        assert!(said == denied || said == read_only, "{said}");
    }

    #[test]
    fn wrong_paths_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let shown = folder.path().display();
        let error = AtomicFile::create(folder.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{shown}: this is a folder; give the path of a file")
        );
        let error = AtomicFile::create(&folder.path().join("no/a.csv")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{shown}/no/a.csv: the folder {shown}/no does not exist; make it first or choose another path"
            )
        );
        let error = open(&folder.path().join("b.csv")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{shown}/b.csv: there is no such file or folder; check the path")
        );
        let error = open(folder.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{shown}: this is a folder; give the path of a file")
        );
        fs::write(folder.path().join("f"), b"").unwrap();
        let error = AtomicFolder::create(&folder.path().join("f")).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{shown}/f: this is a file; give the path of a folder")
        );
    }

    #[test]
    fn errors_of_the_system_have_their_own_words() {
        let said = |kind: io::ErrorKind| FileError::new("f", "write", io::Error::from(kind)).to_string();
        assert_eq!(
            said(io::ErrorKind::PermissionDenied),
            "f: no permission to write it; change its permissions or choose another path"
        );
        assert_eq!(
            said(io::ErrorKind::ReadOnlyFilesystem),
            "f: the file system is read-only; choose another path"
        );
        assert_eq!(
            said(io::ErrorKind::BrokenPipe),
            "f: the reader has closed the pipe"
        );
        assert_eq!(said(io::ErrorKind::TimedOut), "f: cannot write it: timed out");
    }
}
