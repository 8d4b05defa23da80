//! Ordered linear: the visible inputs of a sub-column are gathered into a dropped-out tile of lanes, then multiplied. Masks are
//! made again whenever they are needed, in registers.

use std::cell::RefCell;

use engine_core::backend::{BackendError, Run};
use engine_core::ir::Op;
use engine_core::ir::ops::activation::Dropout;
use engine_core::ir::ops::linear::{
    Block, BlockSource, OrderedLinear, OrderedLinearGradInput, OrderedLinearGradParams, OrderedLinearSqNorm,
    OrderedSpec,
};

use super::add_transposed;
use super::product::{self, Span};
use crate::isa::{Isa, Kernel, half, half_mut, half_u, philox_lanes};
use crate::kernels::{Context, CpuKernel, as_op, block_of};
use crate::lanes::{LANES, Lanes, blocks, valid};
use crate::scratch::ScratchSize;
use crate::shared::Shared;

/// An op with room for what is visible in a step.
#[derive(Debug)]
struct Ordered<T> {
    op: T,
    visible: RefCell<Visible>,
}

impl<T> Ordered<T> {
    fn new(op: T, spec: &OrderedSpec) -> Self {
        let count = spec.columns.len() + 1;
        let room = || {
            (0..spec.output.len())
                .map(|_| Vec::with_capacity(count))
                .collect()
        };
        let spans = (0..spec.output.len())
            .map(|_| Vec::with_capacity(count))
            .collect();
        Self {
            op,
            visible: RefCell::new(Visible {
                blocks: room(),
                spans,
            }),
        }
    }
}

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    if let Some(op) = as_op::<OrderedLinear>(op) {
        let spec = op.spec.clone();
        return Some(Box::new(Ordered::new(op, &spec)));
    }
    if let Some(op) = as_op::<OrderedLinearGradInput>(op) {
        let spec = op.spec.clone();
        return Some(Box::new(Ordered::new(op, &spec)));
    }
    if let Some(op) = as_op::<OrderedLinearGradParams>(op) {
        let spec = op.spec.clone();
        return Some(Box::new(Ordered::new(op, &spec)));
    }
    let op = as_op::<OrderedLinearSqNorm>(op)?;
    let spec = op.spec.clone();
    Some(Box::new(Ordered::new(op, &spec)))
}

/// What each sub-column sees under one column order.
#[derive(Debug)]
struct Visible {
    blocks: Vec<Vec<Block>>,
    spans: Vec<Vec<Span>>,
}

impl Visible {
    fn refresh(&mut self, spec: &OrderedSpec, ranks: &[u32]) {
        for (s, (blocks, spans)) in self.blocks.iter_mut().zip(&mut self.spans).enumerate() {
            spec.blocks(s, ranks, blocks);
            spans.clear();
            spans.extend(blocks.iter().map(|b| Span {
                column: b.weight_column,
                width: b.width,
            }));
        }
    }
}

/// Dropout factors of the rows of one block, position by position.
#[derive(Clone, Copy)]
pub(crate) struct Mask {
    threshold: u32,
    scale: f32,
    key: [u32; 2],
    step: u32,
    /// Row of the batch and last counter word of each lane.
    rows: [u32; LANES],
    high: [u32; LANES],
}

impl Mask {
    pub(crate) fn new(dropout: Dropout, run: &Run, block: usize) -> Self {
        let stream = dropout.stream(run.seed);
        let (mut rows, mut high) = ([0; LANES], [0; LANES]);
        for lane in 0..LANES {
            let place = run.place(block * LANES + lane);
            rows[lane] = place.batch_row;
            high[lane] = stream.high_at(place.time.min(u32::from(u16::MAX)));
        }
        Self {
            threshold: u32::from(dropout.threshold),
            scale: dropout.scale(),
            key: stream.key(),
            step: run.first_step,
            rows,
            high,
        }
    }

    /// The words that decide 16 positions from `position` on, for both halves of the lanes.
    #[inline(always)]
    pub(crate) fn words<I: Isa>(&self, group: usize, position: usize) -> [[I::U; 4]; 2] {
        let column = Dropout::counter_column(group, position);
        let mut words = [[I::splat_u(0); 4]; 2];
        for (h, block) in words.iter_mut().enumerate() {
            let (rows, high) = (half_u(&self.rows, h), half_u(&self.high, h));
            *block = philox_lanes::<I>(column, I::load_u(rows), self.step, I::load_u(high), self.key);
        }
        words
    }

    /// `x` times its factor at `position`, given the words of its 16.
    #[inline(always)]
    pub(crate) fn apply<I: Isa>(&self, words: &[[I::U; 4]; 2], position: usize, x: [I::V; 2]) -> [I::V; 2] {
        let (word, byte) = (position % 16 / 4, (position % 4) as u32);
        let mut y = x;
        for h in 0..2 {
            let scaled = I::mul(x[h], I::splat(self.scale));
            y[h] = I::keep(words[h][word], byte, self.threshold, scaled);
        }
        y
    }
}

/// Values of one block.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    columns: &'a [Lanes],
    sub_columns: &'a [Lanes],
}

impl<'a> Inputs<'a> {
    #[inline(always)]
    fn of(&self, block: &Block) -> &'a [Lanes] {
        let from = match block.source {
            BlockSource::Columns => self.columns,
            BlockSource::SubColumns => self.sub_columns,
        };
        &from[block.feature..block.feature + block.width]
    }
}

/// Gathers the visible inputs, dropped out, into `tile`; returns how many there are.
#[inline(always)]
fn gather<I: Isa>(
    visible: &[Block],
    inputs: Inputs<'_>,
    mask: Option<Mask>,
    group: usize,
    tile: &mut [Lanes],
) -> usize {
    let mut position = 0;
    let Some(mask) = mask else {
        for block in visible {
            tile[position..position + block.width].copy_from_slice(inputs.of(block));
            position += block.width;
        }
        return position;
    };
    let mut words = [[I::splat_u(0); 4]; 2];
    for block in visible {
        let from = inputs.of(block);
        let to = &mut tile[position..position + block.width];
        for (x, to) in from.iter().zip(to) {
            if position % 16 == 0 {
                words = mask.words::<I>(group, position);
            }
            let x = mask.apply::<I>(&words, position, [I::load(half(x, 0)), I::load(half(x, 1))]);
            I::store(x[0], half_mut(to, 0));
            I::store(x[1], half_mut(to, 1));
            position += 1;
        }
    }
    position
}

fn widest_input(spec: &OrderedSpec) -> usize {
    (0..spec.output.len())
        .map(|s| spec.input_width(s))
        .max()
        .unwrap_or(0)
}

struct Forward<'a> {
    spec: &'a OrderedSpec,
    visible: &'a Visible,
    params: &'a [f32],
    inputs: Inputs<'a>,
    mask: Option<Mask>,
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
        ScratchSize {
            lanes: widest_input(&self.op.spec),
            ..ScratchSize::default()
        }
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let spec = &self.op.spec;
        let (columns, subs, outputs) = (
            spec.columns.total(),
            spec.sub_columns.total(),
            spec.output.total(),
        );
        let (g, e) = (cx.numbers(0, columns), cx.numbers(1, subs));
        let mut visible = self.visible.borrow_mut();
        visible.refresh(spec, cx.words(2, spec.columns.len()));
        let visible: &Visible = &visible;
        let (set, run, scratch) = (cx.set, cx.run, cx.scratch);
        let params = cx.take_arena(self.op.params);
        cx.fill_blocks(0, outputs, |block, out| {
            let inputs = Inputs {
                columns: block_of(g, block, columns),
                sub_columns: block_of(e, block, subs),
            };
            let mask = spec.dropout.map(|d| Mask::new(d, &run, block));
            scratch.with(|s| {
                let (params, tile) = (&params, &mut s.lanes[..]);
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
        cx.put_arena(self.op.params, params);
        Ok(())
    }
}

struct Backward<'a> {
    spec: &'a OrderedSpec,
    visible: &'a Visible,
    params: &'a [f32],
    grad: &'a [Lanes],
    mask: Option<Mask>,
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
        ScratchSize {
            lanes: widest_input(&self.op.spec),
            ..ScratchSize::default()
        }
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let spec = &self.op.spec;
        let (columns, outputs) = (spec.columns.total(), spec.output.total());
        let subs = if spec.has_siblings() {
            spec.sub_columns.total()
        } else {
            0
        };
        let grad = cx.numbers(3, outputs);
        let mut visible = self.visible.borrow_mut();
        visible.refresh(spec, cx.words(2, spec.columns.len()));
        let visible: &Visible = &visible;
        let (set, run, scratch, count) = (cx.set, cx.run, cx.scratch, cx.blocks());
        let params = cx.take_arena(self.op.params);
        let mut grad_columns = cx.take_numbers(0);
        let mut grad_subs = if subs > 0 { cx.take_numbers(1) } else { Vec::new() };
        let (to_columns, to_subs) = (Shared::new(&mut grad_columns), Shared::new(&mut grad_subs));
        cx.parallel(count, |block| {
            // SAFETY: each task writes the features of its own block.
            let (grad_columns, grad_subs) = unsafe {
                (
                    to_columns.part(block * columns..(block + 1) * columns),
                    to_subs.part(block * subs..(block + 1) * subs),
                )
            };
            let (grad, mask) = (
                block_of(grad, block, outputs),
                spec.dropout.map(|d| Mask::new(d, &run, block)),
            );
            scratch.with(|s| {
                let (params, tile) = (&params, &mut s.lanes[..]);
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
        cx.put(0, crate::kernels::Value::Numbers(grad_columns));
        if subs > 0 {
            cx.put(1, crate::kernels::Value::Numbers(grad_subs));
        }
        cx.put_arena(self.op.params, params);
        Ok(())
    }
}

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
    numbers: &'a mut [f32],
}

impl Kernel for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<I: Isa>(self) {
        let (spec, s, all_rows) = (self.spec, self.s, self.rows);
        let inputs = spec.layers[s].weight.columns;
        let stride = product::padded(spec.output.width(s));
        let (across, sums) = self.numbers.split_at_mut(LANES * stride);
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
            let mask = spec.dropout.map(|d| Mask::new(d, &self.run, block));
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
        let numbers = |s: usize| {
            let stride = product::padded(self.op.spec.output.width(s));
            (LANES + self.op.spec.input_width(s)) * stride
        };
        let numbers = (0..self.op.spec.output.len()).map(numbers).max().unwrap_or(0);
        ScratchSize {
            lanes: widest_input(&self.op.spec),
            numbers,
            ..ScratchSize::default()
        }
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let spec = &self.op.spec;
        let columns = cx.numbers(0, spec.columns.total());
        let sub_columns = cx.numbers(1, spec.sub_columns.total());
        let grad = cx.numbers(3, spec.output.total());
        let mut visible = self.visible.borrow_mut();
        visible.refresh(spec, cx.words(2, spec.columns.len()));
        let visible: &Visible = &visible;
        let (set, run, rows, scratch) = (cx.set, cx.run, cx.rows(), cx.scratch);
        let mut grads = cx.take_arena(self.op.grads);
        let shared = Shared::new(&mut grads);
        cx.parallel(spec.layers.len(), |s| {
            let layer = &spec.layers[s];
            // SAFETY: parameters do not overlap in the arena, and each layer is one task.
            let (weight, bias) =
                unsafe { (shared.part(layer.weight.range()), shared.part(layer.bias.range())) };
            scratch.with(|scratch| {
                let (visible, tile, numbers) = (
                    &visible.blocks[s][..],
                    &mut scratch.lanes[..],
                    &mut scratch.numbers[..],
                );
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
                    numbers,
                });
            });
        });
        cx.put_arena(self.op.grads, grads);
        Ok(())
    }
}

struct SqNorm<'a> {
    spec: &'a OrderedSpec,
    visible: &'a Visible,
    inputs: Inputs<'a>,
    grad: &'a [Lanes],
    mask: Option<Mask>,
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
        ScratchSize {
            lanes: widest_input(&self.op.spec),
            ..ScratchSize::default()
        }
    }

    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let spec = &self.op.spec;
        let (columns, subs, outputs) = (
            spec.columns.total(),
            spec.sub_columns.total(),
            spec.output.total(),
        );
        let (g, e, grad) = (
            cx.numbers(0, columns),
            cx.numbers(1, subs),
            cx.numbers(3, outputs),
        );
        let mut visible = self.visible.borrow_mut();
        visible.refresh(spec, cx.words(2, spec.columns.len()));
        let visible: &Visible = &visible;
        let (set, run, scratch) = (cx.set, cx.run, cx.scratch);
        cx.fill_blocks(0, 2 * spec.output.len(), |block, out| {
            let inputs = Inputs {
                columns: block_of(g, block, columns),
                sub_columns: block_of(e, block, subs),
            };
            let mask = spec.dropout.map(|d| Mask::new(d, &run, block));
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
