//! Grouped linear: one task per block of rows going forward and back, one task per layer for its weights.

use engine_core::backend::BackendError;
use engine_core::ir::Op;
use engine_core::ir::ops::linear::{
    GroupedLinear, GroupedLinearGradInput, GroupedLinearGradParams, GroupedLinearSqNorm, Layer, LinearGroups,
};

use super::product::{self, Span};
use crate::isa::{Isa, Kernel};
use crate::kernels::kernel::{Context, CpuKernel, as_op, block_of};
use crate::lanes::{LANES, Lanes, valid};
use crate::scratch::ScratchSize;
use crate::shared::Shared;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    if let Some(op) = as_op::<GroupedLinear>(op) {
        return Some(Box::new(op));
    }
    if let Some(op) = as_op::<GroupedLinearGradInput>(op) {
        return Some(Box::new(op));
    }
    if let Some(op) = as_op::<GroupedLinearGradParams>(op) {
        return Some(Box::new(op));
    }
    as_op::<GroupedLinearSqNorm>(op).map(|op| Box::new(op) as Box<dyn CpuKernel>)
}

struct Forward<'a> {
    groups: &'a LinearGroups,
    params: &'a [f32],
    x: &'a [Lanes],
    out: &'a mut [Lanes],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let LinearGroups {
            input,
            output,
            layers,
        } = self.groups;
        for (g, layer) in layers.iter().enumerate() {
            let (x, out) = (&self.x[input.range(g)], &mut self.out[output.range(g)]);
            let Some(Layer { weight, bias }) = layer else {
                out.copy_from_slice(x);
                continue;
            };
            let spans = [Span {
                column: 0,
                width: x.len(),
            }];
            let (w, b) = (&self.params[weight.range()], &self.params[bias.range()]);
            product::forward::<I>(x, &spans, w, weight.columns, b, out);
        }
    }
}

impl CpuKernel for GroupedLinear {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (inputs, outputs) = (self.groups.input.total(), self.groups.output.total());
        let (x, set) = (cx.f32_input(0, inputs), cx.set);
        cx.with_arenas([self.params], |cx, [params]| {
            cx.fill_blocks(0, outputs, |block, out| {
                let x = block_of(x, block, inputs);
                set.dispatch(Forward {
                    groups: &self.groups,
                    params,
                    x,
                    out,
                });
            });
        });
        Ok(())
    }
}

struct Backward<'a> {
    groups: &'a LinearGroups,
    params: &'a [f32],
    grad: &'a [Lanes],
    out: &'a mut [Lanes],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let LinearGroups {
            input,
            output,
            layers,
        } = self.groups;
        for (g, layer) in layers.iter().enumerate() {
            let (grad, out) = (&self.grad[output.range(g)], &mut self.out[input.range(g)]);
            match layer {
                None => out.copy_from_slice(grad),
                Some(Layer { weight, .. }) => {
                    product::backward::<I>(grad, &self.params[weight.range()], weight.columns, 0, out);
                }
            }
        }
    }
}

impl CpuKernel for GroupedLinearGradInput {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (inputs, outputs) = (self.groups.input.total(), self.groups.output.total());
        let (grad, set) = (cx.f32_input(0, outputs), cx.set);
        cx.with_arenas([self.params], |cx, [params]| {
            cx.fill_blocks(0, inputs, |block, out| {
                let grad = block_of(grad, block, outputs);
                set.dispatch(Backward {
                    groups: &self.groups,
                    params,
                    grad,
                    out,
                });
            });
        });
        Ok(())
    }
}

/// Gradient of one layer's weight and bias over all blocks. Registers run across the inputs, which are hidden units and
/// hence whole registers in most models; outputs are the features.
struct Weights<'a> {
    groups: &'a LinearGroups,
    group: usize,
    rows: usize,
    x: &'a [Lanes],
    grad: &'a [Lanes],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
    floats: &'a mut [f32],
}

impl Kernel for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let LinearGroups { input, output, .. } = self.groups;
        let (g, inputs, outputs) = (self.group, input.width(self.group), output.width(self.group));
        let stride = product::padded(inputs);
        let (across, sums) = self.floats.split_at_mut(LANES * stride);
        let sums = &mut sums[..outputs * stride];
        sums.fill(0.0);
        for block in 0..crate::lanes::blocks(self.rows) {
            let rows = valid(self.rows, block);
            let x = &block_of(self.x, block, input.total())[input.range(g)];
            let grad = &block_of(self.grad, block, output.total())[output.range(g)];
            product::transpose::<I>(x, across);
            product::outer::<I>(grad, across, stride, rows, sums);
            for (bias, grad) in self.bias.iter_mut().zip(grad) {
                *bias += grad.0[..rows].iter().sum::<f32>();
            }
        }
        for (row, sums) in self
            .weight
            .chunks_exact_mut(inputs.max(1))
            .zip(sums.chunks_exact(stride.max(1)))
        {
            row.iter_mut().zip(sums).for_each(|(w, s)| *w += s);
        }
    }
}

impl CpuKernel for GroupedLinearGradParams {
    fn scratch(&self) -> ScratchSize {
        let floats = |(g, _): (usize, Layer)| {
            let stride = product::padded(self.groups.input.width(g));
            (LANES + self.groups.output.width(g)) * stride
        };
        ScratchSize {
            floats: self.groups.layers_present().map(floats).max().unwrap_or(0),
            lanes: 0,
            ..ScratchSize::default()
        }
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (inputs, outputs) = (self.groups.input.total(), self.groups.output.total());
        let (x, grad) = (cx.f32_input(0, inputs), cx.f32_input(1, outputs));
        let (set, rows, scratch) = (cx.set, cx.rows(), cx.scratch);
        cx.with_arenas([self.grads], |cx, [grads]| {
            let shared = Shared::new(grads);
            cx.parallel(self.groups.layers.len(), |group| {
                let Some(Layer { weight, bias }) = self.groups.layers[group] else {
                    return;
                };
                // SAFETY: parameters do not overlap in the arena, and each layer is one task.
                let (weight, bias) = unsafe { (shared.part(weight.range()), shared.part(bias.range())) };
                scratch.with(|s| {
                    let (groups, floats) = (&self.groups, &mut s.floats[..]);
                    set.dispatch(Weights {
                        groups,
                        group,
                        rows,
                        x,
                        grad,
                        weight,
                        bias,
                        floats,
                    });
                });
            });
        });
        Ok(())
    }
}

struct SqNorm<'a> {
    groups: &'a LinearGroups,
    x: &'a [Lanes],
    grad: &'a [Lanes],
    out: &'a mut [Lanes],
}

impl Kernel for SqNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for (i, (g, _)) in self.groups.layers_present().enumerate() {
            let (mut xx, mut dd) = (Lanes::ZERO, Lanes::ZERO);
            product::add_squares::<I>(&self.x[self.groups.input.range(g)], &mut xx);
            product::add_squares::<I>(&self.grad[self.groups.output.range(g)], &mut dd);
            self.out[2 * i] = Lanes(std::array::from_fn(|l| xx.0[l] * dd.0[l]));
            self.out[2 * i + 1] = dd;
        }
    }
}

impl CpuKernel for GroupedLinearSqNorm {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (inputs, outputs) = (self.groups.input.total(), self.groups.output.total());
        let (x, grad, set) = (cx.f32_input(0, inputs), cx.f32_input(1, outputs), cx.set);
        let width = 2 * self.groups.layers_present().count();
        cx.fill_blocks(0, width, |block, out| {
            let (x, grad) = (block_of(x, block, inputs), block_of(grad, block, outputs));
            set.dispatch(SqNorm {
                groups: &self.groups,
                x,
                grad,
                out,
            });
        });
        Ok(())
    }
}
