//! Launches of `linear_grouped.cu` and `linear_ordered.cu`.

mod grouped;
mod ordered;

use bytemuck::{Pod, Zeroable};
use engine_core::ir::Op;

use super::{Bound, CudaKernel, Fusion, Launches, Room, as_op, layout};
use crate::driver::DevicePtr;
use crate::error::CudaError;

/// Rows, columns and threads of a tile, as in `linear_product.cuh`.
const TILE_ROWS: usize = 32;
const TILE_COLS: usize = 64;
const TILE_THREADS: usize = 128;
/// Numbers that a thread brings to a shared sum.
const SPLIT_NUMBERS: usize = 17;
/// Most blocks that share a sum.
const MOST_PARTS: usize = 32;

pub(super) fn make(
    op: &dyn Op,
    fusion: &Fusion,
    room: &mut Room<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    match grouped::make(op, fusion, room)? {
        Some(kernel) => Ok(Some(kernel)),
        None => ordered::make(op, fusion, room),
    }
}

/// Sums that several blocks share; `Split` of `linear_product.cuh`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Split {
    parts: u64,
    counters: u64,
}
layout!(Split, 16);

/// Room for shared sums, and into how many parts each is cut.
#[derive(Debug, Clone, Copy)]
struct Splits {
    room: Split,
    parts: u32,
}

impl Splits {
    /// Cuts each of `jobs` sums into at most `longest` parts, so that about four blocks come to a multiprocessor.
    fn new(jobs: usize, longest: usize, room: &mut Room<'_>) -> Result<Self, CudaError> {
        let wanted = 4 * room.info.multiprocessors as usize;
        let parts = wanted
            .div_ceil(jobs.max(1))
            .clamp(1, longest.clamp(1, MOST_PARTS));
        if parts == 1 {
            let room = Split {
                parts: 0,
                counters: 0,
            };
            return Ok(Self { room, parts: 1 });
        }
        let numbers = jobs * parts * SPLIT_NUMBERS * TILE_THREADS;
        let room = Split {
            parts: room.scratch(numbers * size_of::<f32>())?,
            counters: room.constants(&vec![0u32; jobs])?,
        };
        Ok(Self {
            room,
            parts: parts as u32,
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
