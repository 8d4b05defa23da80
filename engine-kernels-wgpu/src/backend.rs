//! The backend: one open device.

use std::sync::Arc;

use engine_core::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData};
use engine_core::ir::Program;

use crate::adapter::{AdapterChoice, AdapterDescription};
use crate::buffer::WgpuBuffer;
use crate::error::WgpuError;
use crate::executable::WgpuExecutable;
use crate::gpu::Gpu;

/// How a [`WgpuBackend`] is made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WgpuOptions {
    /// Which adapter to open.
    pub adapter: AdapterChoice,
    /// Bytes of the largest encoded table that is kept on the device; the batches of larger ones are streamed from the host.
    /// `None` keeps what fits into a buffer.
    pub largest_table: Option<u64>,
    /// Whether the tables of a folded model are kept in half precision while it draws: half the memory, and probabilities that are off
    /// by about a thousandth.
    pub half_tables: bool,
}

/// Runs programs on a graphics device.
#[derive(Debug, Clone)]
pub struct WgpuBackend {
    gpu: Arc<Gpu>,
    largest_table: u64,
    half_tables: bool,
}

impl WgpuBackend {
    /// Opens a device.
    ///
    /// # Errors
    /// [`WgpuError`] when there is no such adapter, or its driver refuses.
    pub fn new(options: &WgpuOptions) -> Result<Self, WgpuError> {
        let gpu = Gpu::open(&options.adapter)?;
        if gpu.description.is_software() {
            tracing::warn!(
                adapter = gpu.description.name,
                "this adapter computes on the processor and is slower than the device cpu"
            );
        }
        Ok(Self {
            gpu: Arc::new(gpu),
            largest_table: options.largest_table.unwrap_or(u64::MAX),
            half_tables: options.half_tables,
        })
    }

    /// The adapter in use.
    pub fn adapter(&self) -> &AdapterDescription {
        &self.gpu.description
    }

    /// Dispatches of one step of a program for batches of at most `max_rows` rows: how many kernels are launched.
    ///
    /// # Errors
    /// As [`Backend::compile`].
    pub fn dispatches(&self, program: &Program, max_rows: usize) -> Result<usize, BackendError> {
        self.executable(program, max_rows).map(|e| e.dispatches())
    }
}

impl WgpuBackend {
    pub(crate) fn executable(
        &self,
        program: &Program,
        max_rows: usize,
    ) -> Result<WgpuExecutable, BackendError> {
        WgpuExecutable::new(&self.gpu, program, max_rows, self.half_tables)
    }
}

impl Backend for WgpuBackend {
    fn device(&self) -> DeviceInfo {
        self.gpu.description.info()
    }

    fn compile(&self, program: &Program, max_rows: usize) -> Result<Box<dyn Executable>, BackendError> {
        Ok(Box::new(self.executable(program, max_rows)?))
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        Ok(Box::new(WgpuBuffer::new(&self.gpu, data, self.largest_table)?))
    }
}
