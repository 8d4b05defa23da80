//! The CPU backend: SIMD kernels over slices and `Groups`, threads by rayon.
//!
//! Values lie feature-major in blocks of 32 rows, so that every kernel runs along the rows: widths of 3, 17 or 103
//! columns waste nothing, and softmax needs no horizontal sums. `ndarray` views stop at the door, where row-major matrices come in
//! and go out. Work is cut into pieces that do not depend on the number of threads, and every sum has one order: the same
//! seed gives the same bits for any number of threads.

mod backend;
mod buffer;
mod executable;
mod isa;
mod kernels;
mod lanes;
mod scratch;
mod shared;

pub use backend::{CpuBackend, CpuError, CpuOptions};
pub use isa::InstructionSet;
