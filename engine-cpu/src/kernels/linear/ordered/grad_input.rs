//! The gradient of the inputs: one task per block of rows.

use engine_core::backend::BackendError;
use engine_core::ir::ops::linear::{BlockSource, OrderedLinearGradInput, OrderedSpec};

use super::{Ordered, Visible, tile_scratch};
use crate::dropout::DropoutMask;
use crate::isa::{Isa, Kernel, half, half_mut};
use crate::kernels::kernel::{Context, CpuKernel, block_of};
use crate::kernels::linear::product;
use crate::lanes::Lanes;
use crate::scratch::ScratchSize;
use crate::shared::Shared;

struct Backward<'a> {
    spec: &'a OrderedSpec,
    visible: &'a Visible,
    params: &'a [f32],
    grad: &'a [Lanes],
    mask: Option<DropoutMask>,
    tile: &'a mut [Lanes],
    grad_columns: &'a mut [Lanes],
    grad_subs: &'a mut [Lanes],
}

impl Backward<'_> {
    /// Adds the tile, through its mask, to the gradients of the inputs.
    #[inline(always)]
    fn scatter<I: Isa>(&mut self, s: usize) {
        let mut position = 0;
        let mut words = [[I::splat_u(0); 4]; 2];
        for block in &self.visible.blocks[s] {
            let to = match block.source {
                BlockSource::Columns => &mut *self.grad_columns,
                BlockSource::SubColumns => &mut *self.grad_subs,
            };
            for to in &mut to[block.feature..block.feature + block.width] {
                let x = &self.tile[position];
                let mut x = [I::load(half(x, 0)), I::load(half(x, 1))];
                if let Some(mask) = self.mask {
                    if position % 16 == 0 {
                        words = mask.words::<I>(s, position);
                    }
                    x = mask.apply::<I>(&words, position, x);
                }
                for (h, x) in x.into_iter().enumerate() {
                    let to = half_mut(to, h);
                    I::store(I::add(I::load(to), x), to);
                }
                position += 1;
            }
        }
    }
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(mut self) {
        self.grad_columns.fill(Lanes::ZERO);
        self.grad_subs.fill(Lanes::ZERO);
        for s in 0..self.spec.layers.len() {
            let weight = &self.spec.layers[s].weight;
            let grad = &self.grad[self.spec.output.range(s)];
            let mut position = 0;
            for block in &self.visible.blocks[s] {
                let tile = &mut self.tile[position..position + block.width];
                let params = &self.params[weight.range()];
                product::backward::<I>(grad, params, weight.columns, block.weight_column, tile);
                position += block.width;
            }
            self.scatter::<I>(s);
        }
    }
}

impl CpuKernel for Ordered<OrderedLinearGradInput> {
    fn scratch(&self) -> ScratchSize {
        tile_scratch(&self.op.spec)
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let spec = &self.op.spec;
        let (columns, outputs) = (spec.columns.total(), spec.output.total());
        let subs = if spec.has_siblings() {
            spec.sub_columns.total()
        } else {
            0
        };
        let grad = cx.f32_input(3, outputs);
        let visible = self.refreshed(spec, cx);
        let visible: &Visible = &visible;
        let (set, run, scratch, count) = (cx.set, cx.run, cx.scratch, cx.blocks());
        let outputs_present = [Some(0), (subs > 0).then_some(1)];
        cx.with_arenas([self.op.params], |cx, [params]| {
            cx.with_outputs(outputs_present, |cx, grads| {
                let [to_columns, to_subs] = grads.map(Shared::new);
                cx.parallel(count, |block| {
                    // SAFETY: each task writes the features of its own block.
                    let (grad_columns, grad_subs) = unsafe {
                        (
                            to_columns.part(block * columns..(block + 1) * columns),
                            to_subs.part(block * subs..(block + 1) * subs),
                        )
                    };
                    let grad = block_of(grad, block, outputs);
                    let mask = spec.dropout.map(|d| DropoutMask::new(d, &run, block));
                    scratch.with(|s| {
                        let tile = &mut s.lanes[..];
                        set.dispatch(Backward {
                            spec,
                            visible,
                            params,
                            grad,
                            mask,
                            tile,
                            grad_columns,
                            grad_subs,
                        });
                    });
                });
            });
        });
        Ok(())
    }
}
