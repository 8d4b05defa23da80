//! Relu and dropout.

use engine_core::backend::BackendError;
use engine_core::ir::Op;
use engine_core::ir::ops::activation::{DropoutOp, Relu, ReluGrad};

use super::kernel::{Context, CpuKernel, as_op, block_of};
use crate::dropout::DropoutMask;
use crate::isa::{Isa, Kernel, half, half_mut};
use crate::lanes::Lanes;
use crate::shared::Shared;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    if as_op::<Relu>(op).is_some() {
        return Some(Box::new(ReluKernel));
    }
    if as_op::<ReluGrad>(op).is_some() {
        return Some(Box::new(ReluGradKernel));
    }
    as_op::<DropoutOp>(op).map(|op| Box::new(op) as Box<dyn CpuKernel>)
}

#[derive(Debug)]
struct ReluKernel;

#[derive(Debug)]
struct ReluGradKernel;

/// Lanes of a task.
const CHUNK: usize = 1024;

/// `out = max(x, 0)`, or `out = x where mask > 0`, over a range of lanes.
struct Rectify<'a> {
    mask: Option<&'a [Lanes]>,
    x: &'a [Lanes],
    out: &'a mut [Lanes],
}

impl Kernel for Rectify<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for (i, (x, out)) in self.x.iter().zip(self.out).enumerate() {
            for h in 0..2 {
                let x = I::load(half(x, h));
                let y = match self.mask {
                    Some(mask) => I::where_positive(I::load(half(&mask[i], h)), x),
                    // The maximum is its second operand when that is NaN, so divergence stays visible.
                    None => I::max(I::splat(0.0), x),
                };
                I::store(y, half_mut(out, h));
            }
        }
    }
}

fn rectify(cx: &mut Context<'_, '_>, mask: Option<&[Lanes]>, x: &[Lanes]) {
    let (set, len) = (cx.set, x.len());
    cx.with_outputs([Some(0)], |cx, [out]| {
        let shared = Shared::new(&mut out[..len]);
        cx.parallel(len.div_ceil(CHUNK), |task| {
            let range = task * CHUNK..((task + 1) * CHUNK).min(len);
            // SAFETY: each task writes its own range.
            let out = unsafe { shared.part(range.clone()) };
            let mask = mask.map(|m| &m[range.clone()]);
            set.dispatch(Rectify {
                mask,
                x: &x[range],
                out,
            });
        });
    });
}

impl CpuKernel for ReluKernel {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let x = cx.f32_input(0, cx.width);
        rectify(cx, None, x);
        Ok(())
    }
}

impl CpuKernel for ReluGradKernel {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (y, grad) = (cx.f32_input(0, cx.width), cx.f32_input(1, cx.width));
        rectify(cx, Some(y), grad);
        Ok(())
    }
}

struct DropoutTask<'a> {
    op: &'a DropoutOp,
    mask: DropoutMask,
    x: &'a [Lanes],
    out: &'a mut [Lanes],
}

impl Kernel for DropoutTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for g in 0..self.op.groups.len() {
            let range = self.op.groups.range(g);
            let mut words = [[I::splat_u(0); 4]; 2];
            for (position, (x, out)) in self.x[range.clone()].iter().zip(&mut self.out[range]).enumerate() {
                if position % 16 == 0 {
                    words = self.mask.words::<I>(g, position);
                }
                let y = self
                    .mask
                    .apply::<I>(&words, position, [I::load(half(x, 0)), I::load(half(x, 1))]);
                I::store(y[0], half_mut(out, 0));
                I::store(y[1], half_mut(out, 1));
            }
        }
    }
}

impl CpuKernel for DropoutOp {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let width = self.groups.total();
        let (x, set, run) = (cx.f32_input(0, width), cx.set, cx.run);
        cx.fill_blocks(0, width, |block, out| {
            let mask = DropoutMask::new(self.dropout, &run, block);
            set.dispatch(DropoutTask {
                op: self,
                mask,
                x: block_of(x, block, width),
                out,
            });
        });
        Ok(())
    }
}
