//! The kernels for a device: from the cache, else from NVRTC.

use crate::driver::cache::{Cache, Key};
use crate::driver::nvrtc::{Nvrtc, Target};
use crate::driver::probe::version_name;
use crate::error::CudaError;
use crate::source::{FILES, TENSOR_CORES};

/// What the driver loads: machine code, or text that ends with zero.
pub(crate) fn kernels(
    compute_capability: (u32, u32),
    driver_version: i32,
    tensor_cores: bool,
) -> Result<Vec<u8>, CudaError> {
    let driver_major = driver_version.unsigned_abs() / 1000;
    let nvrtc = Nvrtc::load(driver_major)?;
    check_version(&nvrtc, driver_version)?;
    let target = nvrtc.target(compute_capability);
    let definitions: &[&str] = if tensor_cores { &[TENSOR_CORES] } else { &[] };
    compiled(&nvrtc, target, definitions, &Cache::from_environment())
}

/// Compiles unless the cache holds the kernels.
fn compiled(
    nvrtc: &Nvrtc,
    target: Target,
    definitions: &[&str],
    cache: &Cache,
) -> Result<Vec<u8>, CudaError> {
    let key = Key::new(FILES, target, definitions, nvrtc.version());
    if let Some(image) = cache.get(&key) {
        return Ok(image);
    }
    let compiled = nvrtc.compile(FILES, target, definitions)?;
    if !compiled.log.is_empty() {
        tracing::debug!(log = compiled.log, "NVRTC");
    }
    cache.put(&key, &compiled.image);
    Ok(compiled.image)
}

/// A driver runs the code of any compiler of its major version, but not that of a later one.
fn check_version(nvrtc: &Nvrtc, driver_version: i32) -> Result<(), CudaError> {
    if nvrtc.version().0 > driver_version.unsigned_abs() / 1000 {
        return Err(CudaError::OldDriver {
            found: version_name(driver_version),
            needed: "13.0 (the version of the NVRTC that was found)",
        });
    }
    Ok(())
}
