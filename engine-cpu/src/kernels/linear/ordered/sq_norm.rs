//! The squared norms of per-sample gradients: one task per block of rows.

use engine_core::backend::BackendError;
use engine_core::ir::ops::linear::{OrderedLinearSqNorm, OrderedSpec};

use super::{Inputs, Ordered, Visible, gather, tile_scratch};
use crate::dropout::DropoutMask;
use crate::isa::{Isa, Kernel};
use crate::kernels::kernel::{Context, CpuKernel, block_of};
use crate::kernels::linear::product;
use crate::lanes::Lanes;
use crate::scratch::ScratchSize;

struct SqNorm<'a> {
    spec: &'a OrderedSpec,
    visible: &'a Visible,
    inputs: Inputs<'a>,
    grad: &'a [Lanes],
    mask: Option<DropoutMask>,
    tile: &'a mut [Lanes],
    out: &'a mut [Lanes],
}

impl Kernel for SqNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for s in 0..self.spec.output.len() {
            let count = gather::<I>(&self.visible.blocks[s], self.inputs, self.mask, s, self.tile);
            let (mut uu, mut dd) = (Lanes::ZERO, Lanes::ZERO);
            product::add_squares::<I>(&self.tile[..count], &mut uu);
            product::add_squares::<I>(&self.grad[self.spec.output.range(s)], &mut dd);
            self.out[2 * s] = Lanes(std::array::from_fn(|l| uu.0[l] * dd.0[l]));
            self.out[2 * s + 1] = dd;
        }
    }
}

impl CpuKernel for Ordered<OrderedLinearSqNorm> {
    fn scratch(&self) -> ScratchSize {
        tile_scratch(&self.op.spec)
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let spec = &self.op.spec;
        let (columns, subs, outputs) = (
            spec.columns.total(),
            spec.sub_columns.total(),
            spec.output.total(),
        );
        let (g, e, grad) = (
            cx.f32_input(0, columns),
            cx.f32_input(1, subs),
            cx.f32_input(3, outputs),
        );
        let visible = self.refreshed(spec, cx);
        let visible: &Visible = &visible;
        let (set, run, scratch) = (cx.set, cx.run, cx.scratch);
        cx.fill_blocks(0, 2 * spec.output.len(), |block, out| {
            let inputs = Inputs {
                columns: block_of(g, block, columns),
                sub_columns: block_of(e, block, subs),
            };
            let mask = spec.dropout.map(|d| DropoutMask::new(d, &run, block));
            let grad = block_of(grad, block, outputs);
            scratch.with(|s| {
                let tile = &mut s.lanes[..];
                set.dispatch(SqNorm {
                    spec,
                    visible,
                    inputs,
                    grad,
                    mask,
                    tile,
                    out,
                });
            });
        });
        Ok(())
    }
}
