//! Who may read what is written.

use std::fs::{self, File, Permissions};
use std::io;
use std::path::Path;

/// Rights of an ordinary new file, less the process's mask.
pub(super) const ORDINARY_FILE: u32 = 0o666;
/// Rights of an ordinary new folder, less the process's mask.
pub(super) const ORDINARY_FOLDER: u32 = 0o777;
/// Rights of a file of private rows.
pub(super) const PRIVATE_FILE: u32 = 0o600;
/// Rights of a folder of private rows.
pub(super) const PRIVATE_FOLDER: u32 = 0o700;

/// Rights by their number, where the system has such.
pub(super) fn permissions(mode: u32) -> Option<Permissions> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    {
        let _ = mode;
        None
    }
}

/// Gives an open file or folder the owner and the rights of what it replaces. A user who may not give files away keeps them, and
/// a group that cannot be kept loses its rights.
pub(super) fn keep_rights(made: &File, replaced: &fs::Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
        let now = made.metadata()?;
        let mut mode = replaced.mode() & 0o7777;
        let (owner, group) = (replaced.uid(), replaced.gid());
        if (now.uid(), now.gid()) != (owner, group)
            && fchown(made, Some(owner), Some(group)).is_err()
            && fchown(made, None, Some(group)).is_err()
        {
            mode &= !0o7070;
        }
        made.set_permissions(Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (made, replaced);
    Ok(())
}

/// Takes all rights on a folder and on everything in it from everybody but its owner, who is that of what it replaces.
pub(super) fn make_private(path: &Path, replaced: Option<&fs::Metadata>) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => make_private(&entry.path(), replaced)?,
            false => restrict(&entry.path(), PRIVATE_FILE, replaced)?,
        }
    }
    restrict(path, PRIVATE_FOLDER, replaced)
}

fn restrict(path: &Path, mode: u32, replaced: Option<&fs::Metadata>) -> io::Result<()> {
    if let Some(permissions) = permissions(mode) {
        fs::set_permissions(path, permissions)?;
    }
    #[cfg(unix)]
    if let Some(replaced) = replaced {
        use std::os::unix::fs::{MetadataExt, chown};
        let now = fs::metadata(path)?;
        if (now.uid(), now.gid()) != (replaced.uid(), replaced.gid()) {
            // Only the superuser may give files away; everybody else keeps what is his.
            let _ = chown(path, Some(replaced.uid()), Some(replaced.gid()));
        }
    }
    #[cfg(not(unix))]
    let _ = replaced;
    Ok(())
}
