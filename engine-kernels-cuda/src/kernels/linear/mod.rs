//! Launches of `linear_grouped.cu` and `linear_ordered.cu`.

mod grouped;
mod ordered;

use bytemuck::{Pod, Zeroable};
use engine_core::ir::Op;

use crate::error::CudaError;
use crate::kernels::fusion::Fusion;
use crate::kernels::kernel::{CompileContext, CudaKernel, layout};

/// Rows, columns and threads of a tile, as in `linear_product.cuh`.
const TILE_ROWS: usize = 32;
const TILE_COLS: usize = 64;
const TILE_THREADS: usize = 128;
/// Partial sums of a thread.
const SPLIT_VALUES: usize = 17;
/// Largest number of splits of a sum.
const MAX_SPLITS: usize = 32;

pub(super) fn make(
    op: &dyn Op,
    fusion: &Fusion,
    context: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    match grouped::make(op, fusion, context)? {
        Some(kernel) => Ok(Some(kernel)),
        None => ordered::make(op, fusion, context),
    }
}

/// A reduction that is split over several blocks; `Split` of `linear_product.cuh`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Split {
    partial_sums: u64,
    counters: u64,
}
layout!(Split, 16);

/// Partial sums of split reductions (split-K), and into how many splits each is cut.
#[derive(Debug, Clone, Copy)]
struct Splits {
    sums: Split,
    count: u32,
}

impl Splits {
    /// Cuts each of `jobs` sums into at most `longest` splits, so that a multiprocessor gets about four blocks.
    fn new(jobs: usize, longest: usize, context: &mut CompileContext<'_>) -> Result<Self, CudaError> {
        let wanted = 4 * context.info.multiprocessors as usize;
        let count = wanted
            .div_ceil(jobs.max(1))
            .clamp(1, longest.clamp(1, MAX_SPLITS));
        if count == 1 {
            let sums = Split {
                partial_sums: 0,
                counters: 0,
            };
            return Ok(Self { sums, count: 1 });
        }
        let values = jobs * count * SPLIT_VALUES * TILE_THREADS;
        let sums = Split {
            partial_sums: context.scratch(values * size_of::<f32>())?,
            counters: context.constants(&vec![0u32; jobs])?,
        };
        Ok(Self {
            sums,
            count: count as u32,
        })
    }
}

/// Tiles of `TILE_ROWS` rows.
fn row_tiles(rows: u32) -> u32 {
    rows.div_ceil(TILE_ROWS as u32)
}

/// First element of each tile of `width` elements; one tile where there are none, when `always`.
fn tiles(width: usize, tile: usize, always: bool) -> impl Iterator<Item = u32> {
    let end = if always { width.max(1) } else { width };
    (0..end).step_by(tile).map(|first| first as u32)
}
