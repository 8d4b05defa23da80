//! The processor.

use std::num::NonZeroUsize;
use std::sync::Arc;

use engine_core::backend::Backend;

use crate::EngineError;

#[cfg(feature = "cpu")]
pub(super) fn open(threads: Option<NonZeroUsize>) -> Result<Arc<dyn Backend>, EngineError> {
    let options = engine_cpu::CpuOptions {
        threads,
        ..engine_cpu::CpuOptions::default()
    };
    let backend = engine_cpu::CpuBackend::new(options).map_err(|e| EngineError::Device {
        device: "cpu".to_owned(),
        reason: e.to_string(),
        remedies: Vec::new(),
    })?;
    Ok(Arc::new(backend))
}

#[cfg(not(feature = "cpu"))]
pub(super) fn open(_: Option<NonZeroUsize>) -> Result<Arc<dyn Backend>, EngineError> {
    Err(super::choice::not_built("cpu"))
}
