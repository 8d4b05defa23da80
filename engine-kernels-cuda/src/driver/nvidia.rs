//! The NVIDIA driver as a [`Driver`]: one device or several together, their memory and transfers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;

use crate::driver::context::{Context, count, describe, failed, start};
use crate::driver::nccl::{self, Communicators, Rank};
use crate::driver::stream::{NvidiaQueue, Stream};
use crate::driver::{DevicePtr, Driver, DriverInfo, Queue, compile};
use crate::error::CudaError;
use crate::options::CudaOptions;

/// Oldest compute capability that the kernels are compiled for.
const OLDEST_CAPABILITY: (u32, u32) = (7, 5);

/// Oldest compute capability with tensor cores for TF32.
const OLDEST_WITH_TF32: (u32, u32) = (8, 0);

/// Allocations are made in multiples of so many bytes.
const GRANULARITY: usize = 256;

/// Compiled kernels by compute capability.
type Images = HashMap<(u32, u32), Vec<u8>>;

/// An NVIDIA GPU.
#[derive(Debug)]
pub struct NvidiaDriver {
    /// For copies, beside the queues. Declared first, so that it goes before the context.
    transfers: Mutex<Stream>,
    /// Its rank among several devices.
    rank: Option<Rank>,
    context: Arc<Context>,
}

impl NvidiaDriver {
    /// Opens a device: finds the driver, compiles the kernels or takes them from the cache, and loads them.
    ///
    /// # Errors
    /// [`CudaError`], one variant for each thing that may be missing.
    pub fn open(index: usize, options: &CudaOptions) -> Result<Self, CudaError> {
        Self::open_alone(index, options, &mut Images::new())
    }

    /// Opens several devices that can sum over each other, by NCCL.
    ///
    /// # Errors
    /// As [`Self::open`], and [`CudaError::NoNccl`] and [`CudaError::Nccl`].
    pub fn open_ranks(indices: &[usize], options: &CudaOptions) -> Result<Vec<Self>, CudaError> {
        let mut images = Images::new();
        let open = |index: &usize| Self::open_alone(*index, options, &mut images);
        let mut drivers = indices
            .iter()
            .map(open)
            .collect::<Result<Vec<Self>, CudaError>>()?;
        nccl::probe()?;
        let contexts = drivers.iter().map(|driver| Arc::clone(&driver.context)).collect();
        let all = Communicators::connect(indices, contexts)?;
        for (rank, driver) in drivers.iter_mut().enumerate() {
            let all = Arc::clone(&all);
            driver.rank = Some(Rank { all, rank });
        }
        Ok(drivers)
    }

    fn open_alone(index: usize, options: &CudaOptions, images: &mut Images) -> Result<Self, CudaError> {
        let version = match start() {
            Err(CudaError::NoDevice { .. }) => return Err(CudaError::NoDevice { index, count: 0 }),
            other => other?,
        };
        let count = count()?;
        if index >= count {
            return Err(CudaError::NoDevice { index, count });
        }
        let (device, mut described) = describe(index, version)?;
        let capability = described.compute_capability;
        if capability < OLDEST_CAPABILITY {
            return Err(CudaError::OldDevice {
                device: described.name,
                found: capability,
            });
        }
        let tensor_cores = options.tensor_cores && capability >= OLDEST_WITH_TF32;
        match (options.tensor_cores, tensor_cores) {
            (true, true) => described.name.push_str(", TF32 tensor cores"),
            (true, false) => tracing::warn!(device = described.name, "there are no tensor cores for TF32"),
            _ => {}
        }
        if let Entry::Vacant(entry) = images.entry(capability) {
            entry.insert(compile::kernels(capability, version, tensor_cores)?);
        }
        let mut context = Context::retain(device, described, version)?;
        context.load(&images[&capability])?;
        let context = Arc::new(context);
        let transfers = Mutex::new(Stream::new(&context)?);
        Ok(Self {
            transfers,
            rank: None,
            context,
        })
    }

    /// Runs a copy of some bytes on the stream for transfers and waits for it.
    fn transfer(
        &self,
        call: &'static str,
        copy: impl FnOnce(sys::CUstream) -> Result<(), DriverError>,
    ) -> Result<(), CudaError> {
        self.context.bind()?;
        let stream = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        copy(stream.handle()).map_err(failed(call))?;
        stream.wait()
    }
}

impl Driver for NvidiaDriver {
    fn info(&self) -> DriverInfo {
        self.context.info.clone()
    }

    fn free_memory(&self) -> Result<u64, CudaError> {
        self.context.bind()?;
        let (free, _) = result::mem_get_info().map_err(failed("cuMemGetInfo"))?;
        Ok(free as u64)
    }

    fn allocate(&self, bytes: usize) -> Result<DevicePtr, CudaError> {
        self.context.bind()?;
        let rounded = bytes.max(1).next_multiple_of(GRANULARITY);
        // SAFETY: what is in it is documented as unspecified.
        let memory = unsafe { result::malloc_sync(rounded) };
        memory.map_err(|error| self.context.info.failed_allocation("cuMemAlloc", bytes)(error))
    }

    fn allocate_pinned(&self, bytes: usize) -> Result<DevicePtr, CudaError> {
        self.context.bind()?;
        let flags = sys::CU_MEMHOSTALLOC_PORTABLE | sys::CU_MEMHOSTALLOC_DEVICEMAP;
        // SAFETY: what is in it is documented as unspecified. With unified addressing, which all 64-bit systems have, the device
        // reads it at the same address.
        let memory = unsafe { result::malloc_host(bytes.max(1).next_multiple_of(GRANULARITY), flags) };
        let memory =
            memory.map_err(|error| self.context.info.failed_allocation("cuMemHostAlloc", bytes)(error))?;
        Ok(memory as DevicePtr)
    }

    unsafe fn free(&self, memory: DevicePtr) {
        let free = || {
            self.context.bind()?;
            // SAFETY: the caller's.
            unsafe { result::free_sync(memory) }.map_err(failed("cuMemFree"))
        };
        if let Err(error) = free() {
            tracing::warn!(%error, "device memory is not given back");
        }
    }

    unsafe fn free_pinned(&self, memory: DevicePtr) {
        let free = || {
            self.context.bind()?;
            // SAFETY: the caller's.
            unsafe { result::free_host(memory as *mut c_void) }.map_err(failed("cuMemFreeHost"))
        };
        if let Err(error) = free() {
            tracing::warn!(%error, "page-locked memory is not given back");
        }
    }

    unsafe fn upload(&self, to: DevicePtr, from: &[u8]) -> Result<(), CudaError> {
        if from.is_empty() {
            return Ok(());
        }
        // SAFETY: the caller's; `from` outlives the copy, which is waited for.
        self.transfer("cuMemcpyHtoDAsync", |stream| unsafe {
            result::memcpy_htod_async(to, from, stream)
        })
    }

    unsafe fn download(&self, from: DevicePtr, to: &mut [u8]) -> Result<(), CudaError> {
        if to.is_empty() {
            return Ok(());
        }
        // SAFETY: as for `upload`.
        self.transfer("cuMemcpyDtoHAsync", |stream| unsafe {
            result::memcpy_dtoh_async(to, from, stream)
        })
    }

    fn queue(&self) -> Result<Box<dyn Queue>, CudaError> {
        Ok(Box::new(NvidiaQueue::new(&self.context, self.rank.clone())?))
    }

    fn give_up_sums(&self) {
        if let Some(rank) = &self.rank {
            rank.all.give_up();
        }
    }
}
