//! Devices by name.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

use engine_core::backend::{Backend, DeviceInfo};

use crate::EngineError;

/// Backends that this program knows, in the order in which `auto` tries them, and whether they are built in.
const BACKENDS: [(&str, bool); 3] = [("cuda", false), ("wgpu", false), ("cpu", cfg!(feature = "cpu"))];
const SHOWN_CHARS: usize = 40;

/// Where programs run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// The backend, `None` for the best that is built in.
    backend: Option<&'static str>,
    /// Threads of a CPU; `None` takes `RAYON_NUM_THREADS` or all cores.
    threads: Option<NonZeroUsize>,
}

impl Device {
    /// The processor of this machine.
    pub const CPU: Self = Self {
        backend: Some("cpu"),
        threads: None,
    };

    /// The same device with another number of threads; it changes the speed, never a result.
    #[must_use]
    pub fn with_threads(self, threads: Option<NonZeroUsize>) -> Self {
        Self { threads, ..self }
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`EngineError::DeviceNotBuilt`] and [`EngineError::Device`] when it cannot be used.
    pub fn open(&self) -> Result<Arc<dyn Backend>, EngineError> {
        let built = || BACKENDS.iter().find(|(_, built)| *built).map(|(name, _)| *name);
        match self.backend.or_else(built) {
            Some("cpu") => open_cpu(self.threads),
            name => Err(EngineError::DeviceNotBuilt {
                device: name.unwrap_or("cpu"),
                known: known(),
            }),
        }
    }
}

impl FromStr for Device {
    type Err = EngineError;

    /// Reads `auto` or the name of a backend.
    fn from_str(name: &str) -> Result<Self, EngineError> {
        if name.eq_ignore_ascii_case("auto") {
            return Ok(Self::default());
        }
        match BACKENDS
            .iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
        {
            Some((backend, true)) => Ok(Self {
                backend: Some(backend),
                threads: None,
            }),
            Some((device, false)) => Err(EngineError::DeviceNotBuilt {
                device,
                known: known(),
            }),
            None => Err(EngineError::UnknownDevice {
                device: name.chars().take(SHOWN_CHARS).collect(),
                known: known(),
            }),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.backend.unwrap_or("auto"))
    }
}

/// Devices for a message: `auto or cpu`.
fn known() -> String {
    let mut names = vec!["auto"];
    names.extend(BACKENDS.iter().filter(|(_, built)| *built).map(|(name, _)| *name));
    names.join(" or ")
}

/// The devices of this machine that this program can use, the one of `auto` first.
///
/// # Errors
/// [`EngineError::Device`] when one cannot be asked.
pub fn devices() -> Result<Vec<DeviceInfo>, EngineError> {
    let built = BACKENDS.iter().filter(|(_, built)| *built);
    let info = built.map(|(name, _)| name.parse::<Device>()?.open().map(|backend| backend.device()));
    info.collect()
}

/// Limits what runs outside a device (reading, analyzing, encoding, decoding) to so many threads. It takes effect once,
/// before that work begins, and changes the speed, never a result.
///
/// # Errors
/// [`EngineError::Device`] when such work has begun, or threads cannot be started.
pub fn limit_threads(threads: NonZeroUsize) -> Result<(), EngineError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get());
    pool.build_global().map_err(|e| EngineError::Device {
        device: "cpu".to_owned(),
        reason: e.to_string(),
    })
}

#[cfg(feature = "cpu")]
fn open_cpu(threads: Option<NonZeroUsize>) -> Result<Arc<dyn Backend>, EngineError> {
    let options = engine_cpu::CpuOptions {
        threads,
        ..engine_cpu::CpuOptions::default()
    };
    let backend = engine_cpu::CpuBackend::new(options).map_err(|e| EngineError::Device {
        device: "cpu".to_owned(),
        reason: e.to_string(),
    })?;
    Ok(Arc::new(backend))
}

#[cfg(not(feature = "cpu"))]
fn open_cpu(_: Option<NonZeroUsize>) -> Result<Arc<dyn Backend>, EngineError> {
    Err(EngineError::DeviceNotBuilt {
        device: "cpu",
        known: known(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_by_name() {
        assert_eq!("auto".parse::<Device>().unwrap(), Device::default());
        assert_eq!("CPU".parse::<Device>().unwrap(), Device::CPU);
        let error = |name: &str| name.parse::<Device>().unwrap_err().to_string();
        assert_eq!(error("gpu"), "there is no device \"gpu\"; use auto or cpu");
        assert_eq!(
            error("cuda"),
            "the device \"cuda\" is not built into this program; use auto or cpu, or build it with the feature `cuda`"
        );
    }

    #[test]
    fn threads_are_those_asked_for() {
        let device = Device::CPU.with_threads(NonZeroUsize::new(3));
        assert_eq!(device.open().unwrap().device().parallelism, 3);
        assert_eq!(devices().unwrap()[0].backend, "cpu");
    }
}
