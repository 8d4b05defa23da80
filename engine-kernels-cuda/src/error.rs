//! What can go wrong with the driver, its compiler and the device.

use engine_core::backend::BackendError;
use engine_core::remedy::{OptionKey, Remedy};
use thiserror::Error;

/// Why the CUDA backend cannot be used, or what failed on the device.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CudaError {
    /// The driver's library is missing.
    #[error("no NVIDIA driver was found ({tried})")]
    NoDriver {
        /// Libraries that were tried.
        tried: String,
    },
    /// The run-time compiler's library is missing.
    #[error("the run-time compiler of CUDA (NVRTC) was not found ({tried})")]
    NoCompiler {
        /// Libraries that were tried.
        tried: String,
    },
    /// The driver is too old.
    #[error("the NVIDIA driver knows CUDA {found}, at least {needed} is needed")]
    OldDriver {
        /// Version of CUDA that the driver knows.
        found: String,
        /// Version that is needed.
        needed: &'static str,
    },
    /// The driver's library lacks a function.
    #[error("the NVIDIA driver lacks {symbol}")]
    MissingSymbol {
        /// The function.
        symbol: String,
    },
    /// There is no such device.
    #[error("there is no CUDA device {index}{}", others(*count))]
    NoDevice {
        /// Index that was asked for.
        index: usize,
        /// Number of devices.
        count: usize,
    },
    /// The device's architecture is not supported.
    #[error(
        "{device} has compute capability {}.{}, at least 7.5 is needed", found.0, found.1
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
    #[error("{device} cannot allocate {bytes} bytes more")]
    OutOfMemory {
        /// The device.
        device: String,
        /// Bytes that were asked for.
        bytes: u64,
    },
    /// The library that sums over several devices is missing.
    #[error("NCCL, which several GPUs need, was not found ({tried})")]
    NoNccl {
        /// Libraries that were tried.
        tried: String,
    },
    /// A call of that library failed.
    #[error("{call} failed: {reason}")]
    Nccl {
        /// The call.
        call: &'static str,
        /// What the library says.
        reason: String,
    },
    /// A device failed, and the others with it.
    #[error("another of the GPUs failed, so the sums over all of them were given up")]
    GivenUp,
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

impl CudaError {
    /// What a user can do about it, beside what the text says.
    pub fn remedies(&self) -> Vec<Remedy> {
        let cpu = || Remedy::device("cpu");
        match self {
            Self::NoDriver { .. } => vec![Remedy::outside("install it"), cpu()],
            Self::NoCompiler { .. } => vec![Remedy::outside(NVRTC), cpu()],
            Self::OldDriver { .. } | Self::MissingSymbol { .. } => vec![Remedy::outside("update it"), cpu()],
            Self::NoDevice { count: 0, .. } | Self::OldDevice { .. } => vec![cpu()],
            Self::NoDevice { .. } => vec![Remedy::device("cuda:0"), cpu()],
            Self::OutOfMemory { .. } => vec![
                Remedy::LowerOption(OptionKey::BatchSize),
                Remedy::LowerOption(OptionKey::ModelSize),
                cpu(),
            ],
            Self::NoNccl { .. } => vec![Remedy::outside(NCCL), Remedy::device("cuda:0")],
            _ => Vec::new(),
        }
    }
}

/// How one comes by the run-time compiler.
const NVRTC: &str =
    "install the package cuda-nvrtc or PyPI's nvidia-cuda-nvrtc and name its folder in LD_LIBRARY_PATH";
/// How one comes by the library that sums over several devices.
const NCCL: &str = "install the package libnccl2 or PyPI's nvidia-nccl and name its folder in ENGINE_NCCL";

/// Which devices there are, for a message.
fn others(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => ", only cuda:0".to_owned(),
        _ => format!(", only cuda:0 to cuda:{}", count - 1),
    }
}

impl From<CudaError> for BackendError {
    fn from(error: CudaError) -> Self {
        Self::Device {
            device: "cuda".to_owned(),
            reason: error.to_string(),
            remedies: error.remedies(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_device_names_those_that_there_are() {
        let message = |count| CudaError::NoDevice { index: 7, count }.to_string();
        assert_eq!(message(0), "there is no CUDA device 7");
        assert_eq!(message(1), "there is no CUDA device 7, only cuda:0");
        assert_eq!(message(4), "there is no CUDA device 7, only cuda:0 to cuda:3");
    }

    #[test]
    fn messages_are_one_sentence_on_one_line_and_the_last_resort_is_the_processor() {
        let text = || "x".to_owned();
        let all = [
            CudaError::NoDriver { tried: text() },
            CudaError::NoCompiler { tried: text() },
            CudaError::OldDriver {
                found: text(),
                needed: "12.0",
            },
            CudaError::MissingSymbol { symbol: text() },
            CudaError::NoDevice { index: 0, count: 0 },
            CudaError::OldDevice {
                device: text(),
                found: (7, 0),
            },
            CudaError::OutOfMemory {
                device: text(),
                bytes: 1,
            },
        ];
        for error in all {
            let message = error.to_string();
            assert!(!message.contains('\n') && !message.contains(". "), "{message}");
            assert_eq!(error.remedies().last(), Some(&Remedy::device("cpu")), "{message}");
        }
    }
}
