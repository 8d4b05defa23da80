//! The gradient of weights and biases: one task per layer, over all blocks of rows.

use engine_core::backend::{BackendError, Run};
use engine_core::ir::ops::linear::{Block, OrderedLinearGradParams, OrderedSpec};

use super::{Inputs, Ordered, Visible, gather, tile_scratch};
use crate::dropout::DropoutMask;
use crate::isa::{Isa, Kernel};
use crate::kernels::kernel::{Context, CpuKernel, block_of};
use crate::kernels::linear::{add_transposed, product};
use crate::lanes::{LANES, Lanes, blocks, valid};
use crate::scratch::ScratchSize;
use crate::shared::Shared;

/// Gradient of one regressor's weight and bias over all blocks. Registers run across the outputs, whole registers in most
/// models; the visible inputs are the features.
struct Weights<'a> {
    spec: &'a OrderedSpec,
    visible: &'a [Block],
    s: usize,
    run: Run,
    rows: usize,
    columns: &'a [Lanes],
    sub_columns: &'a [Lanes],
    grad: &'a [Lanes],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
    tile: &'a mut [Lanes],
    floats: &'a mut [f32],
}

impl Kernel for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let (spec, s, all_rows) = (self.spec, self.s, self.rows);
        let inputs = spec.layers[s].weight.columns;
        let stride = product::padded(spec.output.width(s));
        let (across, sums) = self.floats.split_at_mut(LANES * stride);
        let count: usize = self.visible.iter().map(|b| b.width).sum();
        let sums = &mut sums[..count * stride];
        sums.fill(0.0);
        for block in 0..blocks(all_rows) {
            let rows = valid(all_rows, block);
            let values = Inputs {
                columns: block_of(self.columns, block, spec.columns.total()),
                sub_columns: block_of(self.sub_columns, block, spec.sub_columns.total()),
            };
            let grad = &block_of(self.grad, block, spec.output.total())[spec.output.range(s)];
            let mask = spec.dropout.map(|d| DropoutMask::new(d, &self.run, block));
            gather::<I>(self.visible, values, mask, s, self.tile);
            product::transpose::<I>(grad, across);
            product::outer::<I>(&self.tile[..count], across, stride, rows, sums);
            for (bias, grad) in self.bias.iter_mut().zip(grad) {
                *bias += grad.0[..rows].iter().sum::<f32>();
            }
        }
        let mut position = 0;
        for block in self.visible {
            let sums = &sums[position * stride..];
            add_transposed(
                sums,
                stride,
                block.width,
                self.weight,
                inputs.max(1),
                block.weight_column,
            );
            position += block.width;
        }
    }
}

impl CpuKernel for Ordered<OrderedLinearGradParams> {
    fn scratch(&self) -> ScratchSize {
        let floats = |s: usize| {
            let stride = product::padded(self.op.spec.output.width(s));
            (LANES + self.op.spec.input_width(s)) * stride
        };
        let floats = (0..self.op.spec.output.len()).map(floats).max().unwrap_or(0);
        ScratchSize {
            floats,
            ..tile_scratch(&self.op.spec)
        }
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let spec = &self.op.spec;
        let columns = cx.f32_input(0, spec.columns.total());
        let sub_columns = cx.f32_input(1, spec.sub_columns.total());
        let grad = cx.f32_input(3, spec.output.total());
        let visible = self.refreshed(spec, cx);
        let visible: &Visible = &visible;
        let (set, run, rows, scratch) = (cx.set, cx.run, cx.rows(), cx.scratch);
        cx.with_arenas([self.op.grads], |cx, [grads]| {
            let shared = Shared::new(grads);
            cx.parallel(spec.layers.len(), |s| {
                let layer = &spec.layers[s];
                // SAFETY: parameters do not overlap in the arena, and each layer is one task.
                let (weight, bias) =
                    unsafe { (shared.part(layer.weight.range()), shared.part(layer.bias.range())) };
                scratch.with(|scratch| {
                    let visible = &visible.blocks[s][..];
                    let (tile, floats) = (&mut scratch.lanes[..], &mut scratch.floats[..]);
                    set.dispatch(Weights {
                        spec,
                        visible,
                        s,
                        run,
                        rows,
                        columns,
                        sub_columns,
                        grad,
                        weight,
                        bias,
                        tile,
                        floats,
                    });
                });
            });
        });
        Ok(())
    }
}
