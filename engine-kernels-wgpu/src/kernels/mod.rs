//! From ops to kernels, one file per family, under the names that the core and the other backends use.

mod activation;
mod batch;
mod embedding;
mod linear;
mod optimizer;
mod prelude;
mod privacy;
mod reduce;
mod sampling;
mod softmax;

use engine_core::backend::BackendError;
use engine_core::ir::Node;

use crate::compiler::{Compiler, Make};

/// Those of each family of ops; they return false for ops of the others.
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

/// Adds the kernels of a node to the step; `false` when there are none.
pub(crate) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    for make in MAKERS {
        if make(node, cx)? {
            return Ok(true);
        }
    }
    Ok(false)
}
