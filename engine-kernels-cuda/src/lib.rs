//! The CUDA backend: hand-written kernels, compiled at run time for the device that is found.
//!
//! The kernels in `kernels/` include no header of CUDA. NVRTC compiles them, the tests compile the same files as C++ for the host.

#![deny(missing_docs)]

mod backend;
mod bindings;
mod buffer;
mod checks;
pub mod driver;
pub mod error;
mod executable;
mod kernels;
mod memory;
mod options;
mod profile;
mod ranks;
mod recorded;
mod running;
mod schedule;
mod share;
pub mod source;
mod stages;
mod steps;
mod streaming;
mod table;
mod values;

pub use backend::{CudaBackend, LARGEST_BUFFER, LaunchTime};
pub use error::CudaError;
pub use options::CudaOptions;
pub use ranks::CudaRanks;
