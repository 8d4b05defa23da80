//! The CUDA backend: runs programs of the core on NVIDIA GPUs with hand-written kernels. The kernels in `kernels/` include no header of
//! CUDA: NVRTC compiles them at run time for the device that is found (compiled kernels are cached on disk), and the tests compile the
//! same files as C++ and run them on the host. Compiling a program fuses nodes that one kernel can compute together, gives every value an
//! address, and assigns the launches to streams so that independent ones run concurrently. The first run captures the launches of a few
//! steps in CUDA graphs; from then on a run launches graphs, and the scalars of each step (seed, step number, learning rate) are read from
//! a table in device memory, so the host sends nothing between steps. Tables that do not fit into the device's memory stay in pinned
//! memory of the host, and the rows of the next steps are fetched while the current ones run. [`CudaRanks`] runs a program data-parallel on
//! several GPUs: each computes a shard of every batch, and NCCL sums gradients and losses. No sum depends on the order in which threads
//! finish, so that the same seed gives the same bits on the same device.

#![deny(missing_docs)]

mod backend;
mod bindings;
mod buffer;
mod checks;
pub mod driver;
pub mod error;
mod executable;
mod fused_nodes;
mod kernels;
mod memory;
mod options;
mod profile;
mod ranks;
mod running;
mod schedule;
mod shard;
pub mod source;
mod step_graphs;
mod steps;
mod streaming;
mod table;
mod values;

pub use backend::{CudaBackend, LARGEST_BUFFER, LaunchTime};
pub use error::CudaError;
pub use options::CudaOptions;
pub use ranks::CudaRanks;
