//! The processor.

use std::num::NonZeroUsize;
use std::sync::Arc;

use engine_core::backend::Backend;

use crate::EngineError;

/// Whether there are kernels for an instruction set of this name.
#[cfg(feature = "cpu")]
pub(super) fn knows(instruction_set: &str) -> bool {
    engine_cpu::InstructionSet::named(instruction_set).is_some()
}

#[cfg(not(feature = "cpu"))]
pub(super) fn knows(_: &str) -> bool {
    false
}

#[cfg(feature = "cpu")]
pub(super) fn open(
    threads: Option<NonZeroUsize>,
    instruction_set: Option<&str>,
) -> Result<Arc<dyn Backend>, EngineError> {
    let options = engine_cpu::CpuOptions {
        threads,
        instruction_set: instruction_set.and_then(engine_cpu::InstructionSet::named),
    };
    let backend = engine_cpu::CpuBackend::new(options).map_err(|e| EngineError::Device {
        device: "cpu".to_owned(),
        reason: e.to_string(),
        remedies: Vec::new(),
    })?;
    Ok(Arc::new(backend))
}

#[cfg(not(feature = "cpu"))]
pub(super) fn open(_: Option<NonZeroUsize>, _: Option<&str>) -> Result<Arc<dyn Backend>, EngineError> {
    Err(super::choice::not_built("cpu"))
}
