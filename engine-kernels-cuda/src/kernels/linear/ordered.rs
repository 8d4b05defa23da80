//! Launches of `linear_ordered.cu`.

use bytemuck::{Pod, Zeroable};
use engine_core::ir::ops::linear::{
    OrderedLinear, OrderedLinearGradInput, OrderedLinearGradParams, OrderedLinearSqNorm, OrderedSpec,
};
use engine_core::ir::{Op, ResourceId};

use super::{Split, Splits, TILE_COLS, TILE_ROWS, TILE_THREADS, row_tiles, tiles};
use crate::driver::DevicePtr;
use crate::error::CudaError;
use crate::kernels::activation::DropoutSite;
use crate::kernels::fusion::Fusion;
use crate::kernels::kernel::{Bound, CompileContext, CudaKernel, Launches, Views, as_op, layout};

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct OrderedSubColumn {
    column: u32,
    weight: u32,
    bias: u32,
    inputs: u32,
    output: u32,
    outputs: u32,
    sibling: u32,
    siblings: u32,
}
layout!(OrderedSubColumn, 32);

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Ordered {
    columns: u64,
    sub_columns: u64,
    ranks: u64,
    offsets: u64,
    starts: u64,
    features: u64,
    subs: u64,
    steps: u64,
    dropout: DropoutSite,
    rows: u32,
    column_count: u32,
    column_width: u32,
    sub_column_width: u32,
    output_width: u32,
    sub_count: u32,
}
layout!(Ordered, 104);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct PositionsArgs {
    ranks: u64,
    offsets: u64,
    starts: u64,
    features: u64,
    column_count: u32,
    column_width: u32,
}
layout!(PositionsArgs, 40);

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct OrderedJob {
    sub: u32,
    first: u32,
    second: u32,
    reserved: u32,
}
layout!(OrderedJob, 16);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct OrderedLinearArgs {
    o: Ordered,
    params: u64,
    y: u64,
    jobs: u64,
    relu: u32,
    reserved: u32,
}
layout!(OrderedLinearArgs, 136);

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct InputJob {
    of_siblings: u32,
    first: u32,
    count: u32,
    first_column: u32,
    last_column: u32,
    reserved: u32,
}
layout!(InputJob, 24);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct GradInputArgs {
    o: Ordered,
    params: u64,
    grad_output: u64,
    grad_columns: u64,
    grad_sub_columns: u64,
    column_of: u64,
    jobs: u64,
    split: Split,
}
layout!(GradInputArgs, 168);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct GradParamsArgs {
    o: Ordered,
    grads: u64,
    grad_output: u64,
    jobs: u64,
    split: Split,
}
layout!(GradParamsArgs, 144);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct SqNormArgs {
    o: Ordered,
    grad_output: u64,
    y: u64,
}
layout!(SqNormArgs, 120);

/// What all ordered kernels shard.
#[derive(Debug)]
struct Common {
    spec: OrderedSpec,
    offsets: DevicePtr,
    /// What each column sees, and whether this kernel finds it out.
    views: (Views, bool),
    subs: DevicePtr,
}

impl Common {
    fn new(spec: &OrderedSpec, context: &mut CompileContext<'_>) -> Result<Self, CudaError> {
        let ranks = context.inputs[2];
        Ok(Self {
            spec: spec.clone(),
            offsets: context.offsets(&spec.columns)?,
            views: context.views(ranks, &spec.columns)?,
            subs: context.constants(&sub_columns(spec))?,
        })
    }

    /// The common arguments, after a launch that finds out what each column sees if no earlier kernel does.
    fn prepare(&self, cx: &Bound<'_>, launches: &mut Launches) -> Ordered {
        let spec = &self.spec;
        let column_count = spec.columns.len() as u32;
        let (ranks, offsets, (views, finds)) = (cx.input(2), self.offsets, self.views);
        let args = PositionsArgs {
            ranks,
            offsets,
            starts: views.starts,
            features: views.features,
            column_count,
            column_width: spec.columns.total() as u32,
        };
        if finds {
            launches.per_warp("ordered_positions", column_count, &args);
        }
        Ordered {
            columns: cx.input(0),
            sub_columns: cx.input(1),
            ranks,
            offsets,
            starts: views.starts,
            features: views.features,
            subs: self.subs,
            steps: cx.steps,
            dropout: DropoutSite::new(spec.dropout),
            rows: cx.rows(),
            column_count,
            column_width: spec.columns.total() as u32,
            sub_column_width: spec.sub_columns.total() as u32,
            output_width: spec.output.total() as u32,
            sub_count: spec.output.len() as u32,
        }
    }
}

fn sub_columns(spec: &OrderedSpec) -> Vec<OrderedSubColumn> {
    let sub_column = |s: usize| {
        let (layer, sibling) = (&spec.layers[s], spec.sub_columns.offset(spec.first_sibling(s)));
        OrderedSubColumn {
            column: spec.column_of[s] as u32,
            weight: layer.weight.offset as u32,
            bias: layer.bias.offset as u32,
            inputs: layer.weight.columns as u32,
            output: spec.output.offset(s) as u32,
            outputs: spec.output.width(s) as u32,
            sibling: sibling as u32,
            siblings: (spec.sub_columns.offset(s) - sibling) as u32,
        }
    };
    (0..spec.output.len()).map(sub_column).collect()
}

#[derive(Debug)]
struct Forward {
    common: Common,
    params: ResourceId,
    jobs: DevicePtr,
    job_count: u32,
    relu: bool,
}

#[derive(Debug)]
struct GradInput {
    common: Common,
    params: ResourceId,
    column_of: DevicePtr,
    jobs: DevicePtr,
    job_count: u32,
    splits: Splits,
}

#[derive(Debug)]
struct GradParams {
    common: Common,
    grads: ResourceId,
    jobs: DevicePtr,
    job_count: u32,
    splits: Splits,
}

#[derive(Debug)]
struct SqNorm(Common);

pub(super) fn make(
    op: &dyn Op,
    fusion: &Fusion,
    context: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    if let Some(op) = as_op::<OrderedLinear>(op) {
        let jobs = output_jobs(&op.spec, TILE_COLS, |_| 1);
        return Ok(Some(Box::new(Forward {
            common: Common::new(&op.spec, context)?,
            params: op.params,
            jobs: context.constants(&jobs)?,
            job_count: jobs.len() as u32,
            relu: fusion.relu,
        })));
    }
    if let Some(op) = as_op::<OrderedLinearGradInput>(op) {
        let jobs = input_jobs(&op.spec);
        let blocks = jobs.len() * context.max_rows.div_ceil(TILE_ROWS);
        return Ok(Some(Box::new(GradInput {
            common: Common::new(&op.spec, context)?,
            params: op.params,
            column_of: context.owners(&op.spec.columns)?,
            jobs: context.constants(&jobs)?,
            job_count: jobs.len() as u32,
            splits: Splits::new(blocks, op.spec.output.len(), context)?,
        })));
    }
    if let Some(op) = as_op::<OrderedLinearGradParams>(op) {
        let jobs = output_jobs(&op.spec, TILE_ROWS, |s| op.spec.input_width(s).max(1));
        return Ok(Some(Box::new(GradParams {
            common: Common::new(&op.spec, context)?,
            grads: op.grads,
            jobs: context.constants(&jobs)?,
            job_count: jobs.len() as u32,
            splits: Splits::new(jobs.len(), context.max_rows.div_ceil(TILE_ROWS), context)?,
        })));
    }
    let Some(op) = as_op::<OrderedLinearSqNorm>(op) else {
        return Ok(None);
    };
    Ok(Some(Box::new(SqNorm(Common::new(&op.spec, context)?))))
}

/// Tiles of `outputs` outputs by 64 of a sub-column's positions.
fn output_jobs(spec: &OrderedSpec, outputs: usize, positions: impl Fn(usize) -> usize) -> Vec<OrderedJob> {
    let mut jobs = Vec::new();
    for s in 0..spec.output.len() {
        for first in tiles(spec.output.width(s), outputs, false) {
            jobs.extend(tiles(positions(s), TILE_COLS, true).map(|second| OrderedJob {
                sub: s as u32,
                first,
                second,
                reserved: 0,
            }));
        }
    }
    jobs
}

/// Tiles of the gradients of the column embeddings, then of the sub-column embeddings if any column has several.
fn input_jobs(spec: &OrderedSpec) -> Vec<InputJob> {
    let (columns, mut jobs) = (&spec.columns, Vec::new());
    let column_at = |feature: usize| {
        (0..columns.len())
            .find(|c| columns.range(*c).contains(&feature))
            .map_or(0, |c| c as u32)
    };
    let total = columns.total();
    for first in (0..total).step_by(TILE_COLS) {
        let end = total.min(first + TILE_COLS);
        jobs.push(InputJob {
            of_siblings: 0,
            first: first as u32,
            count: (end - first) as u32,
            first_column: column_at(first),
            last_column: column_at(end - 1),
            reserved: 0,
        });
    }
    let total = if spec.has_siblings() {
        spec.sub_columns.total()
    } else {
        0
    };
    for first in (0..total).step_by(TILE_COLS) {
        jobs.push(InputJob {
            of_siblings: 1,
            first: first as u32,
            count: TILE_COLS.min(total - first) as u32,
            first_column: 0,
            last_column: 0,
            reserved: 0,
        });
    }
    jobs
}

impl CudaKernel for Forward {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = OrderedLinearArgs {
            o: self.common.prepare(cx, launches),
            params: cx.f32(self.params),
            y: cx.output(0),
            jobs: self.jobs,
            relu: u32::from(self.relu),
            reserved: 0,
        };
        let grid = [self.job_count, row_tiles(cx.rows()), 1];
        launches.push("ordered_linear", grid, TILE_THREADS as u32, &args);
    }

    fn shared_scratch(&self) -> Option<(DevicePtr, bool)> {
        Some((self.common.views.0.starts, self.common.views.1))
    }
}

impl CudaKernel for GradInput {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = GradInputArgs {
            o: self.common.prepare(cx, launches),
            params: cx.f32(self.params),
            grad_output: cx.input(3),
            grad_columns: cx.output(0),
            grad_sub_columns: if cx.outputs.len() > 1 { cx.output(1) } else { 0 },
            column_of: self.column_of,
            jobs: self.jobs,
            split: self.splits.sums,
        };
        let grid = [self.job_count, row_tiles(cx.rows()), self.splits.count];
        launches.push("ordered_linear_grad_input", grid, TILE_THREADS as u32, &args);
    }

    fn shared_scratch(&self) -> Option<(DevicePtr, bool)> {
        Some((self.common.views.0.starts, self.common.views.1))
    }
}

impl CudaKernel for GradParams {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        if cx.rows() == 0 {
            return;
        }
        let args = GradParamsArgs {
            o: self.common.prepare(cx, launches),
            grads: cx.f32(self.grads),
            grad_output: cx.input(3),
            jobs: self.jobs,
            split: self.splits.sums,
        };
        let splits = self.splits.count.min(row_tiles(cx.rows()));
        let grid = [self.job_count, splits, 1];
        launches.push("ordered_linear_grad_params", grid, TILE_THREADS as u32, &args);
    }

    fn shared_scratch(&self) -> Option<(DevicePtr, bool)> {
        Some((self.common.views.0.starts, self.common.views.1))
    }
}

impl CudaKernel for SqNorm {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = SqNormArgs {
            o: self.0.prepare(cx, launches),
            grad_output: cx.input(3),
            y: cx.output(0),
        };
        launches.per_warp("ordered_linear_sq_norm", cx.rows() * args.o.sub_count, &args);
    }

    fn shared_scratch(&self) -> Option<(DevicePtr, bool)> {
        Some((self.0.views.0.starts, self.0.views.1))
    }
}
