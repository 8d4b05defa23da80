//! Devices by name: what a user may name, and what it opens. A backend has a file here, a choice in [`choice::Choice`], and a line in
//! each match below.

mod choice;
mod cpu;
mod cuda;
mod wgpu;

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use engine_core::backend::{Backend, DeviceInfo};

use crate::EngineError;
use choice::{BACKENDS, Choice, Gpus, not_built};

/// Devices in use, as they were requested: to open a GPU takes longer than to train on a small table.
static OPENED: Mutex<Vec<(Device, Weak<dyn Backend>)>> = Mutex::new(Vec::new());

/// Where programs run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    choice: Choice,
    /// Threads of a CPU; `None` takes `RAYON_NUM_THREADS` or all cores.
    threads: Option<NonZeroUsize>,
    /// Whether products run on tensor cores.
    tensor_cores: bool,
    /// Whether a wgpu device keeps the tables that rows are drawn from in half precision.
    half_tables: bool,
}

impl Device {
    /// The processor of this machine.
    pub const CPU: Self = Self {
        choice: Choice::Cpu(None),
        threads: None,
        tensor_cores: false,
        half_tables: false,
    };

    /// The same device with another number of threads; it changes the speed, never a result.
    #[must_use]
    pub fn with_threads(self, threads: Option<NonZeroUsize>) -> Self {
        Self { threads, ..self }
    }

    /// The same device with the products of the linear layers on tensor cores, where it has them (`cuda`, compute capability 8.0 or more): their
    /// factors are rounded to TF32, ten bits behind the point. An older GPU, and another that `auto` finds, stays as it is; `cpu` and `wgpu` cannot be
    /// opened then.
    #[must_use]
    pub fn with_tensor_cores(self, tensor_cores: bool) -> Self {
        Self { tensor_cores, ..self }
    }

    /// The same device, with the tables that rows are drawn from in half precision: half the memory, and probabilities that are off by
    /// about a thousandth. Only wgpu has it; another device cannot be opened then, and where `auto` finds another it has no effect.
    #[must_use]
    pub fn with_half_tables(self, half_tables: bool) -> Self {
        Self { half_tables, ..self }
    }

    /// Opens the device; `auto` the first that can be opened and is no driver in software. While it is in use, opening it
    /// again gives the same device.
    ///
    /// # Errors
    /// [`EngineError::DeviceNotBuilt`], [`EngineError::UnknownDevice`] and [`EngineError::Device`] when it cannot be used.
    pub fn open(&self) -> Result<Arc<dyn Backend>, EngineError> {
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        opened.retain(|(_, backend)| backend.strong_count() > 0);
        let known = opened.iter().find(|(device, _)| device == self);
        if let Some(backend) = known.and_then(|(_, backend)| backend.upgrade()) {
            return Ok(backend);
        }
        let backend = self.open_anew()?;
        opened.push((self.clone(), Arc::downgrade(&backend)));
        Ok(backend)
    }

    /// Why the device cannot be what it was asked to be.
    fn refusal(&self) -> Option<&'static str> {
        match self.choice {
            Choice::Cpu(_) | Choice::Cuda(_) if self.half_tables => {
                Some("only wgpu keeps tables in half precision")
            }
            Choice::Cpu(_) | Choice::Wgpu(_) if self.tensor_cores => {
                Some("only cuda multiplies on tensor cores")
            }
            _ => None,
        }
    }

    fn open_anew(&self) -> Result<Arc<dyn Backend>, EngineError> {
        if let Some(reason) = self.refusal() {
            return Err(EngineError::Device {
                device: self.to_string(),
                reason: reason.to_owned(),
                remedies: Vec::new(),
            });
        }
        match &self.choice {
            Choice::Auto => self.open_first(),
            Choice::Cpu(which) => cpu::open(self.threads, which.as_deref()),
            Choice::Cuda(gpus) => cuda::open(gpus, self.tensor_cores),
            Choice::Wgpu(which) => wgpu::open(which.as_deref(), self.half_tables),
        }
    }

    /// Opens the first device that works; why the others do not is logged.
    fn open_first(&self) -> Result<Arc<dyn Backend>, EngineError> {
        let mut failure = not_built("cpu");
        for backend in BACKENDS.iter().filter(|b| b.built) {
            let opened = match backend.name {
                "cuda" => cuda::open(&Gpus::Numbers(vec![0]), self.tensor_cores),
                "wgpu" => wgpu::open_hardware(self.half_tables),
                _ => cpu::open(self.threads, None),
            };
            match opened {
                Ok(opened) => return Ok(opened),
                Err(error) => failure = error,
            }
            tracing::info!(%failure, "device skipped");
        }
        Err(failure)
    }
}

impl FromStr for Device {
    type Err = EngineError;

    /// Reads `auto`, the name of a backend, or the name and which of its devices, as `wgpu:1`, `cuda:0,1` or `cpu:portable`.
    fn from_str(text: &str) -> Result<Self, EngineError> {
        Ok(Self {
            choice: text.parse()?,
            ..Self::default()
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.choice.fmt(f)
    }
}

/// The devices of this machine that this program can use, in the order in which `auto` tries their backends; those of one backend by
/// their numbers.
///
/// # Errors
/// [`EngineError::Device`] when the processor cannot be asked.
pub fn devices() -> Result<Vec<DeviceInfo>, EngineError> {
    let mut all = Vec::new();
    for backend in BACKENDS.iter().filter(|b| b.built) {
        match backend.name {
            "cuda" => all.extend(cuda::devices()),
            "wgpu" => all.extend(wgpu::devices()),
            _ => all.push(Device::CPU.open()?.device()),
        }
    }
    Ok(all)
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
        remedies: Vec::new(),
    })
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    #[test]
    fn threads_are_those_asked_for() {
        let device = Device::CPU.with_threads(NonZeroUsize::new(3));
        assert_eq!(device.open().unwrap().device().parallelism, 3);
        assert_eq!(devices().unwrap().last().unwrap().backend, "cpu");
    }

    #[test]
    fn what_a_device_never_has_is_refused() {
        for (device, reason) in [
            (
                Device::CPU.with_half_tables(true),
                "only wgpu keeps tables in half precision",
            ),
            (
                Device::CPU.with_tensor_cores(true),
                "only cuda multiplies on tensor cores",
            ),
        ] {
            let error = device.open().err().unwrap().to_string();
            assert_eq!(error, format!("the device cpu cannot be used: {reason}"));
        }
        assert!(Device::default().with_half_tables(true).refusal().is_none());
    }

    #[test]
    fn a_device_in_use_is_shared() {
        let device = Device::CPU.with_threads(NonZeroUsize::new(2));
        let (first, second) = (device.open().unwrap(), device.open().unwrap());
        assert!(Arc::ptr_eq(&first, &second));
        let other = Device::CPU.with_threads(NonZeroUsize::new(1)).open().unwrap();
        assert!(!Arc::ptr_eq(&first, &other));
        let in_use = Arc::downgrade(&first);
        drop((first, second));
        assert!(in_use.upgrade().is_none(), "nothing holds it but its users");
    }

    #[test]
    fn auto_always_finds_a_device_and_it_is_listed() {
        let opened = Device::default().open().unwrap().device();
        assert!(devices().unwrap().contains(&opened), "{opened:?}");
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn auto_never_takes_an_adapter_in_software() {
        let all = devices().unwrap();
        let hardware = |d: &DeviceInfo| d.backend == "wgpu" && !d.device.contains("software");
        let opened = Device::default().open().unwrap().device();
        if all.iter().any(hardware) {
            assert!(hardware(&opened), "{opened:?}");
        } else {
            assert_eq!(opened.backend, "cpu");
        }
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn a_missing_adapter_is_named_with_those_that_are_there() {
        let device: Device = "wgpu:99".parse().unwrap();
        let error = device.open().err().unwrap().to_string();
        let known = devices().unwrap();
        let expected = if known.iter().any(|d| d.backend == "wgpu") {
            "there is no device \"wgpu:99\"; use a number or a part of a name: 0: "
        } else {
            "the device wgpu:99 cannot be used: no graphics driver offers a device"
        };
        assert!(error.starts_with(expected), "{error}");
    }
}
