//! Launches of `linear_grouped.cu`.

use bytemuck::{Pod, Zeroable};
use engine_core::ir::ops::linear::{
    GroupedLinear, GroupedLinearGradInput, GroupedLinearGradParams, GroupedLinearSqNorm, LinearGroups,
};
use engine_core::ir::{Groups, Op, ResourceId};

use super::{Split, Splits, TILE_COLS, TILE_ROWS, TILE_THREADS, row_tiles, tiles};
use crate::driver::DevicePtr;
use crate::error::CudaError;
use crate::kernels::fusion::Fusion;
use crate::kernels::kernel::{Bound, CompileContext, CudaKernel, Launches, as_op, layout};

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct LinearGroup {
    weight: u32,
    bias: u32,
    input: u32,
    inputs: u32,
    output: u32,
    outputs: u32,
    passes: u32,
    layer: u32,
}
layout!(LinearGroup, 32);

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct LinearJob {
    group: u32,
    first: u32,
    second: u32,
    reserved: u32,
}
layout!(LinearJob, 16);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct GroupedLinearArgs {
    params: u64,
    x: u64,
    y: u64,
    gate: u64,
    groups: u64,
    jobs: u64,
    rows: u32,
    input_width: u32,
    output_width: u32,
    relu: u32,
}
layout!(GroupedLinearArgs, 64);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct GradParamsArgs {
    grads: u64,
    x: u64,
    grad_output: u64,
    groups: u64,
    jobs: u64,
    split: Split,
    rows: u32,
    input_width: u32,
    output_width: u32,
    reserved: u32,
}
layout!(GradParamsArgs, 72);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct SqNormArgs {
    x: u64,
    grad_output: u64,
    groups: u64,
    y: u64,
    rows: u32,
    input_width: u32,
    output_width: u32,
    count: u32,
    layers: u32,
    reserved: u32,
}
layout!(SqNormArgs, 56);

/// `grouped_linear` or `grouped_linear_grad_input`.
#[derive(Debug)]
struct Product {
    kernel: &'static str,
    params: ResourceId,
    groups: DevicePtr,
    jobs: DevicePtr,
    job_count: u32,
    relu: bool,
    gated: bool,
}

#[derive(Debug)]
struct GradParams {
    grads: ResourceId,
    groups: DevicePtr,
    jobs: DevicePtr,
    job_count: u32,
    splits: Splits,
}

#[derive(Debug)]
struct SqNorm {
    groups: DevicePtr,
    count: u32,
    layers: u32,
}

pub(super) fn make(
    op: &dyn Op,
    fusion: &Fusion,
    context: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    if let Some(op) = as_op::<GroupedLinear>(op) {
        let mut product = product(
            "grouped_linear",
            op.params,
            &op.groups,
            &op.groups.output,
            context,
        )?;
        product.relu = fusion.relu;
        return Ok(Some(Box::new(product)));
    }
    if let Some(op) = as_op::<GroupedLinearGradInput>(op) {
        let kernel = "grouped_linear_grad_input";
        let mut product = product(kernel, op.params, &op.groups, &op.groups.input, context)?;
        product.gated = fusion.gate.is_some();
        return Ok(Some(Box::new(product)));
    }
    if let Some(op) = as_op::<GroupedLinearGradParams>(op) {
        let jobs = gradient_jobs(&op.groups);
        let longest = context.max_rows.div_ceil(TILE_ROWS);
        return Ok(Some(Box::new(GradParams {
            grads: op.grads,
            groups: groups(&op.groups, context)?,
            jobs: context.constants(&jobs)?,
            job_count: jobs.len() as u32,
            splits: Splits::new(jobs.len(), longest, context)?,
        })));
    }
    let Some(op) = as_op::<GroupedLinearSqNorm>(op) else {
        return Ok(None);
    };
    Ok(Some(Box::new(SqNorm {
        groups: groups(&op.groups, context)?,
        count: op.groups.layers.len() as u32,
        layers: op.groups.layers_present().count() as u32,
    })))
}

fn groups(linear: &LinearGroups, context: &mut CompileContext<'_>) -> Result<DevicePtr, CudaError> {
    let mut layer_number = 0;
    let mut group = |g: usize| {
        let layer = linear.layers[g];
        let group = LinearGroup {
            weight: layer.map_or(0, |l| l.weight.offset as u32),
            bias: layer.map_or(0, |l| l.bias.offset as u32),
            input: linear.input.offset(g) as u32,
            inputs: linear.input.width(g) as u32,
            output: linear.output.offset(g) as u32,
            outputs: linear.output.width(g) as u32,
            passes: u32::from(layer.is_none()),
            layer: layer_number,
        };
        layer_number += u32::from(layer.is_some());
        group
    };
    let groups: Vec<LinearGroup> = (0..linear.layers.len()).map(&mut group).collect();
    context.constants(&groups)
}

/// The tiles of the results `results`.
fn product(
    kernel: &'static str,
    params: ResourceId,
    linear: &LinearGroups,
    results: &Groups,
    context: &mut CompileContext<'_>,
) -> Result<Product, CudaError> {
    let of_group = |g: usize| {
        tiles(results.width(g), TILE_COLS, false).map(move |first| LinearJob {
            group: g as u32,
            first,
            second: 0,
            reserved: 0,
        })
    };
    let jobs: Vec<LinearJob> = (0..results.len()).flat_map(of_group).collect();
    Ok(Product {
        kernel,
        params,
        groups: groups(linear, context)?,
        jobs: context.constants(&jobs)?,
        job_count: jobs.len() as u32,
        relu: false,
        gated: false,
    })
}

/// The tiles of the gradients of the weights; the first of each row brings the biases with it.
fn gradient_jobs(linear: &LinearGroups) -> Vec<LinearJob> {
    let mut jobs = Vec::new();
    for (g, _) in linear.layers_present() {
        for second in tiles(linear.output.width(g), TILE_ROWS, false) {
            jobs.extend(
                tiles(linear.input.width(g), TILE_COLS, true).map(|first| LinearJob {
                    group: g as u32,
                    first,
                    second,
                    reserved: 0,
                }),
            );
        }
    }
    jobs
}

impl CudaKernel for Product {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = GroupedLinearArgs {
            params: cx.f32(self.params),
            x: cx.input(0),
            y: cx.output(0),
            gate: if self.gated { cx.last_input() } else { 0 },
            groups: self.groups,
            jobs: self.jobs,
            rows: cx.rows(),
            input_width: cx.input_width(0),
            output_width: cx.width(0),
            relu: u32::from(self.relu),
        };
        launches.push(
            self.kernel,
            [self.job_count, row_tiles(cx.rows()), 1],
            TILE_THREADS as u32,
            &args,
        );
    }
}

impl CudaKernel for GradParams {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        if cx.rows() == 0 {
            return;
        }
        let args = GradParamsArgs {
            grads: cx.f32(self.grads),
            x: cx.input(0),
            grad_output: cx.input(1),
            groups: self.groups,
            jobs: self.jobs,
            split: self.splits.sums,
            rows: cx.rows(),
            input_width: cx.input_width(0),
            output_width: cx.input_width(1),
            reserved: 0,
        };
        let splits = self.splits.count.min(row_tiles(cx.rows()));
        launches.push(
            "grouped_linear_grad_params",
            [self.job_count, splits, 1],
            TILE_THREADS as u32,
            &args,
        );
    }
}

impl CudaKernel for SqNorm {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = SqNormArgs {
            x: cx.input(0),
            grad_output: cx.input(1),
            groups: self.groups,
            y: cx.output(0),
            rows: cx.rows(),
            input_width: cx.input_width(0),
            output_width: cx.input_width(1),
            count: self.count,
            layers: self.layers,
            reserved: 0,
        };
        launches.per_warp("grouped_linear_sq_norm", cx.rows() * self.count, &args);
    }
}
