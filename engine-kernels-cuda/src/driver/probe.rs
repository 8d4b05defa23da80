//! Looks for the driver's library before the bindings do, which panic when it or a function of it is missing.

use std::sync::OnceLock;

use libloading::Library;

use crate::error::CudaError;

/// What the bindings call of the driver.
pub(crate) const SYMBOLS: &[&str] = &[
    "cuCtxSetCurrent",
    "cuDeviceGet",
    "cuDeviceGetAttribute",
    "cuDeviceGetCount",
    "cuDeviceGetName",
    "cuDevicePrimaryCtxRelease_v2",
    "cuDevicePrimaryCtxRetain",
    "cuDeviceTotalMem_v2",
    "cuDriverGetVersion",
    "cuEventCreate",
    "cuEventDestroy_v2",
    "cuEventRecord",
    "cuFuncGetAttribute",
    "cuFuncSetAttribute",
    "cuGetErrorString",
    "cuGraphDestroy",
    "cuGraphExecDestroy",
    "cuGraphInstantiateWithFlags",
    "cuGraphLaunch",
    "cuInit",
    "cuLaunchKernel",
    "cuMemAlloc_v2",
    "cuMemFreeHost",
    "cuMemFree_v2",
    "cuMemGetInfo_v2",
    "cuMemHostAlloc",
    "cuMemcpyDtoHAsync_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuModuleGetFunction",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuStreamBeginCapture_v2",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamEndCapture",
    "cuStreamSynchronize",
    "cuStreamWaitEvent",
    "cuThreadExchangeStreamCaptureMode",
];

/// Oldest version of CUDA that the driver must know, as `cuDriverGetVersion` tells it.
const OLDEST_VERSION: i32 = 12_000;

/// The same for people.
const OLDEST_VERSION_NAME: &str = "12.0";

/// The names that the bindings try, in their order.
fn candidates() -> Vec<String> {
    let names = ["cuda", "nvcuda"].into_iter();
    names.flat_map(cudarc::get_lib_name_candidates).collect()
}

/// `12.4` of 12040.
pub(crate) fn version_name(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

/// The first library of some names that loads.
fn first_library(names: &[String]) -> Option<Library> {
    // SAFETY: these are names of the NVIDIA driver; whoever installs another library under them runs it in every program
    // that uses CUDA.
    names.iter().find_map(|name| unsafe { Library::new(name) }.ok())
}

/// Checks a library that was found: all symbols that are called, and the version.
fn check(library: &Library) -> Result<i32, CudaError> {
    for symbol in SYMBOLS {
        // SAFETY: the symbol is looked up and not called.
        let found = unsafe { library.get::<unsafe extern "C" fn()>(symbol.as_bytes()) };
        if found.is_err() {
            return Err(CudaError::MissingSymbol {
                symbol: (*symbol).to_owned(),
            });
        }
    }
    let mut version = 0;
    // SAFETY: the function has this type in all versions, and may be called before `cuInit`.
    let status = unsafe {
        let get_version = library.get::<unsafe extern "C" fn(*mut i32) -> i32>(b"cuDriverGetVersion");
        get_version.map(|f| f(&raw mut version))
    };
    match status {
        Ok(0) if version >= OLDEST_VERSION => Ok(version),
        Ok(0) => Err(CudaError::OldDriver {
            found: version_name(version),
            needed: OLDEST_VERSION_NAME,
        }),
        status => Err(CudaError::Driver {
            call: "cuDriverGetVersion",
            reason: format!("{status:?}"),
        }),
    }
}

/// Finds the driver's library, with all that is called of it. The version of CUDA that it knows, 12040 for 12.4.
///
/// # Errors
/// [`CudaError::NoDriver`], [`CudaError::MissingSymbol`], [`CudaError::OldDriver`].
pub(crate) fn driver_version() -> Result<i32, CudaError> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    let names = candidates();
    let library = LIBRARY.get_or_init(|| first_library(&names));
    let library = library.as_ref().ok_or_else(|| CudaError::NoDriver {
        tried: "libcuda.so, libcuda.so.1".to_owned(),
    })?;
    check(library)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bindings_find_what_distributions_install() {
        let names = candidates();
        for name in ["libcuda.so", "libcuda.so.1"] {
            assert!(
                cfg!(not(target_os = "linux")) || names.iter().any(|n| n == name),
                "{names:?}"
            );
        }
    }

    #[test]
    fn symbols_are_sorted_and_distinct() {
        assert!(SYMBOLS.is_sorted_by(|a, b| a < b), "{SYMBOLS:?}");
    }

    #[test]
    fn symbols_are_those_of_the_driver_that_tests_call() {
        // What the tests' driver does not have would make the bindings panic in `tests/driver.rs`, so it has all that is called.
        let text = include_str!("../../tests/driver/libcuda.c");
        let declared = text
            .lines()
            .filter_map(|line| line.strip_prefix("int cu")?.split('(').next());
        let mut declared: Vec<String> = declared.map(|name| format!("cu{name}")).collect();
        declared.sort();
        assert_eq!(declared, SYMBOLS);
    }

    #[test]
    fn versions_read_as_people_write_them() {
        assert_eq!(version_name(12_040), "12.4");
        assert_eq!(version_name(OLDEST_VERSION), OLDEST_VERSION_NAME);
        assert_eq!(version_name(13_000), "13.0");
    }

    #[test]
    fn a_library_without_the_functions_is_refused() {
        // The math library is on every machine that runs this, and is no driver.
        let library = first_library(&["libm.so.6".to_owned(), "libSystem.dylib".to_owned()]);
        let Some(library) = library else { return };
        let error = check(&library).unwrap_err();
        assert_eq!(error.to_string(), "the NVIDIA driver lacks cuCtxSetCurrent");
    }
}
