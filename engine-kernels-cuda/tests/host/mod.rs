//! A device that is the processor: the shipped `.cu` files, compiled as C++ and run thread by thread.
//!
//! What a GPU forgives is found here: reads of unwritten memory (it is full of NaN), writes out of bounds (memory ends at a page
//! that cannot be touched, or at a pattern that is checked), barriers that not all threads reach, misaligned vectors,
//! dependence on the order of blocks, warps and lanes (it is random), streams of a capture that are not ordered.
//! Faults panic. `ENGINE_HOST_SEED` sets the seed of the orders.

#![allow(dead_code, reason = "each test binary uses its part")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

mod capture;
mod compiler;
mod queue;
pub(crate) mod ranks;

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::ffi::{CStr, CString, c_char, c_void};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use engine_kernels_cuda::driver::{DevicePtr, Driver, DriverInfo, Launch, Queue};
use engine_kernels_cuda::error::CudaError;
use engine_kernels_cuda::source::{FILES, TENSOR_CORES};
use libloading::{Library, Symbol};
use queue::HostQueue;
use ranks::{Rank, Ranks};

/// Shared memory that a block may ask for: what the oldest supported architecture has.
const SHARED_PER_BLOCK: u32 = 64 << 10;

/// Bytes of arguments that a launch may have.
const MAX_ARGUMENTS: usize = 4096;

/// One launch, as `fibers.h` declares it.
#[repr(C)]
struct HostLaunch {
    args: *const c_void,
    args_bytes: u64,
    grid: [u32; 3],
    block: u32,
    shared: u32,
    reserved: u32,
    seed: u64,
    name: *const c_char,
    message: [c_char; 512],
}

/// One launch that outlives its caller.
#[derive(Debug, Clone)]
struct OwnedLaunch {
    kernel: &'static str,
    grid: [u32; 3],
    block: u32,
    shared: u32,
    args: Vec<u8>,
}

/// Memory of the device: bytes by address, and whether it is page-locked.
#[derive(Debug, Default)]
struct Memory {
    live: BTreeMap<DevicePtr, (usize, bool)>,
    used: u64,
}

/// What driver and queues share.
#[derive(Debug)]
struct Shared {
    library: &'static Library,
    memory: Mutex<Memory>,
    capacity: u64,
    seed: AtomicU64,
    launches: AtomicU64,
    /// Threads in which a graph is being captured.
    capturing: Mutex<Vec<ThreadId>>,
}

/// One launch at a time: the libraries keep the state of it in global variables.
static ONE_LAUNCH: Mutex<()> = Mutex::new(());

/// Whether a case of the conformance suite is among those that `ENGINE_CONFORMANCE` asks for, all where it is empty; without it, one in
/// three, for suites that run beside the whole one.
pub(crate) fn is_selected(op: &str, case: &str) -> bool {
    match std::env::var("ENGINE_CONFORMANCE") {
        Ok(selected) => op.contains(&selected) || case.contains(&selected),
        Err(_) => {
            let mut hasher = DefaultHasher::new();
            (op, case).hash(&mut hasher);
            hasher.finish().is_multiple_of(3)
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The processor as a device.
#[derive(Debug)]
pub(crate) struct HostDriver {
    shared: Arc<Shared>,
    rank: Option<Rank>,
}

impl HostDriver {
    /// A device with the shipped kernels and 8 GiB.
    pub(crate) fn new() -> Self {
        Self::with(FILES, 8 << 30)
    }

    /// A device with the shipped kernels and so many bytes of memory.
    pub(crate) fn with_memory(bytes: u64) -> Self {
        Self::with(FILES, bytes)
    }

    /// A device whose kernels multiply as on tensor cores.
    pub(crate) fn with_tensor_cores() -> Self {
        Self::compiled(FILES, &[TENSOR_CORES], 8 << 30)
    }

    /// A device with other kernels.
    pub(crate) fn with(files: &[(&str, &str)], capacity: u64) -> Self {
        Self::compiled(files, &[], capacity)
    }

    fn compiled(files: &[(&str, &str)], definitions: &[&str], capacity: u64) -> Self {
        let seed = std::env::var("ENGINE_HOST_SEED").ok();
        let shared = Shared {
            library: compiler::library(files, definitions),
            memory: Mutex::default(),
            capacity,
            seed: AtomicU64::new(seed.map_or(1, |seed| seed.parse().unwrap())),
            launches: AtomicU64::new(0),
            capturing: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            rank: None,
        }
    }

    /// Devices that sum over each other.
    pub(crate) fn ranks(count: usize) -> (Vec<Self>, Arc<Ranks>) {
        let all = Ranks::new(count);
        let driver = |rank| Self {
            rank: Some(Rank {
                all: Arc::clone(&all),
                rank,
            }),
            ..Self::new()
        };
        ((0..count).map(driver).collect(), all)
    }

    /// Launches that have run so far.
    pub(crate) fn launches(&self) -> u64 {
        self.shared.launches.load(Ordering::Relaxed)
    }

    /// Bytes of page-locked memory that are allocated.
    pub(crate) fn pinned_memory(&self) -> u64 {
        let memory = lock(&self.shared.memory);
        let pinned = memory.live.values().filter(|(_, is_pinned)| *is_pinned);
        pinned.map(|(bytes, _)| *bytes as u64).sum()
    }

    /// Bytes that are allocated.
    pub(crate) fn used_memory(&self) -> u64 {
        lock(&self.shared.memory).used
    }
}

impl Shared {
    /// A function of the library.
    fn symbol<T>(&self, name: &str) -> Option<Symbol<'static, T>> {
        // SAFETY: callers name functions of the library with their types in `memory.h` and `host.h`.
        unsafe { self.library.get(name.as_bytes()) }.ok()
    }

    fn allocate(&self, bytes: usize, pinned: bool) -> Result<DevicePtr, CudaError> {
        assert!(bytes > 0, "an allocation of no bytes");
        self.refuse_while_capturing("an allocation");
        let mut memory = lock(&self.memory);
        let out_of_memory = || CudaError::OutOfMemory {
            device: "the host".to_owned(),
            bytes: bytes as u64,
        };
        if !pinned && memory.used + bytes as u64 > self.capacity {
            return Err(out_of_memory());
        }
        let allocate: Symbol<'_, unsafe extern "C" fn(u64) -> *mut u8> =
            self.symbol("engine_host_allocate").unwrap();
        // SAFETY: the function takes any number of bytes.
        let begin = unsafe { allocate(bytes as u64) };
        if begin.is_null() {
            return Err(out_of_memory());
        }
        memory.used += if pinned { 0 } else { bytes as u64 };
        memory.live.insert(begin as u64, (bytes, pinned));
        Ok(begin as u64)
    }

    fn free(&self, at: DevicePtr, pinned: bool) {
        self.refuse_while_capturing("giving memory back");
        self.check_guards("a copy");
        let mut memory = lock(&self.memory);
        let (bytes, was_pinned) = memory
            .live
            .remove(&at)
            .expect("memory that is not live is given back");
        assert_eq!(
            was_pinned, pinned,
            "page-locked memory is given back as that of the device, or the reverse"
        );
        memory.used -= if pinned { 0 } else { bytes as u64 };
        let free: Symbol<'_, unsafe extern "C" fn(u64, u64)> = self.symbol("engine_host_free").unwrap();
        // SAFETY: it came from `engine_host_allocate` with these bytes and has just been taken from the list of live memory.
        unsafe { free(at, bytes as u64) };
    }

    /// Panics when something was written beside an allocation.
    fn check_guards(&self, what: &str) {
        let check: Symbol<'_, unsafe extern "C" fn(u64, u64) -> i32> =
            self.symbol("engine_host_check").unwrap();
        for (&at, &(bytes, _)) in &lock(&self.memory).live {
            // SAFETY: this is live memory with its bytes.
            match unsafe { check(at, bytes as u64) } {
                0 => {}
                1 => panic!("{what} wrote before the beginning of an allocation of {bytes} bytes"),
                _ => panic!("{what} wrote behind the end of an allocation of {bytes} bytes"),
            }
        }
    }

    /// Panics unless so many bytes from an address on are live.
    fn check_live(&self, at: DevicePtr, bytes: usize) {
        let memory = lock(&self.memory);
        let found = memory.live.range(..=at).next_back();
        let is_inside = found.is_some_and(|(begin, (len, _))| at + bytes as u64 <= begin + *len as u64);
        assert!(
            is_inside,
            "a copy of {bytes} bytes at {at:#x} is not within live memory"
        );
    }

    /// CUDA forbids some calls in a thread that captures.
    fn refuse_while_capturing(&self, what: &str) {
        let capturing = lock(&self.capturing);
        assert!(
            !capturing.contains(&std::thread::current().id()),
            "{what} while a graph is being captured"
        );
    }

    /// Checks what CUDA would refuse, and that the kernel is there.
    fn check_launch(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        let (kernel, shared) = (launch.kernel, launch.shared);
        assert!(
            shared <= SHARED_PER_BLOCK,
            "{kernel} asks for {shared} bytes of shared memory"
        );
        assert!(
            launch.args.len() <= MAX_ARGUMENTS,
            "{kernel} has too many arguments"
        );
        let name = format!("engine_host_{kernel}");
        let found: Option<Symbol<'_, unsafe extern "C" fn()>> = self.symbol(&name);
        found.map(|_| ()).ok_or(CudaError::UnknownKernel { kernel })
    }

    /// Runs a launch.
    ///
    /// # Safety
    /// Its argument struct is the kernel's.
    unsafe fn run(&self, launch: &OwnedLaunch) {
        let entry: Symbol<'_, unsafe extern "C" fn(*mut HostLaunch) -> i32> =
            self.symbol(&format!("engine_host_{}", launch.kernel)).unwrap();
        let name = CString::new(launch.kernel).unwrap();
        let mut raw = HostLaunch {
            args: launch.args.as_ptr().cast(),
            args_bytes: launch.args.len() as u64,
            grid: launch.grid,
            block: launch.block,
            shared: launch.shared,
            reserved: 0,
            seed: self.seed.fetch_add(1, Ordering::Relaxed),
            name: name.as_ptr(),
            message: [0; 512],
        };
        let one = lock(&ONE_LAUNCH);
        // SAFETY: the caller's; the struct is laid out as the library's.
        let failed = unsafe { entry(&raw mut raw) } != 0;
        drop(one);
        if failed {
            // SAFETY: the library writes a text that ends with zero.
            let message = unsafe { CStr::from_ptr(raw.message.as_ptr()) };
            panic!("{} (seed {})", message.to_string_lossy(), raw.seed);
        }
        self.check_guards(launch.kernel);
        self.launches.fetch_add(1, Ordering::Relaxed);
    }
}

impl Driver for HostDriver {
    fn info(&self) -> DriverInfo {
        DriverInfo {
            name: "the host, kernels compiled as C++".to_owned(),
            compute_capability: (7, 5),
            multiprocessors: 3,
            memory: self.shared.capacity,
            shared_per_block: SHARED_PER_BLOCK,
        }
    }

    fn free_memory(&self) -> Result<u64, CudaError> {
        Ok(self.shared.capacity - self.used_memory())
    }

    fn allocate(&self, bytes: usize) -> Result<DevicePtr, CudaError> {
        self.shared.allocate(bytes, false)
    }

    fn allocate_pinned(&self, bytes: usize) -> Result<DevicePtr, CudaError> {
        self.shared.allocate(bytes, true)
    }

    unsafe fn free(&self, memory: DevicePtr) {
        self.shared.free(memory, false);
    }

    unsafe fn free_pinned(&self, memory: DevicePtr) {
        self.shared.free(memory, true);
    }

    unsafe fn upload(&self, to: DevicePtr, from: &[u8]) -> Result<(), CudaError> {
        self.shared.refuse_while_capturing("a copy");
        self.shared.check_live(to, from.len());
        // SAFETY: `to` is live memory and long enough, and of no allocation of Rust.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to as *mut u8, from.len()) };
        Ok(())
    }

    unsafe fn download(&self, from: DevicePtr, to: &mut [u8]) -> Result<(), CudaError> {
        self.shared.refuse_while_capturing("a copy");
        self.shared.check_live(from, to.len());
        // SAFETY: `from` is live memory of so many bytes, and of no allocation of Rust.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    fn queue(&self) -> Result<Box<dyn Queue>, CudaError> {
        Ok(Box::new(HostQueue::new(&self.shared, self.rank.clone())))
    }

    fn give_up_sums(&self) {
        if let Some(rank) = &self.rank {
            rank.all.give_up();
        }
    }
}
