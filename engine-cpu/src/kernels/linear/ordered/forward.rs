//! The forward pass: one task per block of rows.

use engine_core::backend::BackendError;
use engine_core::ir::ops::linear::{OrderedLinear, OrderedSpec};

use super::{Inputs, Ordered, Visible, gather, tile_scratch};
use crate::dropout::DropoutMask;
use crate::isa::{Isa, Kernel};
use crate::kernels::kernel::{Context, CpuKernel, block_of};
use crate::kernels::linear::product;
use crate::lanes::Lanes;
use crate::scratch::ScratchSize;

struct Forward<'a> {
    spec: &'a OrderedSpec,
    visible: &'a Visible,
    params: &'a [f32],
    inputs: Inputs<'a>,
    mask: Option<DropoutMask>,
    tile: &'a mut [Lanes],
    out: &'a mut [Lanes],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        for (s, layer) in self.spec.layers.iter().enumerate() {
            let (visible, spans) = (&self.visible.blocks[s], &self.visible.spans[s]);
            let count = gather::<I>(visible, self.inputs, self.mask, s, self.tile);
            let (weight, bias) = (
                &self.params[layer.weight.range()],
                &self.params[layer.bias.range()],
            );
            let (stride, out) = (layer.weight.columns, &mut self.out[self.spec.output.range(s)]);
            product::forward::<I>(&self.tile[..count], spans, weight, stride, bias, out);
        }
    }
}

impl CpuKernel for Ordered<OrderedLinear> {
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
        let (g, e) = (cx.f32_input(0, columns), cx.f32_input(1, subs));
        let visible = self.refreshed(spec, cx);
        let visible: &Visible = &visible;
        let (set, run, scratch) = (cx.set, cx.run, cx.scratch);
        cx.with_arenas([self.op.params], |cx, [params]| {
            cx.fill_blocks(0, outputs, |block, out| {
                let inputs = Inputs {
                    columns: block_of(g, block, columns),
                    sub_columns: block_of(e, block, subs),
                };
                let mask = spec.dropout.map(|d| DropoutMask::new(d, &run, block));
                scratch.with(|s| {
                    let tile = &mut s.lanes[..];
                    set.dispatch(Forward {
                        spec,
                        visible,
                        params,
                        inputs,
                        mask,
                        tile,
                        out,
                    });
                });
            });
        });
        Ok(())
    }
}
