//! What can go wrong with the driver, its compiler and the device.

use engine_core::backend::BackendError;
use thiserror::Error;

/// Why the CUDA backend cannot be used, or what failed on the device.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CudaError {
    /// The driver's library is missing.
    #[error("no NVIDIA driver was found ({tried}); install it, or use --device cpu")]
    NoDriver {
        /// Libraries that were tried.
        tried: String,
    },
    /// The run-time compiler's library is missing.
    #[error(
        "the run-time compiler of CUDA (NVRTC) was not found ({tried}); install the package cuda-nvrtc or PyPI's nvidia-cuda-nvrtc and name its folder in LD_LIBRARY_PATH, or use --device cpu"
    )]
    NoCompiler {
        /// Libraries that were tried.
        tried: String,
    },
    /// The driver is too old.
    #[error(
        "the NVIDIA driver knows CUDA {found}, at least {needed} is needed; update it, or use --device cpu"
    )]
    OldDriver {
        /// Version of CUDA that the driver knows.
        found: String,
        /// Version that is needed.
        needed: &'static str,
    },
    /// The driver's library lacks a function.
    #[error("the NVIDIA driver lacks {symbol}; update it, or use --device cpu")]
    MissingSymbol {
        /// The function.
        symbol: String,
    },
    /// There is no such device.
    #[error("there is no CUDA device {index}, this machine has {count}; use cuda:0 to cuda:{}, or --device cpu", count.saturating_sub(1))]
    NoDevice {
        /// Index that was asked for.
        index: usize,
        /// Number of devices.
        count: usize,
    },
    /// The device's architecture is not supported.
    #[error(
        "{device} has compute capability {}.{}, at least 7.5 is needed; use --device cpu", found.0, found.1
    )]
    OldDevice {
        /// The device.
        device: String,
        /// Its compute capability.
        found: (u32, u32),
    },
    /// The kernels do not compile.
    #[error("NVRTC cannot compile the kernels for {architecture}: {log}")]
    Compile {
        /// Architecture compiled for.
        architecture: String,
        /// What the compiler says.
        log: String,
    },
    /// Memory does not suffice.
    #[error("{device} has no room for {bytes} bytes more; use a smaller batch or model, or --device cpu")]
    OutOfMemory {
        /// The device.
        device: String,
        /// Bytes that were asked for.
        bytes: u64,
    },
    /// A call of the driver failed.
    #[error("{call} failed: {reason}")]
    Driver {
        /// The call.
        call: &'static str,
        /// What the driver says.
        reason: String,
    },
    /// No kernel has this name.
    #[error("the compiled kernels lack {kernel:?}; remove the kernel cache and try again")]
    UnknownKernel {
        /// The kernel.
        kernel: &'static str,
    },
}

impl From<CudaError> for BackendError {
    fn from(error: CudaError) -> Self {
        Self::Device {
            device: "cuda".to_owned(),
            reason: error.to_string(),
        }
    }
}
