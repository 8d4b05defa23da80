//! Graphics devices.

#[cfg(feature = "wgpu")]
pub(super) use built::{devices, open, open_hardware};
#[cfg(not(feature = "wgpu"))]
pub(super) use not_built::{devices, open, open_hardware};

#[cfg(feature = "wgpu")]
mod built {
    use std::sync::Arc;

    use engine_core::backend::{Backend, DeviceInfo};
    use engine_core::remedy::Remedy;
    use engine_kernels_wgpu::{AdapterChoice, WgpuBackend, WgpuError, WgpuOptions, adapters};

    use crate::EngineError;

    /// Opens the best adapter, or the one of this number or name.
    pub(in crate::device) fn open(
        which: Option<&str>,
        half_tables: bool,
    ) -> Result<Arc<dyn Backend>, EngineError> {
        let adapter = match which.map(|w| (w, w.parse())) {
            None => AdapterChoice::Best,
            Some((_, Ok(index))) => AdapterChoice::Index(index),
            Some((name, Err(_))) => AdapterChoice::Name(name.to_owned()),
        };
        let options = WgpuOptions {
            adapter,
            half_tables,
            ..WgpuOptions::default()
        };
        match WgpuBackend::new(&options) {
            Ok(backend) => Ok(Arc::new(backend)),
            Err(WgpuError::UnknownAdapter { wanted, known }) => Err(EngineError::UnknownDevice {
                device: format!("wgpu:{wanted}"),
                known: format!("a number or a part of a name: {}", known.join(", ")),
            }),
            Err(error) => Err(failed(which, error.to_string(), error.remedies())),
        }
    }

    /// Opens the best adapter, if it is not one in software.
    pub(in crate::device) fn open_hardware(half_tables: bool) -> Result<Arc<dyn Backend>, EngineError> {
        if adapters().iter().all(|a| a.is_software()) {
            return Err(failed(
                None,
                "there is no adapter but in software".to_owned(),
                Vec::new(),
            ));
        }
        open(None, half_tables)
    }

    /// All adapters by their numbers.
    pub(in crate::device) fn devices() -> Vec<DeviceInfo> {
        let info = |adapter: &engine_kernels_wgpu::AdapterDescription| adapter.info();
        adapters().iter().map(info).collect()
    }

    fn failed(which: Option<&str>, reason: String, remedies: Vec<Remedy>) -> EngineError {
        let device = which.map_or_else(|| "wgpu".to_owned(), |w| format!("wgpu:{w}"));
        EngineError::Device {
            device,
            reason,
            remedies,
        }
    }
}

#[cfg(not(feature = "wgpu"))]
mod not_built {
    use std::sync::Arc;

    use engine_core::backend::{Backend, DeviceInfo};

    use crate::EngineError;
    use crate::device::choice::not_built;

    pub(in crate::device) fn open(_: Option<&str>, _: bool) -> Result<Arc<dyn Backend>, EngineError> {
        Err(not_built("wgpu"))
    }

    pub(in crate::device) fn open_hardware(_: bool) -> Result<Arc<dyn Backend>, EngineError> {
        Err(not_built("wgpu"))
    }

    pub(in crate::device) fn devices() -> Vec<DeviceInfo> {
        Vec::new()
    }
}
