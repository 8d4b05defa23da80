//! From ops to kernels, one file per family, under the names that the core and the other backends use.

mod activation;
mod batch;
mod embedding;
mod linear;
mod optimizer;
mod privacy;
mod reduce;
mod sampling;
mod softmax;

use engine_core::backend::BackendError;
use engine_core::ir::{Groups, Node};

use crate::compiler::Compiler;

/// Names of the ops that have a kernel.
pub const KERNELS: &[&str] = engine_core::ir::ops::OP_NAMES;

/// Adds the kernels of a node to the step; `false` when its op is of another family.
type Make = fn(&Node, &mut Compiler<'_>) -> Result<bool, BackendError>;

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

/// The op of a node if it is a `T`.
fn op_of<T: 'static>(node: &Node) -> Option<&T> {
    node.op.as_any().downcast_ref()
}

/// First column of each group, and their number at the end.
fn offsets(groups: &Groups) -> Vec<u32> {
    let starts = (0..groups.len()).map(|g| groups.offset(g) as u32);
    starts.chain([groups.total() as u32]).collect()
}

/// Group of each column, and its place within.
fn places(groups: &Groups) -> Vec<[u32; 2]> {
    let of_group = |g: usize| (0..groups.width(g) as u32).map(move |place| [g as u32, place]);
    (0..groups.len()).flat_map(of_group).collect()
}

/// First elements of pieces of `size` elements.
fn pieces(len: usize, size: usize) -> impl Iterator<Item = u32> {
    (0..len).step_by(size).map(|first| first as u32)
}

/// Rows, columns and terms of a tile, as in `shaders/prelude/tile.wgsl`.
const TILE_ROWS: usize = 64;
const TILE_COLUMNS: usize = 32;
const TILE_DEPTH: usize = 16;

/// Turns of a thread that multiplies tiles over so many terms: each term is loaded and multiplied.
fn tile_turns(terms: usize) -> usize {
    terms.div_ceil(TILE_DEPTH) * 2 * TILE_DEPTH
}
