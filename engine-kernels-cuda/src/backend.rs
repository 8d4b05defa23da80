//! The backend: a driver and what it says of its device.

use std::sync::Arc;

use engine_core::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData};
use engine_core::ir::Program;

use crate::buffer::CudaBuffer;
use crate::driver::{Driver, DriverInfo};
use crate::executable::CudaExecutable;

/// Runs programs on an NVIDIA GPU.
#[derive(Debug, Clone)]
pub struct CudaBackend {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) info: DriverInfo,
}

impl CudaBackend {
    /// A backend over a driver.
    pub fn with_driver(driver: Arc<dyn Driver>) -> Self {
        let info = driver.info();
        Self { driver, info }
    }
}

impl Backend for CudaBackend {
    fn device(&self) -> DeviceInfo {
        DeviceInfo {
            backend: "cuda",
            device: self.info.name.clone(),
            parallelism: self.info.multiprocessors as usize,
            memory: Some(self.info.memory),
        }
    }

    fn compile(&self, program: &Program, max_rows: usize) -> Result<Box<dyn Executable>, BackendError> {
        Ok(Box::new(CudaExecutable::new(self, program, max_rows)?))
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        Ok(Box::new(CudaBuffer::new(&self.driver, &data)?))
    }
}
