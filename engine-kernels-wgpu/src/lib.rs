//! The wgpu backend: hand-written WGSL kernels on every device that speaks Vulkan, Metal or Direct3D 12.
//!
//! Values lie row-major in buffers that the memory plan of the core shares among them. A program is compiled to a list of
//! dispatches with their pipelines and descriptors; a step replays them, several steps a submission, and nothing is read back
//! before someone asks. Every sum has one order and no kernel adds floating-point numbers by atomics, so that one device gives
//! the same bits for the same seed. Errors of the driver come back as [`engine_core::backend::BackendError`].

mod adapter;
mod backend;
mod buffer;
mod compiler;
mod error;
mod executable;
mod gpu;
mod grid;
mod kernel;
mod kernels;
mod profile;
mod shaders;
mod step;
mod table;

pub use adapter::{AdapterChoice, AdapterDescription, AdapterKind, adapters};
pub use backend::{WgpuBackend, WgpuOptions};
pub use error::WgpuError;
pub use profile::LaunchTime;
