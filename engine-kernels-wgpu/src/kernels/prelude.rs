//! What kernels of several families share: what shaders are told of groups, and the tiles of `shaders/prelude/`.

use engine_core::backend::BackendError;
use engine_core::ir::{Groups, Node};

use crate::compiler::Compiler;
use crate::grid::Grid;
use crate::kernel::{Kernel, Source};

/// The op of a node if it is a `T`.
pub(super) fn op_of<T: 'static>(node: &Node) -> Option<&T> {
    node.op.as_any().downcast_ref()
}

/// First column of each group, and their number at the end.
pub(super) fn offsets(groups: &Groups) -> Vec<u32> {
    let starts = (0..groups.len()).map(|g| groups.offset(g) as u32);
    starts.chain([groups.total() as u32]).collect()
}

/// Group of each column, and its place within.
pub(super) fn places(groups: &Groups) -> Vec<[u32; 2]> {
    let of_group = |g: usize| (0..groups.width(g) as u32).map(move |place| [g as u32, place]);
    (0..groups.len()).flat_map(of_group).collect()
}

/// First elements of pieces of `size` elements.
pub(super) fn pieces(len: usize, size: usize) -> impl Iterator<Item = u32> {
    (0..len).step_by(size).map(|first| first as u32)
}

/// Rows, columns, terms and threads of a tile, as in `shaders/prelude/tile.wgsl`.
pub(super) const TILE_ROWS: usize = 64;
pub(super) const TILE_COLUMNS: usize = 32;
const TILE_DEPTH: usize = 32;
const TILE_THREADS: usize = 128;

/// Loop iterations of a thread that adds up so many terms, loads and products included.
pub(super) fn tile_iterations(terms: usize) -> usize {
    terms.div_ceil(TILE_DEPTH) * 2 * TILE_DEPTH
}

/// Smallest number of rows of a slice, and the number of workgroups that keep a device busy.
const SLICE_ROWS: usize = 128;
const BUSY: usize = 1024;

/// Slices of the rows of a batch (split-K), where few tiles sum over many rows. It depends on the program alone, so that results do
/// not depend on the device.
fn slices(tiles: usize, max_rows: usize) -> usize {
    let max_slices = max_rows.div_ceil(SLICE_ROWS);
    BUSY.div_ceil(tiles.max(1)).min(max_slices).max(1)
}

/// Number of the binding `partial_sums` in `shaders/prelude/slices.wgsl`.
const PARTIAL_SUMS: u32 = 7;

/// Adds a kernel whose tiles sum over the rows of the batch, and where the rows are split into slices also `reduce_slices`, under the
/// name `join`, which adds up their partial sums: another entry point of the shader with the same bindings. The buffer of the partial sums is bound here.
pub(super) fn push_sliced(
    kernel: Kernel,
    join: &'static str,
    tiles: usize,
    cx: &mut Compiler<'_>,
) -> Result<(), BackendError> {
    let slices = slices(tiles, cx.max_rows);
    let len = if slices > 1 {
        slices * tiles * 16 * TILE_THREADS
    } else {
        0
    };
    let sums = kernel
        .size("TILES", tiles)
        .size("SLICES", slices)
        .writes(PARTIAL_SUMS, Source::Own(cx.scratch(len)?))
        .max_iterations(tile_iterations(cx.max_rows.div_ceil(slices)));
    let reduces = Kernel {
        entry: "reduce_slices",
        name: join,
        ..sums.clone()
    }
    .max_iterations(slices);
    cx.push(
        sums,
        Grid::Tiles {
            count: tiles,
            each: slices,
        },
    )?;
    if slices > 1 {
        cx.push(
            reduces,
            Grid::Tiles {
                count: tiles,
                each: 4,
            },
        )?;
    }
    Ok(())
}
