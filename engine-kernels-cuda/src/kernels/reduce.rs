//! Launches of `reduce.cu`.

use bytemuck::{Pod, Zeroable};
use engine_core::ir::Op;
use engine_core::ir::ops::reduce::{Add, BroadcastGroups, FillRows, RecordSum, ScaleRows, SumGroups};

use super::fusion::Fusion;
use super::kernel::{Bound, CompileContext, CudaKernel, Launches, as_op, layout};
use crate::error::CudaError;

/// Threads of the block that sums a whole batch.
const RECORD_THREADS: u32 = 1024;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct AddArgs {
    x: u64,
    y: u64,
    sum: u64,
    len: u32,
    reserved: u32,
}
layout!(AddArgs, 32);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RowsArgs {
    x: u64,
    factor: u64,
    y: u64,
    rows: u32,
    width: u32,
}
layout!(RowsArgs, 32);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct FillRowsArgs {
    y: u64,
    rows: u32,
    value: f32,
}
layout!(FillRowsArgs, 16);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RecordSumArgs {
    x: u64,
    trace: u64,
    steps: u64,
    rows: u32,
    width: u32,
}
layout!(RecordSumArgs, 32);

/// Makes a kernel of an op that needs nothing beside itself.
macro_rules! plain {
    ($op:expr, $($kind:ty),+) => {
        $(if let Some(op) = as_op::<$kind>($op) {
            return Ok(Some(Box::new(op)));
        })+
    };
}

pub(super) fn make(
    op: &dyn Op,
    _: &Fusion,
    _: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    plain!(
        op,
        Add,
        SumGroups,
        BroadcastGroups,
        FillRows,
        ScaleRows,
        RecordSum
    );
    Ok(None)
}

impl CudaKernel for Add {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let len = cx.rows() * cx.width(0);
        let args = AddArgs {
            x: cx.input(0),
            y: cx.input(1),
            sum: cx.output(0),
            len,
            reserved: 0,
        };
        launches.per_thread("add", len, &args);
    }
}

impl CudaKernel for SumGroups {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = RowsArgs {
            x: cx.input(0),
            factor: 0,
            y: cx.output(0),
            rows: cx.rows(),
            width: cx.input_width(0),
        };
        launches.per_warp("sum_groups", cx.rows(), &args);
    }
}

impl CudaKernel for BroadcastGroups {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = RowsArgs {
            x: cx.input(0),
            factor: 0,
            y: cx.output(0),
            rows: cx.rows(),
            width: cx.width(0),
        };
        launches.per_thread("broadcast_groups", cx.rows() * cx.width(0), &args);
    }
}

impl CudaKernel for ScaleRows {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = RowsArgs {
            x: cx.input(0),
            factor: cx.input(1),
            y: cx.output(0),
            rows: cx.rows(),
            width: cx.width(0),
        };
        launches.per_thread("scale_rows", cx.rows() * cx.width(0), &args);
    }
}

impl CudaKernel for FillRows {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = FillRowsArgs {
            y: cx.output(0),
            rows: cx.rows(),
            value: self.value(cx.shard.all_rows(self.rows)) as f32,
        };
        launches.per_thread("fill_rows", cx.rows(), &args);
    }
}

impl CudaKernel for RecordSum {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = RecordSumArgs {
            x: cx.input(0),
            trace: cx.f32(self.trace),
            steps: cx.steps,
            rows: cx.rows(),
            width: cx.input_width(0),
        };
        launches.push("record_sum", [1, 1, 1], RECORD_THREADS, &args);
    }
}
