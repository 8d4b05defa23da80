//! What a launch may ask of a device, checked in debug builds before the driver does: its own message names neither the kernel nor
//! the bound.

use crate::driver::Launch;
use crate::error::CudaError;

/// Most blocks along y and z; along x there may be 2³¹ - 1.
const MAX_BLOCKS_YZ: u32 = 65_535;

/// Bytes of an argument struct that all supported devices and drivers take.
const MAX_ARGUMENT_BYTES: usize = 4096;

/// Bounds of a kernel on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Threads of a block, as the registers of the kernel and its declaration allow.
    pub(crate) threads: u32,
    /// Dynamic shared memory of a block in bytes.
    pub(crate) shared: u32,
}

impl Bounds {
    /// Checks a launch.
    ///
    /// # Errors
    /// [`CudaError::Driver`] that names the bound.
    pub(crate) fn check(&self, launch: &Launch<'_>) -> Result<(), CudaError> {
        let [x, y, z] = launch.grid;
        let reason = if x == 0 || y == 0 || z == 0 || launch.block == 0 {
            format!(
                "a grid of {x} x {y} x {z} blocks of {} threads is empty",
                launch.block
            )
        } else if x > i32::MAX as u32 || y > MAX_BLOCKS_YZ || z > MAX_BLOCKS_YZ {
            format!("a grid of {x} x {y} x {z} blocks is too large")
        } else if launch.block > self.threads {
            format!(
                "a block of {} threads; there may be {}",
                launch.block, self.threads
            )
        } else if launch.shared > self.shared {
            format!(
                "a block with {} bytes of shared memory; there are {}",
                launch.shared, self.shared
            )
        } else if launch.args.len() > MAX_ARGUMENT_BYTES {
            format!("{} bytes of arguments", launch.args.len())
        } else {
            return Ok(());
        };
        Err(CudaError::Driver {
            call: "cuLaunchKernel",
            reason: format!("kernel {}: {reason}", launch.kernel),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(grid: [u32; 3], block: u32, shared: u32) -> Result<(), String> {
        let launch = Launch {
            kernel: "relu",
            grid,
            block,
            shared,
            args: &[],
        };
        let bounds = Bounds {
            threads: 256,
            shared: 1000,
        };
        bounds.check(&launch).map_err(|error| error.to_string())
    }

    #[test]
    fn bounds_are_inclusive() {
        assert_eq!(check([i32::MAX as u32, 65_535, 65_535], 256, 1000), Ok(()));
        assert_eq!(check([1, 1, 1], 1, 0), Ok(()));
    }

    #[test]
    fn each_bound_is_named() {
        let message = |grid, block, shared| check(grid, block, shared).unwrap_err();
        assert!(
            message([0, 1, 1], 1, 0)
                .contains("kernel relu: a grid of 0 x 1 x 1 blocks of 1 threads is empty")
        );
        assert!(message([1, 1, 1], 0, 0).contains("is empty"));
        assert!(message([1 << 31, 1, 1], 1, 0).contains("too large"));
        assert!(message([1, 65_536, 1], 1, 0).contains("too large"));
        assert!(message([1, 1, 65_536], 1, 0).contains("too large"));
        assert!(message([1, 1, 1], 257, 0).contains("a block of 257 threads; there may be 256"));
        assert!(message([1, 1, 1], 1, 1001).contains("1001 bytes of shared memory; there are 1000"));
    }

    #[test]
    fn arguments_are_bounded() {
        let bounds = Bounds {
            threads: 1,
            shared: 0,
        };
        let args = vec![0; MAX_ARGUMENT_BYTES + 1];
        let launch = |args| Launch {
            kernel: "relu",
            grid: [1; 3],
            block: 1,
            shared: 0,
            args,
        };
        assert!(bounds.check(&launch(&args[1..])).is_ok());
        assert!(bounds.check(&launch(&args)).is_err());
    }
}
