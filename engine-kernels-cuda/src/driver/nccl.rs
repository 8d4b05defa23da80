//! NCCL, which sums buffers over the GPUs of a machine. Bound here, as its functions are few and the same in all versions: the crate
//! that binds the driver looks for `libnccl.so` alone, which only development packages install, and panics without it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use libloading::Library;

use crate::driver::DevicePtr;
use crate::driver::context::Context;
use crate::error::CudaError;

/// The library, or a folder that holds it or Python packages with it.
const LIBRARY_VARIABLE: &str = "ENGINE_NCCL";

/// Name of the library in all versions since 2.0.
const NAME: &str = "libnccl.so.2";

/// How long giving up waits for a call that is being made in another thread.
const PATIENCE: Duration = Duration::from_secs(2);

/// `ncclFloat32` and `ncclSum`.
const FLOAT32: c_int = 7;
const SUM: c_int = 0;

type Comm = *mut c_void;
type Status = c_int;

/// The functions that are called.
#[derive(Clone, Copy)]
struct Functions {
    error_string: unsafe extern "C" fn(Status) -> *const c_char,
    version: unsafe extern "C" fn(*mut c_int) -> Status,
    init_all: unsafe extern "C" fn(*mut Comm, c_int, *const c_int) -> Status,
    all_reduce:
        unsafe extern "C" fn(*const c_void, *mut c_void, usize, c_int, c_int, Comm, *mut c_void) -> Status,
    abort: unsafe extern "C" fn(Comm) -> Status,
    destroy: unsafe extern "C" fn(Comm) -> Status,
}

/// The loaded library. It is never unloaded: it has threads of its own.
struct Nccl {
    functions: Functions,
    _library: Library,
}

/// Where the library may be: the variable alone, else the system's libraries.
fn candidates(named: Option<PathBuf>) -> Vec<PathBuf> {
    let Some(named) = named else {
        return vec![PathBuf::from(NAME)];
    };
    let folders = ["", "lib64", "lib", "nvidia/nccl/lib"].map(|part| named.join(part).join(NAME));
    let found: Vec<PathBuf> = folders.into_iter().filter(|file| file.is_file()).collect();
    if found.is_empty() { vec![named] } else { found }
}

fn symbol<T: Copy>(library: &Library, name: &'static str) -> Result<T, CudaError> {
    // SAFETY: callers ask for functions with the types of NCCL's documentation, the same since 2.4.
    let found = unsafe { library.get::<T>(name.as_bytes()) };
    found.map(|f| *f).map_err(|_| CudaError::Nccl {
        call: name,
        reason: "the library lacks it".to_owned(),
    })
}

fn load(candidates: &[PathBuf]) -> Result<Nccl, CudaError> {
    // SAFETY: this is the name of NVIDIA's library, or what the user names; its initialisers are trusted as those of the driver.
    let library = candidates
        .iter()
        .find_map(|file| unsafe { Library::new(file) }.ok());
    let library = library.ok_or_else(|| {
        let tried = candidates.iter().map(|file| file.display().to_string());
        CudaError::NoNccl {
            tried: tried.collect::<Vec<_>>().join(", "),
        }
    })?;
    let functions = Functions {
        error_string: symbol(&library, "ncclGetErrorString")?,
        version: symbol(&library, "ncclGetVersion")?,
        init_all: symbol(&library, "ncclCommInitAll")?,
        all_reduce: symbol(&library, "ncclAllReduce")?,
        abort: symbol(&library, "ncclCommAbort")?,
        destroy: symbol(&library, "ncclCommDestroy")?,
    };
    Ok(Nccl {
        functions,
        _library: library,
    })
}

impl Nccl {
    /// The library of this process.
    fn get() -> Result<&'static Self, CudaError> {
        static LOADED: OnceLock<Nccl> = OnceLock::new();
        if let Some(loaded) = LOADED.get() {
            return Ok(loaded);
        }
        let named = std::env::var_os(LIBRARY_VARIABLE).filter(|named| !named.is_empty());
        let loaded = load(&candidates(named.map(PathBuf::from)))?;
        Ok(LOADED.get_or_init(|| loaded))
    }

    fn check(&self, call: &'static str, status: Status) -> Result<(), CudaError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: the function takes any number; what it gives is constant.
        let text = unsafe {
            let text = (self.functions.error_string)(status);
            (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        };
        let reason = text.unwrap_or_else(|| format!("error {status}"));
        Err(CudaError::Nccl { call, reason })
    }

    /// The version, `2.26.2`.
    fn version(&self) -> String {
        let mut version = 0;
        // SAFETY: the pointer is valid.
        let status = unsafe { (self.functions.version)(&raw mut version) };
        if status != 0 {
            return "of unknown version".to_owned();
        }
        // Since 2.9 two digits each, before one.
        let thousand = if version < 10_000 { 1000 } else { 10_000 };
        format!(
            "{}.{}.{}",
            version / thousand,
            version % thousand / 100,
            version % 100
        )
    }
}

/// A communicator.
#[derive(Debug, Clone, Copy)]
struct Handle(Comm);

// SAFETY: NCCL allows calls from any thread, one at a time for a communicator, which the lock in `Communicators` sees to.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// The communicators of some devices, one for each.
pub(crate) struct Communicators {
    nccl: &'static Nccl,
    /// Each with the lock of its calls.
    handles: Vec<(Handle, Mutex<()>)>,
    is_given_up: AtomicBool,
    /// They belong to these contexts, which outlive them.
    _contexts: Vec<Arc<Context>>,
}

impl fmt::Debug for Communicators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Communicators").field(&self.handles).finish()
    }
}

/// The communicator of one device.
#[derive(Debug, Clone)]
pub(crate) struct Rank {
    pub(crate) all: Arc<Communicators>,
    pub(crate) rank: usize,
}

/// Whether NCCL is there.
///
/// # Errors
/// [`CudaError::NoNccl`], and [`CudaError::Nccl`] when it lacks a function.
pub(crate) fn probe() -> Result<(), CudaError> {
    Nccl::get().map(|_| ())
}

impl Communicators {
    /// Connects devices, by their indices, with each other.
    ///
    /// # Errors
    /// [`CudaError::NoNccl`], [`CudaError::Nccl`].
    pub(crate) fn connect(indices: &[usize], contexts: Vec<Arc<Context>>) -> Result<Arc<Self>, CudaError> {
        let nccl = Nccl::get()?;
        let devices: Vec<c_int> = indices.iter().map(|index| *index as c_int).collect();
        let mut comms = vec![std::ptr::null_mut(); devices.len()];
        // SAFETY: both arrays have as many elements as there are devices.
        let status = unsafe {
            (nccl.functions.init_all)(comms.as_mut_ptr(), devices.len() as c_int, devices.as_ptr())
        };
        nccl.check("ncclCommInitAll", status)?;
        tracing::info!(version = nccl.version(), devices = ?indices, "NCCL connects the devices");
        Ok(Arc::new(Self {
            nccl,
            handles: comms
                .into_iter()
                .map(|comm| (Handle(comm), Mutex::new(())))
                .collect(),
            is_given_up: AtomicBool::new(false),
            _contexts: contexts,
        }))
    }

    /// Ends all sums that wait, on all devices. What they were to be is lost.
    pub(crate) fn give_up(&self) {
        if self.is_given_up.swap(true, Ordering::SeqCst) {
            return;
        }
        for (handle, calls) in &self.handles {
            let _calls = locked(calls);
            // SAFETY: the communicator was made by `ncclCommInitAll` and is ended once. Where another thread is still within a call, that
            // call waits for devices that will not come, which is what this is there to end; no call begins any more.
            let status = unsafe { (self.nccl.functions.abort)(handle.0) };
            if let Err(error) = self.nccl.check("ncclCommAbort", status) {
                tracing::warn!(%error, "a communicator is not ended");
            }
        }
    }
}

/// Takes a lock, but does not wait for ever: whoever holds it may wait for another device.
fn locked(calls: &Mutex<()>) -> Option<MutexGuard<'_, ()>> {
    let begun = Instant::now();
    loop {
        match calls.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(guard)) => return Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

impl Drop for Communicators {
    fn drop(&mut self) {
        if self.is_given_up.load(Ordering::SeqCst) {
            return;
        }
        for (handle, _) in &self.handles {
            // SAFETY: it was made by `ncclCommInitAll`, is ended once, and nothing of it runs: queues keep `self`.
            let status = unsafe { (self.nccl.functions.destroy)(handle.0) };
            if let Err(error) = self.nccl.check("ncclCommDestroy", status) {
                tracing::warn!(%error, "a communicator is not destroyed");
            }
        }
    }
}

impl Rank {
    /// Fails once the sums have been given up.
    pub(crate) fn check(&self) -> Result<(), CudaError> {
        if self.all.is_given_up.load(Ordering::SeqCst) {
            return Err(CudaError::GivenUp);
        }
        Ok(())
    }

    /// Sums a buffer over all devices, in a stream.
    ///
    /// # Safety
    /// `values` is a live f32 buffer of this device with `len` elements, the stream is one of this device, and its context is current.
    pub(crate) unsafe fn sum(
        &self,
        values: DevicePtr,
        len: usize,
        stream: *mut c_void,
    ) -> Result<(), CudaError> {
        let (handle, calls) = &self.all.handles[self.rank];
        let _calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        let at = values as *mut c_void;
        // SAFETY: the caller's; the communicator lives, as it has not been given up and calls are locked.
        let status = unsafe {
            (self.all.nccl.functions.all_reduce)(at.cast_const(), at, len, FLOAT32, SUM, handle.0, stream)
        };
        self.all.nccl.check("ncclAllReduce", status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_looked_for_by_its_name_or_where_it_is_said_to_be() {
        assert_eq!(candidates(None), [PathBuf::from("libnccl.so.2")]);
        let named = || Some(PathBuf::from("/none"));
        assert_eq!(candidates(named()), [PathBuf::from("/none")]);
        let folder = std::env::temp_dir().join(format!("nccl-{}", std::process::id()));
        let package = folder.join("nvidia/nccl/lib");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join(NAME), "").unwrap();
        assert_eq!(candidates(Some(folder.clone())), [package.join(NAME)]);
        let error = load(&[package.join(NAME)]).err().unwrap();
        assert!(
            matches!(error, CudaError::NoNccl { .. }),
            "an empty file: {error}"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_library_without_the_functions_is_refused() {
        let Err(error) = load(&[PathBuf::from("libm.so.6")]) else {
            panic!("the math library sums nothing over devices");
        };
        if cfg!(target_os = "linux") {
            assert_eq!(
                error.to_string(),
                "ncclGetErrorString failed: the library lacks it"
            );
        }
    }
}
