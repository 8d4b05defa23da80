//! The kernels, one file per op family with the name that the core gives it, and the table of them. What a kernel is given is in `kernel.rs`.

mod activation;
mod batch;
mod embedding;
mod kernel;
mod linear;
mod optimizer;
mod privacy;
mod reduce;
mod sampling;
mod softmax;

use engine_core::ir::Op;

pub(crate) use kernel::{Context, CpuKernel, MAX_INPUTS, MAX_OUTPUTS, Value};

/// Makes the kernel of an op, or nothing when the op is of another type.
type Make = fn(&dyn Op) -> Option<Box<dyn CpuKernel>>;

const MAKERS: &[Make] = &[
    batch::make,
    embedding::make,
    linear::make,
    activation::make,
    softmax::make,
    reduce::make,
    privacy::make,
    optimizer::make,
    sampling::make,
];

/// The kernel of `op`, if there is one.
pub(crate) fn kernel(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    MAKERS.iter().find_map(|make| make(op))
}
