//! NVIDIA GPUs by CUDA.

use std::sync::Arc;

use engine_core::backend::{Backend, DeviceInfo};

use crate::EngineError;

/// Opens a GPU by its number.
#[cfg(feature = "cuda")]
pub(super) fn open(index: usize) -> Result<Arc<dyn Backend>, EngineError> {
    let backend = engine_kernels_cuda::CudaBackend::open(index).map_err(|e| EngineError::Device {
        device: format!("cuda:{index}"),
        reason: e.to_string(),
    })?;
    Ok(Arc::new(backend))
}

#[cfg(not(feature = "cuda"))]
pub(super) fn open(_: usize) -> Result<Arc<dyn Backend>, EngineError> {
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
    use crate::Device;

    #[test]
    fn a_gpu_that_is_not_there_is_told_in_one_sentence() {
        // There is no machine with so many.
        let device: Device = "cuda:999".parse().unwrap();
        let error = device.open().err().unwrap().to_string();
        assert!(
            error.starts_with("the device cuda:999 cannot be used: "),
            "{error}"
        );
        assert!(
            error.ends_with("use --device cpu") && !error.contains('\n'),
            "{error}"
        );
    }
}
