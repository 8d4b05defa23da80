//! The CUDA backend: hand-written kernels, compiled at run time for the device that is found.
//!
//! The kernels in `kernels/` include no header of CUDA. NVRTC compiles them, the tests compile the same files as C++ for the host.

#![deny(missing_docs)]

pub mod driver;
pub mod error;
pub mod source;

pub use error::CudaError;
