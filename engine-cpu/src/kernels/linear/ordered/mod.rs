//! The ordered linear layer: the visible inputs of a sub-column are gathered into a tile, with dropout, then multiplied by its weight. What is
//! visible follows from the column order of the step and is listed once per step.

mod forward;
mod grad_input;
mod grad_params;
mod sq_norm;

use std::cell::{RefCell, RefMut};

use engine_core::ir::Op;
use engine_core::ir::ops::linear::{
    Block, BlockSource, OrderedLinear, OrderedLinearGradInput, OrderedLinearGradParams, OrderedLinearSqNorm,
    OrderedSpec,
};

use super::product::Span;
use crate::dropout::DropoutMask;
use crate::isa::{Isa, half, half_mut};
use crate::kernels::kernel::{Context, CpuKernel, as_op};
use crate::lanes::Lanes;
use crate::scratch::ScratchSize;

/// An op with scratch memory for the features that are visible in a step.
#[derive(Debug)]
struct Ordered<T> {
    op: T,
    visible: RefCell<Visible>,
}

impl<T> Ordered<T> {
    fn new(op: T, spec: &OrderedSpec) -> Self {
        let count = spec.columns.len() + 1;
        let layers = 0..spec.output.len();
        Self {
            op,
            visible: RefCell::new(Visible {
                blocks: layers.clone().map(|_| Vec::with_capacity(count)).collect(),
                spans: layers.map(|_| Vec::with_capacity(count)).collect(),
            }),
        }
    }

    /// What is visible under the ranks of this step, input 2 of the op.
    fn refreshed(&self, spec: &OrderedSpec, cx: &Context<'_, '_>) -> RefMut<'_, Visible> {
        let mut visible = self.visible.borrow_mut();
        visible.refresh(spec, cx.u32_input(2, spec.columns.len()));
        visible
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

/// The visible inputs of each sub-column under one column order, as blocks of features and as columns of its weight.
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
    mask: Option<DropoutMask>,
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

/// Scratch memory for a tile: the visible inputs of any one sub-column.
fn tile_scratch(spec: &OrderedSpec) -> ScratchSize {
    let widths = (0..spec.output.len()).map(|s| spec.input_width(s));
    ScratchSize {
        lanes: widths.max().unwrap_or(0),
        ..ScratchSize::default()
    }
}
