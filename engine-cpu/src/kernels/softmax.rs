//! Softmax and cross-entropy along the rows: the maximum, the exponentials and their sum of 32 rows at once.

use engine_core::backend::BackendError;
use engine_core::ir::ops::softmax::{Softmax, SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};
use engine_core::ir::{Groups, Op};

use super::embedding::CodeCheck;
use super::kernel::{Context, CpuKernel, as_op, block_of};
use crate::isa::{Isa, Kernel, exp, half, half_mut, ln};
use crate::lanes::{CodeLanes, LANES, Lanes, valid};
use crate::shared::Shared;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    if let Some(op) = as_op::<Softmax>(op) {
        return Some(Box::new(op));
    }
    if let Some(op) = as_op::<SoftmaxCrossEntropy>(op) {
        return Some(Box::new(op));
    }
    as_op::<SoftmaxCrossEntropyGrad>(op).map(|op| Box::new(op) as Box<dyn CpuKernel>)
}

/// Writes the probabilities of one group, as many as there are logits, and returns the logarithms of the sums of exponentials.
#[allow(clippy::needless_range_loop)] // Zipped slices cost a call that the compiler does not inline here.
#[inline(always)]
pub(super) fn softmax_lanes<I: Isa>(logits: &[Lanes], probs: &mut [Lanes]) -> Lanes {
    let mut log_sums = Lanes::ZERO;
    let probs = &mut probs[..logits.len()];
    for h in 0..2 {
        let mut max = I::splat(f32::NEG_INFINITY);
        for l in logits {
            max = I::max(max, I::load(half(l, h)));
        }
        let mut sum = I::splat(0.0);
        for i in 0..logits.len() {
            let e = exp::<I>(I::sub(I::load(half(&logits[i], h)), max));
            sum = I::add(sum, e);
            I::store(e, half_mut(&mut probs[i], h));
        }
        let inverse = I::div(I::splat(1.0), sum);
        for p in probs.iter_mut() {
            let p = half_mut(p, h);
            I::store(I::mul(I::load(p), inverse), p);
        }
        I::store(I::add(max, ln::<I>(sum)), half_mut(&mut log_sums, h));
    }
    log_sums
}

/// The logarithms of the sums of exponentials, as [`softmax_lanes`] returns them.
#[inline(always)]
pub(super) fn log_sum_lanes<I: Isa>(logits: &[Lanes]) -> Lanes {
    let mut log_sums = Lanes::ZERO;
    for h in 0..2 {
        let mut max = I::splat(f32::NEG_INFINITY);
        for l in logits {
            max = I::max(max, I::load(half(l, h)));
        }
        let mut sum = I::splat(0.0);
        for l in logits {
            sum = I::add(sum, exp::<I>(I::sub(I::load(half(l, h)), max)));
        }
        I::store(I::add(max, ln::<I>(sum)), half_mut(&mut log_sums, h));
    }
    log_sums
}

struct SoftmaxTask<'a> {
    groups: &'a Groups,
    logits: &'a [Lanes],
    probs: &'a mut [Lanes],
}

impl Kernel for SoftmaxTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for s in 0..self.groups.len() {
            let range = self.groups.range(s);
            softmax_lanes::<I>(&self.logits[range.clone()], &mut self.probs[range]);
        }
    }
}

impl CpuKernel for Softmax {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let width = self.groups.total();
        let (logits, set) = (cx.f32_input(0, width), cx.set);
        cx.fill_blocks(0, width, |block, probs| {
            let logits = block_of(logits, block, width);
            set.dispatch(SoftmaxTask {
                groups: &self.groups,
                logits,
                probs,
            });
        });
        Ok(())
    }
}

struct CrossEntropyTask<'a> {
    groups: &'a Groups,
    logits: &'a [Lanes],
    codes: &'a [CodeLanes],
    check: &'a CodeCheck,
    losses: &'a mut [Lanes],
    probs: &'a mut [Lanes],
}

impl Kernel for CrossEntropyTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for s in 0..self.groups.len() {
            let range = self.groups.range(s);
            let logits = &self.logits[range.clone()];
            let log_sums = softmax_lanes::<I>(logits, &mut self.probs[range]);
            for lane in 0..LANES {
                let code = self.check.checked(self.codes[s].0[lane], s, logits.len());
                self.losses[s].0[lane] = log_sums.0[lane] - logits[code].0[lane];
            }
        }
    }
}

impl CpuKernel for SoftmaxCrossEntropy {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (width, count) = (self.groups.total(), self.groups.len());
        let (logits, codes, set) = (cx.f32_input(0, width), cx.code_input(1, count), cx.set);
        let check = CodeCheck::new();
        cx.with_outputs([Some(0), Some(1)], |cx, outputs| {
            let [to_losses, to_probs] = outputs.map(Shared::new);
            cx.parallel(cx.blocks(), |block| {
                // SAFETY: each task writes its own block.
                let (losses, probs) = unsafe {
                    (
                        to_losses.part(block * count..(block + 1) * count),
                        to_probs.part(block * width..(block + 1) * width),
                    )
                };
                let (logits, codes) = (block_of(logits, block, width), block_of(codes, block, count));
                set.dispatch(CrossEntropyTask {
                    groups: &self.groups,
                    logits,
                    codes,
                    check: &check,
                    losses,
                    probs,
                });
            });
        });
        check.finish(|s| self.groups.width(s))
    }
}

struct GradTask<'a> {
    groups: &'a Groups,
    rows: usize,
    probs: &'a [Lanes],
    codes: &'a [CodeLanes],
    check: &'a CodeCheck,
    grad_losses: &'a [Lanes],
    out: &'a mut [Lanes],
}

impl Kernel for GradTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for s in 0..self.groups.len() {
            let range = self.groups.range(s);
            let out = &mut self.out[range.clone()];
            let d = &self.grad_losses[s];
            for (p, out) in self.probs[range].iter().zip(out.iter_mut()) {
                for h in 0..2 {
                    let v = I::mul(I::load(half(p, h)), I::load(half(d, h)));
                    I::store(v, half_mut(out, h));
                }
            }
            for lane in 0..self.rows {
                let code = self.check.checked(self.codes[s].0[lane], s, out.len());
                out[code].0[lane] -= d.0[lane];
            }
        }
    }
}

impl CpuKernel for SoftmaxCrossEntropyGrad {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (width, count) = (self.groups.total(), self.groups.len());
        let (probs, codes, grads) = (
            cx.f32_input(0, width),
            cx.code_input(1, count),
            cx.f32_input(2, count),
        );
        let (set, all_rows) = (cx.set, cx.rows());
        let check = CodeCheck::new();
        cx.fill_blocks(0, width, |block, out| {
            let (probs, codes) = (block_of(probs, block, width), block_of(codes, block, count));
            let (grad_losses, rows) = (block_of(grads, block, count), valid(all_rows, block));
            let (groups, check) = (&self.groups, &check);
            set.dispatch(GradTask {
                groups,
                rows,
                probs,
                codes,
                check,
                grad_losses,
                out,
            });
        });
        check.finish(|s| self.groups.width(s))
    }
}
