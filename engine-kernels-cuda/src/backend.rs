//! The backend: a driver and what it says of its device.

use std::sync::Arc;
use std::time::Duration;

use engine_core::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData, Run};
use engine_core::ir::Program;

use crate::buffer::CudaBuffer;
use crate::driver::{Driver, DriverInfo, NvidiaDriver};
use crate::error::CudaError;
use crate::executable::CudaExecutable;
use crate::options::CudaOptions;

/// Bytes of the largest f32 buffer: kernels count its elements in 32 bits.
pub const LARGEST_BUFFER: u64 = 4 << 32;

/// Runs programs on an NVIDIA GPU.
#[derive(Debug, Clone)]
pub struct CudaBackend {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) info: DriverInfo,
    pub(crate) options: CudaOptions,
}

impl CudaBackend {
    /// The backend of CUDA device `index`.
    ///
    /// # Errors
    /// [`CudaError`] when the driver, its compiler or the device is missing or too old.
    pub fn open(index: usize) -> Result<Self, CudaError> {
        Self::open_with(index, CudaOptions::default())
    }

    /// As [`Self::open`], with options.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(index: usize, options: CudaOptions) -> Result<Self, CudaError> {
        let driver = NvidiaDriver::open(index, &options)?;
        Ok(Self::with_driver(Arc::new(driver)).with_options(options))
    }

    /// A backend over a driver.
    pub fn with_driver(driver: Arc<dyn Driver>) -> Self {
        let info = driver.info();
        Self {
            driver,
            info,
            options: CudaOptions::default(),
        }
    }

    /// The same backend with other options, for what is compiled and uploaded from now on. Whether tensor cores are used stays as it was when
    /// the device was opened.
    #[must_use]
    pub fn with_options(self, options: CudaOptions) -> Self {
        Self { options, ..self }
    }
}

impl CudaBackend {
    /// How long each launch of a step of `program` takes, alone on the device. What the program writes is spoilt.
    ///
    /// # Errors
    /// As [`Executable::run`].
    pub fn profile(
        &self,
        program: &Program,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<Vec<LaunchTime>, BackendError> {
        CudaExecutable::new(self, program, program.largest_rows(run))?.profile(run, resources, inputs)
    }
}

/// Time of one launch.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchTime {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Blocks.
    pub blocks: u64,
    /// Threads of a block.
    pub threads: u32,
    /// Time from one launch to the next in a graph of many.
    pub time: Duration,
}

impl Backend for CudaBackend {
    fn device(&self) -> DeviceInfo {
        DeviceInfo {
            backend: "cuda",
            device: self.info.name.clone(),
            parallelism: self.info.multiprocessors as usize,
            memory: Some(self.info.memory),
            largest_buffer: Some(LARGEST_BUFFER),
        }
    }

    fn compile(&self, program: &Program, max_rows: usize) -> Result<Box<dyn Executable>, BackendError> {
        Ok(Box::new(CudaExecutable::new(self, program, max_rows)?))
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        Ok(Box::new(CudaBuffer::new(&self.driver, self.options, &data)?))
    }
}
