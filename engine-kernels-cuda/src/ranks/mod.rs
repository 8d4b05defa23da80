//! Several GPUs of one machine as one device. Each computes a shard of the rows of a batch (data parallelism), gradients and
//! losses are summed over all of them, and each makes the same step with the same sums.

mod buffer;
mod data_parallel;
mod executable;

use std::sync::Arc;

use engine_core::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData};
use engine_core::ir::Program;

use crate::backend::{CudaBackend, LARGEST_BUFFER};
use crate::driver::{Driver, NvidiaDriver};
use crate::error::CudaError;
use crate::options::CudaOptions;
use buffer::RanksBuffer;
use executable::RanksExecutable;

/// Runs programs on several NVIDIA GPUs of one machine.
///
/// Random numbers go by the row of the batch, so what a program computes does not depend on the number of devices but for the rounding
/// of sums.
#[derive(Debug, Clone)]
pub struct CudaRanks {
    ranks: Arc<[CudaBackend]>,
}

impl CudaRanks {
    /// The backend of some CUDA devices, which are connected by NCCL.
    ///
    /// # Errors
    /// [`CudaError`] when one of the devices cannot be used, NCCL is missing, or no device is named.
    pub fn open(indices: &[usize]) -> Result<Self, CudaError> {
        Self::open_with(indices, CudaOptions::default())
    }

    /// As [`Self::open`], with options.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(indices: &[usize], options: CudaOptions) -> Result<Self, CudaError> {
        let drivers = NvidiaDriver::open_ranks(indices, &options)?.into_iter();
        let ranks = Self::with_drivers(drivers.map(|driver| Arc::new(driver) as Arc<dyn Driver>))?;
        Ok(ranks.with_options(options))
    }

    /// A backend over drivers that can sum over each other.
    ///
    /// # Errors
    /// [`CudaError::NoDevice`] without any.
    pub fn with_drivers(drivers: impl IntoIterator<Item = Arc<dyn Driver>>) -> Result<Self, CudaError> {
        let ranks: Arc<[CudaBackend]> = drivers.into_iter().map(CudaBackend::with_driver).collect();
        if ranks.is_empty() {
            return Err(CudaError::NoDevice { index: 0, count: 0 });
        }
        Ok(Self { ranks })
    }

    /// The same backend with other options, as [`CudaBackend::with_options`].
    #[must_use]
    pub fn with_options(self, options: CudaOptions) -> Self {
        let ranks = self.ranks.iter().cloned();
        Self {
            ranks: ranks.map(|rank| rank.with_options(options)).collect(),
        }
    }
}

impl Backend for CudaRanks {
    fn device(&self) -> DeviceInfo {
        let names = self.ranks.iter().map(|rank| rank.info.name.as_str());
        let mut counted: Vec<(&str, usize)> = Vec::new();
        for name in names {
            match counted.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => counted.push((name, 1)),
            }
        }
        let parts = counted.iter().map(|(name, count)| format!("{count} x {name}"));
        DeviceInfo {
            backend: "cuda",
            device: parts.collect::<Vec<_>>().join(" and "),
            parallelism: self.ranks.iter().map(|r| r.info.multiprocessors as usize).sum(),
            // Parameters and tables lie on each of them.
            memory: self.ranks.iter().map(|r| r.info.memory).min(),
            largest_buffer: Some(LARGEST_BUFFER),
        }
    }

    fn compile(&self, program: &Program, max_rows: usize) -> Result<Box<dyn Executable>, BackendError> {
        Ok(Box::new(RanksExecutable::new(&self.ranks, program, max_rows)?))
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        Ok(Box::new(RanksBuffer::new(&self.ranks, &data)?))
    }
}
