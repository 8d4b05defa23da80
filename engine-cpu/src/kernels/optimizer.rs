//! AdamW: one pass over the four arenas.

use engine_core::backend::BackendError;
use engine_core::ir::Op;
use engine_core::ir::ops::optimizer::{AdamW, AdamWStep};

use super::kernel::{Context, CpuKernel, as_op};
use crate::isa::{Isa, Kernel, WIDTH};
use crate::shared::Shared;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    as_op::<AdamW>(op).map(|op| Box::new(op) as Box<dyn CpuKernel>)
}

/// Elements of a task.
const CHUNK: usize = 4096;

struct Pass<'a> {
    op: &'a AdamW,
    step: AdamWStep,
    params: &'a mut [f32],
    grads: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

impl Kernel for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self {
            op,
            step,
            params,
            grads,
            first,
            second,
        } = self;
        let (params, params_tail) = params.as_chunks_mut::<WIDTH>();
        let (grads, grads_tail) = grads.as_chunks_mut::<WIDTH>();
        let (first, first_tail) = first.as_chunks_mut::<WIDTH>();
        let (second, second_tail) = second.as_chunks_mut::<WIDTH>();
        for (((w, g), m), v) in params.iter_mut().zip(grads).zip(first).zip(second) {
            update::<I>(op, step, w, g, m, v);
        }
        let n = params_tail.len();
        if n > 0 {
            // The tail goes through whole registers too, so that every element meets the same instructions.
            let (mut w, mut g, mut m, mut v) = ([0.0; WIDTH], [0.0; WIDTH], [0.0; WIDTH], [0.0; WIDTH]);
            w[..n].copy_from_slice(params_tail);
            g[..n].copy_from_slice(grads_tail);
            m[..n].copy_from_slice(first_tail);
            v[..n].copy_from_slice(second_tail);
            update::<I>(op, step, &mut w, &mut g, &mut m, &mut v);
            params_tail.copy_from_slice(&w[..n]);
            grads_tail.copy_from_slice(&g[..n]);
            first_tail.copy_from_slice(&m[..n]);
            second_tail.copy_from_slice(&v[..n]);
        }
    }
}

#[inline(always)]
fn update<I: Isa>(
    op: &AdamW,
    step: AdamWStep,
    params: &mut [f32; WIDTH],
    grads: &mut [f32; WIDTH],
    first: &mut [f32; WIDTH],
    second: &mut [f32; WIDTH],
) {
    let beta2 = op.beta2 as f32;
    let g = I::load(grads);
    let before = I::load(first);
    let m = I::mul_add(I::splat((1.0 - op.beta1) as f32), I::sub(g, before), before);
    let gg = I::mul(I::splat((1.0 - op.beta2) as f32), I::mul(g, g));
    let v = I::mul_add(I::splat(beta2), I::load(second), gg);
    let root = I::mul(I::sqrt(v), I::splat(step.inverse_sqrt_correction));
    let denominator = I::add(root, I::splat(op.adam_eps as f32));
    let change = I::mul(I::splat(step.step_size), I::div(m, denominator));
    let w = I::sub(I::mul(I::load(params), I::splat(step.decay)), change);
    I::store(w, params);
    I::store(m, first);
    I::store(v, second);
    I::store(I::splat(0.0), grads);
}

impl CpuKernel for AdamW {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (set, step) = (cx.set, self.step(cx.run.first_step, cx.run.learning_rate));
        let ids = [self.params, self.grads, self.first_moments, self.second_moments];
        cx.with_arenas(ids, |cx, arenas| {
            let len = arenas[0].len();
            let shared = arenas.map(Shared::new);
            cx.parallel(len.div_ceil(CHUNK), |task| {
                let range = task * CHUNK..((task + 1) * CHUNK).min(len);
                // SAFETY: each task writes its own range of each arena.
                let [params, grads, first, second] =
                    unsafe { [0, 1, 2, 3].map(|i| shared[i].part(range.clone())) };
                set.dispatch(Pass {
                    op: self,
                    step,
                    params,
                    grads,
                    first,
                    second,
                });
            });
        });
        Ok(())
    }
}
