//! Compiled kernels on disk, so that a second start need not compile. An entry appears whole or not at all, one that is damaged
//! is compiled again, and where nothing can be written all works without. What nobody uses any more is removed when another entry is
//! written.

mod cleaning;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::driver::nvrtc::{Nvrtc, Target};

/// Folder of the cache, when it shall not be the user's.
const FOLDER_VARIABLE: &str = "ENGINE_KERNEL_CACHE";

/// First bytes of an entry, the last one is the version of its layout.
const MAGIC: &[u8; 8] = b"ARGNKRN1";

/// 128-bit FNV-1a (Fowler, Noll, Vo): no secret, but it tells texts and damaged files apart.
#[derive(Debug, Clone, Copy)]
struct Fnv(u128);

impl Fnv {
    fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    /// Adds bytes and their number, so that neighbours cannot run into each other.
    fn add(mut self, bytes: &[u8]) -> Self {
        for byte in bytes.iter().copied().chain((bytes.len() as u64).to_le_bytes()) {
            self.0 ^= u128::from(byte);
            self.0 = self.0.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
        self
    }
}

/// What an entry depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The key of some files, compiled for a target with some definitions by a version of NVRTC.
    pub(crate) fn new(
        files: &[(&str, &str)],
        target: Target,
        definitions: &[&str],
        nvrtc: (u32, u32),
    ) -> Self {
        let mut hash = Fnv::new();
        for (name, text) in files {
            hash = hash.add(name.as_bytes()).add(text.as_bytes());
        }
        let options = Nvrtc::options(target);
        for option in options
            .iter()
            .map(String::as_str)
            .chain(definitions.iter().copied())
        {
            hash = hash.add(option.as_bytes());
        }
        Self(format!("{:032x}-{target}-nvrtc{}.{}", hash.0, nvrtc.0, nvrtc.1))
    }
}

/// The cache's folder, if there is one.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: Option<PathBuf>,
}

/// The folder that the environment asks for.
fn folder(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let users = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    set(FOLDER_VARIABLE).or_else(|| Some(users()?.join("argn").join("kernels")))
}

impl Cache {
    /// The cache that the environment asks for.
    pub(crate) fn from_environment() -> Self {
        Self {
            folder: folder(|name| std::env::var(name).ok()),
        }
    }

    fn path(&self, key: &Key) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}.bin", key.0)))
    }

    /// The entry of a key; none when it is missing or damaged.
    pub(crate) fn get(&self, key: &Key) -> Option<Vec<u8>> {
        let path = self.path(key)?;
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "no compiled kernels in the cache");
                return None;
            }
        };
        let image = unwrapped(&bytes);
        match image {
            Some(_) => cleaning::note_use(&path),
            None => tracing::debug!(path = %path.display(), "compiled kernels in the cache are damaged"),
        }
        image.map(<[u8]>::to_vec)
    }

    /// Keeps an entry. A failure is logged: the next start compiles again.
    pub(crate) fn put(&self, key: &Key, image: &[u8]) {
        let Some(path) = self.path(key) else {
            tracing::debug!("there is no folder for compiled kernels");
            return;
        };
        match write_whole(&path, &wrapped(image)) {
            Ok(()) => {
                tracing::debug!(path = %path.display(), "compiled kernels are kept");
                cleaning::clean(&path);
            }
            Err(error) => tracing::debug!(path = %path.display(), %error, "compiled kernels cannot be kept"),
        }
    }
}

/// An image with what tells whether it is whole.
fn wrapped(image: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(Fnv::new().add(image).0.to_le_bytes());
    bytes.extend(image);
    bytes
}

/// The image of an entry that is whole.
fn unwrapped(bytes: &[u8]) -> Option<&[u8]> {
    let (sum, image) = bytes.strip_prefix(MAGIC)?.split_at_checked(16)?;
    (sum == Fnv::new().add(image).0.to_le_bytes()).then_some(image)
}

/// Writes a file under a name of its own and gives it its name at last.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
    let write = || {
        let mut file = fs::File::create_new(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // What is left of it is worth nothing, and the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    const FILES: &[(&str, &str)] = &[("a.cu", "one"), ("b.cu", "two")];

    /// A folder of a test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("kernel-cache-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn cache(&self) -> Cache {
            Cache {
                folder: Some(self.0.join("below")),
            }
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.0.join("below")).unwrap();
            entries
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn key() -> Key {
        Key::new(FILES, Target::Cubin(90), &[], (12, 8))
    }

    #[test]
    fn fnv_agrees_with_its_published_values() {
        // Without the length that `add` appends.
        let plain = |text: &[u8]| {
            text.iter().fold(Fnv::new().0, |hash, byte| {
                (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
            })
        };
        assert_eq!(plain(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
    }

    #[test]
    fn keys_tell_all_apart_that_decides_about_the_code() {
        let moved: &[(&str, &str)] = &[("a.cu", "onet"), ("b.cu", "wo")];
        let renamed: &[(&str, &str)] = &[("c.cu", "one"), ("b.cu", "two")];
        let keys = [
            key(),
            Key::new(&FILES[..1], Target::Cubin(90), &[], (12, 8)),
            Key::new(moved, Target::Cubin(90), &[], (12, 8)),
            Key::new(renamed, Target::Cubin(90), &[], (12, 8)),
            Key::new(FILES, Target::Cubin(80), &[], (12, 8)),
            Key::new(FILES, Target::Ptx(90), &[], (12, 8)),
            Key::new(FILES, Target::Cubin(90), &["-DA"], (12, 8)),
            Key::new(FILES, Target::Cubin(90), &[], (12, 9)),
            Key::new(FILES, Target::Cubin(90), &[], (13, 8)),
        ];
        for (i, one) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|other| one != other), "{one:?}");
        }
        assert_eq!(key(), Key::new(FILES, Target::Cubin(90), &[], (12, 8)));
        assert!(key().0.ends_with("-sm_90-nvrtc12.8"), "{:?}", key());
    }

    #[test]
    fn the_environment_names_the_folder() {
        let with = |set: &[(&str, &str)]| {
            let set: Vec<_> = set
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect();
            folder(move |name| Some(set.iter().find(|(k, _)| k == name)?.1.clone()))
        };
        let home = ("HOME", "/somebody");
        assert_eq!(with(&[home]), Some("/somebody/.cache/argn/kernels".into()));
        assert_eq!(
            with(&[home, ("XDG_CACHE_HOME", "/x")]),
            Some("/x/argn/kernels".into())
        );
        assert_eq!(
            with(&[home, ("XDG_CACHE_HOME", "")]),
            Some("/somebody/.cache/argn/kernels".into())
        );
        assert_eq!(with(&[home, (FOLDER_VARIABLE, "/k")]), Some("/k".into()));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn entries_come_back_and_leave_nothing_else() {
        let folder = Folder::new("round");
        let cache = folder.cache();
        assert_eq!(cache.get(&key()), None);
        cache.put(&key(), b"image");
        cache.put(&key(), b"another image");
        assert_eq!(cache.get(&key()).as_deref(), Some(b"another image".as_slice()));
        assert_eq!(folder.names(), [format!("{}.bin", key().0)]);
        assert_eq!(cache.get(&Key::new(FILES, Target::Cubin(80), &[], (12, 8))), None);
    }

    #[test]
    fn damage_is_noticed() {
        let folder = Folder::new("damage");
        let cache = folder.cache();
        cache.put(&key(), b"image");
        let path = cache.path(&key()).unwrap();
        let whole = fs::read(&path).unwrap();
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(cache.get(&key()), None, "the first {len} bytes");
        }
        for byte in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.get(&key()), None, "byte {byte}");
        }
        fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
        assert_eq!(cache.get(&key()), None);
        cache.put(&key(), b"image");
        assert_eq!(cache.get(&key()).as_deref(), Some(b"image".as_slice()));
    }

    #[test]
    fn entries_that_are_not_used_are_removed_and_those_that_are_stay() {
        let folder = Folder::new("old");
        let cache = folder.cache();
        let keys = [80, 86, 90, 100].map(|sm| Key::new(FILES, Target::Cubin(sm), &[], (12, 8)));
        let days = |days: u64| SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
        let used = |key: &Key, time| {
            let file = fs::File::options().append(true).open(cache.path(key).unwrap());
            file.unwrap().set_modified(time).unwrap();
        };
        keys[..3].iter().for_each(|key| cache.put(key, b"image"));
        fs::write(folder.0.join("below").join("another's"), "file").unwrap();
        keys[..3].iter().for_each(|key| used(key, days(100)));
        assert!(cache.get(&keys[0]).is_some(), "this is a use");
        used(&keys[1], days(80));
        cache.put(&keys[3], b"image");
        let mut names = folder.names();
        names.sort();
        let mut expected: Vec<String> = [0, 1, 3].map(|i| format!("{}.bin", keys[i].0)).into();
        expected.push("another's".to_owned());
        expected.sort();
        assert_eq!(names, expected);
    }

    #[test]
    fn all_works_where_nothing_can_be_written() {
        let nowhere = Cache { folder: None };
        nowhere.put(&key(), b"image");
        assert_eq!(nowhere.get(&key()), None);
        let folder = Folder::new("file");
        fs::write(&folder.0, "a file where the folder would be").unwrap();
        folder.cache().put(&key(), b"image");
        assert_eq!(folder.cache().get(&key()), None);
        fs::remove_file(&folder.0).unwrap();
    }
}
