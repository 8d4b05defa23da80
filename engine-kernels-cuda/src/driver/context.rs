//! The devices of this machine; the context of one, and the kernels that are loaded into it.

use std::collections::HashMap;
use std::ffi::{CString, c_int, c_void};

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUdevice_attribute, CUfunction_attribute, CUresult};

use crate::driver::bounds::Bounds;
use crate::driver::{DriverInfo, probe};
use crate::error::CudaError;
use crate::source::{FILES, kernel_names};

/// A device of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its number, as in `cuda:0`.
    pub index: usize,
    /// Name of the hardware and of the driver.
    pub name: String,
    /// Compute capability, `(9, 0)`.
    pub compute_capability: (u32, u32),
    /// Streaming multiprocessors.
    pub multiprocessors: u32,
    /// Memory in bytes.
    pub memory: u64,
}

/// A kernel that has been loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function {
    pub(crate) handle: sys::CUfunction,
    pub(crate) bounds: Bounds,
}

/// The device's primary context and the kernels loaded into it.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) info: DriverInfo,
    /// Version of CUDA that the driver knows.
    version: i32,
    device: sys::CUdevice,
    context: sys::CUcontext,
    module: Option<sys::CUmodule>,
    functions: HashMap<&'static str, Function>,
}

// SAFETY: handles of the driver may be used from all threads; each call makes the context current first.
unsafe impl Send for Context {}
// SAFETY: as above; the driver's functions are safe to call at once.
unsafe impl Sync for Context {}

/// An error of a call.
pub(crate) fn failed(call: &'static str) -> impl Fn(DriverError) -> CudaError {
    move |error| CudaError::Driver {
        call,
        reason: error.error_string().map_or_else(
            |_| format!("{:?}", error.0),
            |text| text.to_string_lossy().into_owned(),
        ),
    }
}

/// Finds and starts the driver; the version of CUDA that it knows.
pub(super) fn start() -> Result<i32, CudaError> {
    let version = probe::driver_version()?;
    match result::init() {
        Ok(()) => Ok(version),
        Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => Err(CudaError::NoDevice { index: 0, count: 0 }),
        Err(DriverError(CUresult::CUDA_ERROR_STUB_LIBRARY)) => Err(CudaError::NoDriver {
            tried: "libcuda.so is the toolkit's stub".to_owned(),
        }),
        Err(error) => Err(failed("cuInit")(error)),
    }
}

pub(super) fn count() -> Result<usize, CudaError> {
    let count = result::device::get_count().map_err(failed("cuDeviceGetCount"))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

fn attribute(device: sys::CUdevice, attribute: CUdevice_attribute) -> Result<u32, CudaError> {
    // SAFETY: the device came from the driver.
    let value = unsafe { result::device::get_attribute(device, attribute) };
    value
        .map(c_int::unsigned_abs)
        .map_err(failed("cuDeviceGetAttribute"))
}

/// The handle of a device and its properties.
pub(super) fn describe(index: usize, version: i32) -> Result<(sys::CUdevice, Device), CudaError> {
    let device = result::device::get(index as c_int).map_err(failed("cuDeviceGet"))?;
    let name = result::device::get_name(device).map_err(failed("cuDeviceGetName"))?;
    // SAFETY: the device came from the driver.
    let memory = unsafe { result::device::total_mem(device) }.map_err(failed("cuDeviceTotalMem"))?;
    let described = Device {
        index,
        name: format!("{name}, driver for CUDA {}", probe::version_name(version)),
        compute_capability: (
            attribute(
                device,
                CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            )?,
            attribute(
                device,
                CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            )?,
        ),
        multiprocessors: attribute(
            device,
            CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
        )?,
        memory: memory as u64,
    };
    Ok((device, described))
}

/// The devices of this machine. NVRTC is not needed for it.
///
/// # Errors
/// [`CudaError::NoDriver`] and others when the driver cannot be used; a machine without a device has none.
pub fn devices() -> Result<Vec<Device>, CudaError> {
    let version = match start() {
        Err(CudaError::NoDevice { .. }) => return Ok(Vec::new()),
        other => other?,
    };
    let all = 0..count()?;
    all.map(|index| describe(index, version).map(|(_, device)| device))
        .collect()
}

impl Context {
    /// Retains the primary context, which all libraries of a process shard.
    pub(super) fn retain(device: sys::CUdevice, described: Device, version: i32) -> Result<Self, CudaError> {
        let info = DriverInfo {
            name: described.name,
            compute_capability: described.compute_capability,
            multiprocessors: described.multiprocessors,
            memory: described.memory,
            shared_per_block: attribute(
                device,
                CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
            )?,
        };
        // SAFETY: the device came from the driver.
        let context = unsafe { result::primary_ctx::retain(device) };
        let context =
            context.map_err(|error| info.failed_allocation("cuDevicePrimaryCtxRetain", 0)(error))?;
        Ok(Self {
            info,
            version,
            device,
            context,
            module: None,
            functions: HashMap::new(),
        })
    }

    /// Makes the context current in this thread.
    pub(crate) fn bind(&self) -> Result<(), CudaError> {
        // SAFETY: the context is retained as long as `self` lives.
        unsafe { result::ctx::set_current(self.context) }.map_err(failed("cuCtxSetCurrent"))
    }

    /// Loads compiled kernels. All functions are looked up and given their shared memory now: while launches are captured the
    /// driver allows less.
    pub(super) fn load(&mut self, image: &[u8]) -> Result<(), CudaError> {
        self.bind()?;
        // SAFETY: the image is whole: machine code, or text that ends with zero.
        let module = unsafe { result::module::load_data(image.as_ptr().cast::<c_void>()) };
        let module = module.map_err(|error| match error.0 {
            CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION => CudaError::OldDriver {
                found: probe::version_name(self.version),
                needed: "the version of the NVRTC that was found",
            },
            _ => self.info.failed_allocation("cuModuleLoadData", image.len())(error),
        })?;
        self.module = Some(module);
        for kernel in kernel_names(FILES) {
            let function = self.function(module, kernel)?;
            self.functions.insert(kernel, function);
        }
        Ok(())
    }

    fn function(&self, module: sys::CUmodule, kernel: &'static str) -> Result<Function, CudaError> {
        let name = CString::new(kernel).unwrap_or_default();
        // SAFETY: the module is loaded.
        let handle = unsafe { result::module::get_function(module, name) };
        let handle = handle.map_err(|error| match error.0 {
            CUresult::CUDA_ERROR_NOT_FOUND => CudaError::UnknownKernel { kernel },
            _ => failed("cuModuleGetFunction")(error),
        })?;
        let get = |attribute| {
            // SAFETY: the function has just been found.
            let value = unsafe { result::function::get_function_attribute(handle, attribute) };
            value
                .map(c_int::unsigned_abs)
                .map_err(failed("cuFuncGetAttribute"))
        };
        let threads = get(CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)?;
        let fixed = get(CUfunction_attribute::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)?;
        let shared = self.info.shared_per_block.saturating_sub(fixed);
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: as above.
        unsafe { result::function::set_function_attribute(handle, attribute, shared as c_int) }
            .map_err(failed("cuFuncSetAttribute"))?;
        Ok(Function {
            handle,
            bounds: Bounds { threads, shared },
        })
    }

    /// A kernel by its name.
    pub(crate) fn kernel(&self, kernel: &'static str) -> Result<Function, CudaError> {
        let found = self.functions.get(kernel);
        found.copied().ok_or(CudaError::UnknownKernel { kernel })
    }
}

impl DriverInfo {
    /// An error of a call that needs memory.
    pub(super) fn failed_allocation(
        &self,
        call: &'static str,
        bytes: usize,
    ) -> impl Fn(DriverError) -> CudaError {
        move |error| match error.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => CudaError::OutOfMemory {
                device: self.name.clone(),
                bytes: bytes as u64,
            },
            _ => failed(call)(error),
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let unload = || {
            self.bind()?;
            if let Some(module) = self.module {
                // SAFETY: the module is ours; queues and streams keep the context, so nothing of them runs.
                unsafe { result::module::unload(module) }.map_err(failed("cuModuleUnload"))?;
            }
            Ok::<(), CudaError>(())
        };
        if let Err(error) = unload() {
            tracing::warn!(%error, "kernels stay loaded");
        }
        // SAFETY: it was retained once and is released once.
        if let Err(error) = unsafe { result::primary_ctx::release(self.device) } {
            tracing::warn!(?error, "the context is not released");
        }
    }
}
