//! NVIDIA GPUs by CUDA.

use std::sync::Arc;

use engine_core::backend::{Backend, DeviceInfo};

use crate::EngineError;
#[cfg(feature = "cuda")]
use crate::device::choice::Choice;
use crate::device::choice::Gpus;

/// Opens GPUs: one by itself, several as one device.
#[cfg(feature = "cuda")]
pub(super) fn open(gpus: &Gpus, tensor_cores: bool) -> Result<Arc<dyn Backend>, EngineError> {
    use engine_kernels_cuda::{CudaBackend, CudaError, CudaOptions, CudaRanks};

    let options = CudaOptions {
        tensor_cores,
        ..CudaOptions::default()
    };
    let open = || -> Result<Arc<dyn Backend>, CudaError> {
        let numbers = match gpus {
            Gpus::All => (0..engine_kernels_cuda::driver::devices()?.len()).collect(),
            Gpus::Numbers(numbers) => numbers.clone(),
        };
        Ok(match numbers.as_slice() {
            [] => Arc::new(CudaBackend::open_with(0, options)?),
            [number] => Arc::new(CudaBackend::open_with(*number, options)?),
            numbers => Arc::new(CudaRanks::open_with(numbers, options)?),
        })
    };
    open().map_err(|e| EngineError::Device {
        device: Choice::Cuda(gpus.clone()).to_string(),
        reason: e.to_string(),
        remedies: e.remedies(),
    })
}

#[cfg(not(feature = "cuda"))]
pub(super) fn open(_: &Gpus, _: bool) -> Result<Arc<dyn Backend>, EngineError> {
    Err(super::choice::not_built("cuda"))
}

/// The GPUs of this machine; that the driver cannot be asked is logged.
#[cfg(feature = "cuda")]
pub(super) fn devices() -> Vec<DeviceInfo> {
    let found = engine_kernels_cuda::driver::devices().unwrap_or_else(|error| {
        tracing::warn!("cuda cannot be used: {error}");
        Vec::new()
    });
    let info = |device: engine_kernels_cuda::driver::Device| DeviceInfo {
        backend: "cuda",
        parallelism: device.multiprocessors as usize,
        memory: Some(device.memory),
        largest_buffer: Some(engine_kernels_cuda::LARGEST_BUFFER),
        device: device.name,
    };
    found.into_iter().map(info).collect()
}

#[cfg(not(feature = "cuda"))]
pub(super) fn devices() -> Vec<DeviceInfo> {
    Vec::new()
}

#[cfg(all(test, feature = "cuda"))]
mod tests {
    use engine_core::remedy::Remedy;

    use crate::Device;

    #[test]
    fn missing_gpus_get_one_sentence() {
        // There is no machine with so many.
        for name in ["cuda:999", "cuda:998,999"] {
            let device: Device = name.parse().unwrap();
            let error = device.open().err().unwrap();
            assert_eq!(error.remedies().last(), Some(&Remedy::device("cpu")), "{error}");
            let error = error.to_string();
            assert!(
                error.starts_with(&format!("the device {name} cannot be used: ")) && !error.contains('\n'),
                "{error}"
            );
        }
    }
}
