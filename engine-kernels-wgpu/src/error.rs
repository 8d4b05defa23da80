//! What can go wrong with a graphics device, and what to do about it.

use engine_core::backend::BackendError;
use engine_core::remedy::{OptionKey, Remedy};
use thiserror::Error;

/// Name of this backend in errors and for users.
pub(crate) const NAME: &str = "wgpu";

/// How one comes by a graphics device.
const DRIVERS: &str =
    "install the driver of your GPU, or one in software (on Debian the package mesa-vulkan-drivers)";

/// Why a device cannot be opened, or failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WgpuError {
    /// No driver offers a device.
    #[error("no graphics driver offers a device")]
    NoAdapter,
    /// No adapter has the requested index or name.
    #[error("there is no adapter {wanted:?}; there are: {}", known.join(", "))]
    UnknownAdapter {
        /// Number or name.
        wanted: String,
        /// Adapters of this machine, `0: name`.
        known: Vec<String>,
    },
    /// The adapter lacks what every kernel needs.
    #[error("adapter {adapter} allows {has} {what}, {needed} are needed")]
    TooSmall {
        /// The adapter.
        adapter: String,
        /// What it lacks.
        what: &'static str,
        /// What is needed.
        needed: u64,
        /// What it has.
        has: u64,
    },
    /// The driver refuses to open the device.
    #[error("adapter {adapter} cannot be opened: {reason}")]
    Refused {
        /// The adapter.
        adapter: String,
        /// What the driver says.
        reason: String,
    },
    /// The memory of the device does not suffice.
    #[error("its memory does not suffice")]
    OutOfMemory,
    /// The device was lost: it was removed, reset, or a step took longer than its driver allows.
    #[error("the device was lost ({reason})")]
    Lost {
        /// What the driver says.
        reason: String,
    },
    /// The driver refuses a shader or a command: an error of this program or of the driver.
    #[error("the driver refuses a shader or a command, please file a bug: {description}")]
    Invalid {
        /// What the driver says.
        description: String,
    },
}

impl WgpuError {
    /// What a user can do about it, beside what the text says.
    pub fn remedies(&self) -> Vec<Remedy> {
        let cpu = || Remedy::device("cpu");
        match self {
            Self::NoAdapter => vec![Remedy::outside(DRIVERS), cpu()],
            Self::TooSmall { .. } => vec![Remedy::outside("use another adapter"), cpu()],
            Self::Refused { .. } => vec![Remedy::outside("update its driver"), cpu()],
            Self::OutOfMemory => vec![
                Remedy::LowerOption(OptionKey::BatchSize),
                Remedy::LowerOption(OptionKey::ModelSize),
                Remedy::outside("close other programs"),
                cpu(),
            ],
            Self::Lost { .. } => vec![
                Remedy::SetOption {
                    option: OptionKey::State,
                    value: Some("resume".to_owned()),
                },
                Remedy::LowerOption(OptionKey::BatchSize),
                cpu(),
            ],
            Self::UnknownAdapter { .. } | Self::Invalid { .. } => Vec::new(),
        }
    }

    /// The same as an error of a backend.
    pub(crate) fn on(self, device: &str) -> BackendError {
        BackendError::Device {
            device: device.to_owned(),
            reason: self.to_string(),
            remedies: self.remedies(),
        }
    }
}

impl From<wgpu::Error> for WgpuError {
    fn from(error: wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory,
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                Self::Invalid { description }
            }
        }
    }
}
