//! What the kernels need of a device: memory, streams of launches, graphs that are captured from them. The NVIDIA driver is one
//! implementation; the tests have another that runs the same `.cu` files on the host.

mod bounds;
mod cache;
mod compile;
mod context;
mod nccl;
mod nvidia;
pub mod nvrtc;
mod probe;
mod stream;

use std::fmt;

pub use context::{Device, devices};
pub use nvidia::NvidiaDriver;

use crate::error::CudaError;

/// An address in device memory.
pub type DevicePtr = u64;

/// What a driver says of its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverInfo {
    /// Name of the hardware and of the driver.
    pub name: String,
    /// Compute capability, `(9, 0)`.
    pub compute_capability: (u32, u32),
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Device memory in bytes.
    pub memory: u64,
    /// Shared memory that a block may ask for, in bytes.
    pub shared_per_block: u32,
}

/// One launch of a kernel. All kernels take a single struct by value.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub block: u32,
    /// Dynamic shared memory of a block in bytes.
    pub shared: u32,
    /// Bytes of the argument struct.
    pub args: &'a [u8],
}

/// A device that can hold memory and make queues.
pub trait Driver: fmt::Debug + Send + Sync {
    /// The device.
    fn info(&self) -> DriverInfo;

    /// Device memory that is free, in bytes.
    ///
    /// # Errors
    /// [`CudaError`] when the driver fails.
    fn free_memory(&self) -> Result<u64, CudaError>;

    /// Reserves device memory; at least one byte, aligned to 256.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`] when it does not suffice.
    fn allocate(&self, bytes: usize) -> Result<DevicePtr, CudaError>;

    /// Reserves page-locked memory of the host that the device can read at the same address.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`] when it does not suffice.
    fn allocate_pinned(&self, bytes: usize) -> Result<DevicePtr, CudaError>;

    /// Gives memory of [`Self::allocate`] back. Failures are logged.
    ///
    /// # Safety
    /// `memory` came from [`Self::allocate`] of this driver, was not given back, and nothing that runs uses it.
    unsafe fn free(&self, memory: DevicePtr);

    /// Gives memory of [`Self::allocate_pinned`] back. Failures are logged.
    ///
    /// # Safety
    /// As for [`Self::free`].
    unsafe fn free_pinned(&self, memory: DevicePtr);

    /// Copies from the host to the device and waits for it.
    ///
    /// # Safety
    /// `to` lies in a live allocation at least as long as `from`, and nothing that runs uses it.
    ///
    /// # Errors
    /// [`CudaError`] when the driver fails.
    unsafe fn upload(&self, to: DevicePtr, from: &[u8]) -> Result<(), CudaError>;

    /// Copies from the device to the host and waits for it.
    ///
    /// # Safety
    /// `from` begins a live allocation of at least as many bytes, and nothing that runs writes them.
    ///
    /// # Errors
    /// [`CudaError`] when the driver fails.
    unsafe fn download(&self, from: DevicePtr, to: &mut [u8]) -> Result<(), CudaError>;

    /// A new queue of launches.
    ///
    /// # Errors
    /// [`CudaError`] when the driver fails.
    fn queue(&self) -> Result<Box<dyn Queue>, CudaError>;

    /// Ends the sums that this device and those that belong to it wait for, because one of them has failed: runs that wait end with an
    /// error, and so does every later sum.
    fn give_up_sums(&self) {}
}

/// Streams of launches: those of one stream run one after another, several streams run concurrently.
pub trait Queue: fmt::Debug + Send {
    /// Enqueues a launch in a stream; stream 0 is the main one. Returns before it has run.
    ///
    /// # Safety
    /// The argument struct is the kernel's, and all addresses in it stay valid until the launch has run (for a captured launch:
    /// whenever the graph is launched).
    ///
    /// # Errors
    /// [`CudaError`] when the kernel is unknown or the driver refuses.
    unsafe fn launch(&mut self, stream: usize, launch: &Launch<'_>) -> Result<(), CudaError>;

    /// Copies to the device behind what stream 0 holds; `from` is read before the call returns.
    ///
    /// # Safety
    /// `to` is a live allocation at least as long as `from`.
    ///
    /// # Errors
    /// [`CudaError`] when the driver refuses.
    unsafe fn upload(&mut self, to: DevicePtr, from: &[u8]) -> Result<(), CudaError>;

    /// Later launches in stream `to` wait for the earlier ones in stream `from`.
    ///
    /// # Errors
    /// [`CudaError`] when the driver refuses.
    fn order(&mut self, from: usize, to: usize) -> Result<(), CudaError>;

    /// From here on launches are captured instead of run. Every stream that gets launches must be ordered behind stream 0 first, and
    /// stream 0 behind it at the end.
    ///
    /// # Errors
    /// [`CudaError`] when the driver refuses.
    fn begin_capture(&mut self) -> Result<(), CudaError>;

    /// Ends the capture; the graph can be launched by its number.
    ///
    /// # Errors
    /// [`CudaError`] when the driver refuses what was captured.
    fn end_capture(&mut self) -> Result<usize, CudaError>;

    /// Launches a captured graph, behind what stream 0 holds.
    ///
    /// # Safety
    /// All addresses in the captured launches are still valid.
    ///
    /// # Errors
    /// [`CudaError`] when the driver refuses.
    unsafe fn launch_graph(&mut self, graph: usize) -> Result<(), CudaError>;

    /// Forgets all captured graphs.
    fn clear_graphs(&mut self);

    /// Adds up `len` elements over all devices that belong together (all-reduce), behind what stream 0 holds: each of them then holds the sums, the same
    /// bits on all. Every device must ask for the same sums in the same order.
    ///
    /// # Safety
    /// `values` is a live f32 buffer of at least `len` elements.
    ///
    /// # Errors
    /// [`CudaError`] when the device belongs to no others, or a sum was given up.
    unsafe fn sum_over_ranks(&mut self, values: DevicePtr, len: usize) -> Result<(), CudaError>;

    /// Waits until everything has run.
    ///
    /// # Errors
    /// [`CudaError`] when a launch failed.
    fn synchronize(&mut self) -> Result<(), CudaError>;
}
