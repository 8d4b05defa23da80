//! The wgpu backend: runs programs of the core with hand-written WGSL kernels on any device that Vulkan, Metal or Direct3D 12 reaches.
//! Values are row-major, in buffers that the memory plan of the core assigns. Compiling a program makes a list of dispatches, each with its
//! pipeline, its bindings and, where an op has layers of many sizes, a descriptor buffer that tells the workgroups which tile of which layer
//! they compute. A run submits the dispatches of several steps at a time, and nothing is read back until results are requested.
//! Sums over the rows of a batch are split into slices whose number depends on the program alone; every sum has a fixed order, and no
//! kernel adds floating-point values by atomics, so that one device gives the same bits for the same seed. Drivers that limit how long a
//! kernel runs get long draws in several dispatches. Errors of the driver are returned as [`engine_core::backend::BackendError`].

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
