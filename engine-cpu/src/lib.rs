//! The CPU backend: runs programs of the core with SIMD kernels, on as many threads as it is given (by rayon). Each kernel is written once
//! over a trait of 16-lane operations and compiled for AVX-512, AVX2 and plain Rust; the fastest set that the processor has is chosen at
//! run time. Values are stored feature-major in blocks of 32 rows, so kernels vectorise along the rows: a group of width 3, 17 or 103
//! wastes no lanes, and softmax needs no horizontal sums. Inputs and results are row-major outside and are converted where they enter
//! and leave. Compiling a program plans its buffers and allocates all scratch memory, so a step allocates nothing. Work is divided into tasks that
//! do not depend on the number of threads, and every sum has a fixed order: the same seed gives the same bits with any number of threads.

mod backend;
mod buffer;
mod dropout;
mod executable;
mod isa;
mod kernels;
mod lanes;
mod scratch;
mod shared;

pub use backend::{CpuBackend, CpuError, CpuOptions};
pub use isa::InstructionSet;
