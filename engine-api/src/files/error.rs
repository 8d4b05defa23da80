//! Why the file system refused.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

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
    /// The reader of a pipe has closed it. For a command this is success.
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
