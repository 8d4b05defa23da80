//! Launches of `softmax.cu`.

use bytemuck::{Pod, Zeroable};
use engine_core::ir::ops::reduce::FillRows;
use engine_core::ir::ops::softmax::{Softmax, SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};
use engine_core::ir::{Groups, Op};

use super::fusion::Fusion;
use super::kernel::{Bound, CompileContext, CudaKernel, Launches, as_op, layout};
use crate::driver::DevicePtr;
use crate::error::CudaError;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct SoftmaxArgs {
    logits: u64,
    codes: u64,
    offsets: u64,
    losses: u64,
    probs: u64,
    fault: u64,
    rows: u32,
    width: u32,
    groups: u32,
    weight: f32,
}
layout!(SoftmaxArgs, 64);

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct GradArgs {
    probs: u64,
    codes: u64,
    grad_losses: u64,
    owner: u64,
    offsets: u64,
    grad_logits: u64,
    fault: u64,
    rows: u32,
    width: u32,
    groups: u32,
    weight: f32,
}
layout!(GradArgs, 72);

#[derive(Debug)]
struct Forward {
    of: Groups,
    offsets: DevicePtr,
    groups: u32,
    with_losses: bool,
    /// Weight of each loss where the gradient is computed in place of probabilities.
    weight: Option<FillRows>,
}

#[derive(Debug)]
struct Gradient {
    of: Groups,
    offsets: DevicePtr,
    owner: DevicePtr,
    groups: u32,
}

pub(super) fn make(
    op: &dyn Op,
    fusion: &Fusion,
    context: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    if let Some(op) = as_op::<Softmax>(op) {
        return Ok(Some(Box::new(Forward {
            of: op.groups.clone(),
            offsets: context.offsets(&op.groups)?,
            groups: op.groups.len() as u32,
            with_losses: false,
            weight: None,
        })));
    }
    if let Some(op) = as_op::<SoftmaxCrossEntropy>(op) {
        return Ok(Some(Box::new(Forward {
            of: op.groups.clone(),
            offsets: context.offsets(&op.groups)?,
            groups: op.groups.len() as u32,
            with_losses: true,
            weight: fusion.loss_weight.clone(),
        })));
    }
    let Some(op) = as_op::<SoftmaxCrossEntropyGrad>(op) else {
        return Ok(None);
    };
    Ok(Some(Box::new(Gradient {
        of: op.groups.clone(),
        offsets: context.offsets(&op.groups)?,
        owner: context.owners(&op.groups)?,
        groups: op.groups.len() as u32,
    })))
}

impl CudaKernel for Forward {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let with = self.with_losses;
        let args = SoftmaxArgs {
            logits: cx.input(0),
            codes: if with { cx.input(1) } else { 0 },
            offsets: self.offsets,
            losses: if with { cx.output(0) } else { 0 },
            probs: cx.output(usize::from(with)),
            fault: cx.fault,
            rows: cx.rows(),
            width: cx.input_width(0),
            groups: self.groups,
            weight: self
                .weight
                .as_ref()
                .map_or(0.0, |w| w.value(cx.shard.all_rows(w.rows)) as f32),
        };
        let kernel = match (with, &self.weight) {
            (false, _) => "softmax",
            (true, None) => "softmax_cross_entropy",
            (true, Some(_)) => "softmax_cross_entropy_with_grad",
        };
        launches.per_warp(kernel, cx.rows() * self.groups, &args);
    }

    fn cardinality(&self, sub_column: usize) -> Option<usize> {
        (sub_column < self.of.len()).then(|| self.of.width(sub_column))
    }
}

impl CudaKernel for Gradient {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = GradArgs {
            probs: cx.input(0),
            codes: cx.input(1),
            grad_losses: cx.input(2),
            owner: self.owner,
            offsets: self.offsets,
            grad_logits: cx.output(0),
            fault: cx.fault,
            rows: cx.rows(),
            width: cx.width(0),
            groups: self.groups,
            weight: 0.0,
        };
        launches.per_thread("softmax_cross_entropy_grad", cx.rows() * cx.width(0), &args);
    }

    fn cardinality(&self, sub_column: usize) -> Option<usize> {
        (sub_column < self.of.len()).then(|| self.of.width(sub_column))
    }
}
