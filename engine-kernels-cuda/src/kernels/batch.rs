//! Launches of `batch.cu`.

use bytemuck::{Pod, Zeroable};
use engine_core::ir::Op;
use engine_core::ir::ops::batch::{ColumnOrder, GatherRows, OrderDraw, Reading};
use engine_core::random::Purpose;

use super::{Bound, CudaKernel, Fusion, Launches, Room, THREADS, as_op, layout};
use crate::driver::DevicePtr;
use crate::error::CudaError;

/// Rows that a block gathers.
const GATHER_ROWS: u32 = 16;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct GatherRowsArgs {
    table: u64,
    places: u64,
    codes: u64,
    steps: u64,
    len: u64,
    stride: u32,
    columns: u32,
    rows: u32,
    steps_per_epoch: u32,
    half_bits: u32,
    reserved: u32,
}
layout!(GatherRowsArgs, 64);

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
    _: &mut Room<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    if let Some(op) = as_op::<GatherRows>(op) {
        return Ok(Some(Box::new(op)));
    }
    Ok(as_op::<ColumnOrder>(op).map(|op| Box::new(op) as Box<dyn CudaKernel>))
}

impl CudaKernel for GatherRows {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let table = cx.table(self.table);
        let len = table.codes.rows() as u64;
        let bits = 64 - len.saturating_sub(1).leading_zeros();
        let args = GatherRowsArgs {
            table: table.rows(),
            places: table.places(),
            codes: cx.output(0),
            steps: cx.steps,
            len,
            stride: table.stride,
            columns: self.columns as u32,
            rows: cx.rows(),
            steps_per_epoch: match self.reading {
                Reading::Shuffled { steps_per_epoch } => steps_per_epoch.max(1),
                Reading::Sequential => 0,
            },
            half_bits: bits.div_ceil(2).max(1),
            reserved: 0,
        };
        launches.push(
            "gather_rows",
            [cx.rows().div_ceil(GATHER_ROWS), 1, 1],
            THREADS,
            &args,
        );
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
    launches.push("next_step", [1, 1, 1], super::WARP, &steps);
}
