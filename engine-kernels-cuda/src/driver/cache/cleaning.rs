//! Entries that nobody uses any more: each version of the program, of NVRTC and of a device leaves one of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Entries that were not used for so long are removed.
const LONGEST_UNUSED: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Bytes of all entries together; beyond them, those that were not used for longest are removed.
const MAX_BYTES: u64 = 256 << 20;

/// A file of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    used: SystemTime,
    bytes: u64,
}

/// Notes that an entry is used, to the day; a folder that cannot be written stays as it is.
pub(super) fn note_use(path: &Path) {
    let note = || {
        let file = fs::File::options().append(true).open(path)?;
        let now = SystemTime::now();
        if age(file.metadata()?.modified()?, now) >= DAY {
            file.set_modified(now)?;
        }
        io::Result::Ok(())
    };
    if let Err(error) = note() {
        tracing::debug!(path = %path.display(), %error, "that compiled kernels are used is not noted");
    }
}

/// Removes what has not been used for long, or is too much; never `newest`.
pub(super) fn clean(newest: &Path) {
    let Some(folder) = newest.parent() else { return };
    let entries = match entries(folder) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::debug!(folder = %folder.display(), %error, "old compiled kernels are not looked for");
            return;
        }
    };
    for path in unneeded(entries, newest, SystemTime::now()) {
        match fs::remove_file(&path) {
            Ok(()) => tracing::debug!(path = %path.display(), "old compiled kernels are removed"),
            Err(error) => tracing::debug!(path = %path.display(), %error, "old compiled kernels stay"),
        }
    }
}

/// How long ago it was; a time in the future is now.
fn age(time: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(time).unwrap_or_default()
}

/// Whether a file has a name that the cache gives: a hash, and what it was compiled for.
fn is_ours(name: &OsStr) -> bool {
    let Some((hash, rest)) = name.to_str().and_then(|name| name.split_once('-')) else {
        return false;
    };
    let is_hash = hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash && rest.contains("-nvrtc") && (rest.ends_with(".bin") || rest.ends_with(".tmp"))
}

/// The files of the cache in a folder.
fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let (metadata, name) = (file.metadata(), file.file_name());
        // Another process may have removed it meanwhile.
        let Ok(metadata) = metadata else { continue };
        if metadata.is_file() && is_ours(&name) {
            entries.push(Entry {
                path: file.path(),
                used: metadata.modified()?,
                bytes: metadata.len(),
            });
        }
    }
    Ok(entries)
}

/// What is to be removed, the last used first.
fn unneeded(mut entries: Vec<Entry>, newest: &Path, now: SystemTime) -> Vec<PathBuf> {
    let is_temporary = |entry: &Entry| entry.path.extension() == Some(OsStr::new("tmp"));
    // The one that was just written counts first, whatever the clock of the disk says.
    entries.sort_by_key(|entry| (entry.path != newest, age(entry.used, now)));
    let mut bytes = 0;
    let mut unneeded = Vec::new();
    for entry in entries {
        let unused = age(entry.used, now);
        let goes = if is_temporary(&entry) {
            // Of a process that did not come to its end; one that still writes needs seconds.
            unused >= DAY
        } else {
            bytes += entry.bytes;
            entry.path != newest && (unused >= LONGEST_UNUSED || bytes > MAX_BYTES)
        };
        if goes {
            unneeded.push(entry.path);
        }
    }
    unneeded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> String {
        format!("{number:032x}-sm_90-nvrtc12.8")
    }

    fn entry(number: u32, days: u64, bytes: u64) -> Entry {
        Entry {
            path: PathBuf::from(format!("{}.bin", name(number))),
            used: now() - DAY * u32::try_from(days).unwrap(),
            bytes,
        }
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * 20_000
    }

    /// Numbers of the entries that are removed.
    fn removed(entries: &[Entry], newest: u32) -> Vec<u32> {
        let newest = entry(newest, 0, 0).path;
        let paths = unneeded(entries.to_vec(), &newest, now());
        let number = |path: &PathBuf| u32::from_str_radix(&path.to_str().unwrap()[..32], 16).unwrap();
        paths.iter().map(number).collect()
    }

    #[test]
    fn what_was_not_used_for_ninety_days_goes() {
        let entries = [
            entry(1, 0, 10),
            entry(2, 89, 10),
            entry(3, 90, 10),
            entry(4, 400, 10),
        ];
        assert_eq!(removed(&entries, 1), [3, 4]);
        assert_eq!(removed(&entries, 4), [3], "what was just written stays");
    }

    #[test]
    fn beyond_the_limit_the_longest_unused_go() {
        let third = MAX_BYTES / 3;
        let entries = [
            entry(1, 3, third),
            entry(2, 1, third),
            entry(3, 2, third),
            entry(4, 4, third),
        ];
        assert_eq!(removed(&entries, 2), [4]);
        assert_eq!(removed(&entries, 4), [1], "what was just written counts first");
        let large = [entry(1, 0, 2 * MAX_BYTES), entry(2, 1, 1)];
        assert_eq!(removed(&large, 1), [2]);
    }

    #[test]
    fn a_clock_that_was_set_back_removes_nothing() {
        let later = Entry {
            used: now() + DAY * 1000,
            ..entry(1, 0, 10)
        };
        assert!(removed(&[later, entry(2, 0, 10)], 2).is_empty());
    }

    #[test]
    fn remains_of_a_killed_process_go_after_a_day() {
        let temporary = |number, days| Entry {
            path: PathBuf::from(format!("{}.12-0.tmp", name(number))),
            ..entry(number, days, 10)
        };
        assert_eq!(
            removed(&[temporary(1, 0), temporary(2, 1), entry(3, 0, 1)], 3),
            [2]
        );
    }

    #[test]
    fn only_files_of_the_cache_are_touched() {
        for ours in [format!("{}.bin", name(1)), format!("{}.12-0.tmp", name(1))] {
            assert!(is_ours(OsStr::new(&ours)), "{ours}");
        }
        for other in [
            "table.bin",
            "notes-sm_90-nvrtc12.8.bin",
            "0-nvrtc.bin",
            &name(1),
            ".",
            "",
        ] {
            assert!(!is_ours(OsStr::new(other)), "{other}");
        }
    }
}
