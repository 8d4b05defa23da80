//! Launches of `batch.cu`.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use engine_core::ir::Op;
use engine_core::ir::ops::batch::{ColumnOrder, GatherRows, MaskRows, OrderDraw, Reading};
use engine_core::random::Purpose;

use super::fusion::Fusion;
use super::kernel::{Bound, CompileContext, CudaKernel, Launches, THREADS, WARP, as_op, layout};
use crate::driver::DevicePtr;
use crate::error::CudaError;

/// Rows that a block gathers.
const GATHER_ROWS: u32 = 16;

/// Which rows of a table make the batch of a step.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct SourceArgs {
    table: u64,
    steps: u64,
    len: u64,
    stride: u32,
    rows: u32,
    batch_rows: u32,
    steps_per_epoch: u32,
    half_bits: u32,
    ring_steps: u32,
}
layout!(SourceArgs, 48);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct GatherRowsArgs {
    source: SourceArgs,
    ring: u64,
    packed_codes: u64,
    codes: u64,
    columns: u32,
    reserved: u32,
}
layout!(GatherRowsArgs, 80);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FetchRowsArgs {
    source: SourceArgs,
    ring: u64,
    first_in_run: u32,
    reserved: u32,
}
layout!(FetchRowsArgs, 64);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct MaskRowsArgs {
    source: SourceArgs,
    x: u64,
    y: u64,
    rows: u32,
    width: u32,
}
layout!(MaskRowsArgs, 72);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ColumnOrderArgs {
    ranks: u64,
    steps: u64,
    columns: u32,
    purpose: u32,
}
layout!(ColumnOrderArgs, 24);

pub(super) fn make(
    op: &dyn Op,
    _: &Fusion,
    _: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    if let Some(op) = as_op::<GatherRows>(op) {
        return Ok(Some(Box::new(op)));
    }
    if let Some(op) = as_op::<MaskRows>(op) {
        return Ok(Some(Box::new(op)));
    }
    Ok(as_op::<ColumnOrder>(op).map(|op| Box::new(op) as Box<dyn CudaKernel>))
}

/// The source of a batch of codes.
fn source(op: &GatherRows, cx: &Bound<'_>) -> SourceArgs {
    let table = cx.table(op.table);
    SourceArgs {
        stride: table.stride,
        ..rows_read(op.reading, (table.rows(), table.codes.rows()), cx)
    }
}

/// The rows that a batch reads of an array of words at an address, or of a table.
fn rows_read(reading: Reading, (address, len): (DevicePtr, usize), cx: &Bound<'_>) -> SourceArgs {
    let len = len as u64;
    let bits = 64 - len.saturating_sub(1).leading_zeros();
    SourceArgs {
        table: address,
        steps: cx.steps,
        len,
        stride: size_of::<u32>() as u32,
        rows: cx.shard.rows,
        batch_rows: cx.shard.batch_rows,
        steps_per_epoch: match reading {
            Reading::Shuffled { steps_per_epoch } => steps_per_epoch.max(1),
            Reading::Sequential => 0,
        },
        half_bits: bits.div_ceil(2).max(1),
        ring_steps: cx.ring.map_or(0, |ring| ring.steps),
    }
}

impl CudaKernel for GatherRows {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = GatherRowsArgs {
            source: source(self, cx),
            ring: cx.ring.map_or(0, |ring| ring.address),
            packed_codes: cx.table(self.table).packed_codes(),
            codes: cx.output(0),
            columns: self.columns as u32,
            reserved: 0,
        };
        let blocks = cx.rows().div_ceil(GATHER_ROWS);
        launches.push("gather_rows", [blocks, 1, 1], THREADS, &args);
    }

    fn gathers(&self) -> Option<&GatherRows> {
        Some(self)
    }
}

/// Fetches the rows of some steps of the run into the ring in front of their table.
pub(crate) fn fetch_rows(op: &GatherRows, cx: &Bound<'_>, steps: Range<u32>, launches: &mut Launches) {
    let Some(ring) = cx.ring else { return };
    let args = FetchRowsArgs {
        source: source(op, cx),
        ring: ring.address,
        first_in_run: steps.start,
        reserved: 0,
    };
    let blocks = cx.rows().div_ceil(GATHER_ROWS);
    launches.push("fetch_rows", [blocks, steps.len() as u32, 1], THREADS, &args);
}

impl CudaKernel for MaskRows {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = MaskRowsArgs {
            source: rows_read(self.reading, cx.u32(self.lengths), cx),
            x: cx.input(0),
            y: cx.output(0),
            rows: cx.rows(),
            width: cx.width(0),
        };
        launches.per_thread("mask_rows", cx.rows() * cx.width(0), &args);
    }
}

impl CudaKernel for ColumnOrder {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = ColumnOrderArgs {
            ranks: cx.output(0),
            steps: cx.steps,
            columns: self.columns as u32,
            purpose: match self.draw {
                OrderDraw::Training => Purpose::Order as u32,
                OrderDraw::Validation => Purpose::ValidationOrder as u32,
                OrderDraw::Fixed => 0,
            },
        };
        launches.per_thread("column_order", self.columns as u32, &args);
    }
}

/// Goes on to the next step of the run; the last launch of each step.
pub(crate) fn next_step(steps: DevicePtr, launches: &mut Launches) {
    launches.push("next_step", [1, 1, 1], WARP, &steps);
}
