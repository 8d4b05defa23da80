//! From ops to launches, one file per op family with the name that the core gives it. Each argument struct is declared beside the
//! function that fills it, as in the `.cu` file of its family.

mod activation;
mod batch;
mod embedding;
mod fusion;
mod kernel;
mod linear;
mod optimizer;
mod privacy;
mod reduce;
mod sampling;
mod softmax;

use engine_core::ir::Op;

use crate::error::CudaError;

pub(crate) use batch::{fetch_rows, next_step};
pub(crate) use fusion::{Fusion, Uses, fused};
pub(crate) use kernel::{Bound, CompileContext, CudaKernel, Launches, OwnedLaunch};

/// Makes the kernel of an op, or nothing when the op is of another type.
type Make = fn(&dyn Op, &Fusion, &mut CompileContext<'_>) -> Result<Option<Box<dyn CudaKernel>>, CudaError>;

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
pub(crate) fn kernel(
    op: &dyn Op,
    fusion: &Fusion,
    context: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    for make in MAKERS {
        if let Some(kernel) = make(op, fusion, context)? {
            return Ok(Some(kernel));
        }
    }
    Ok(None)
}
