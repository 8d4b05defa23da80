//! Gathers batches from the encoded table, masks sequences behind their ends and makes column orders.

use std::cell::RefCell;

use engine_core::backend::BackendError;
use engine_core::ir::Op;
use engine_core::ir::ops::batch::{ColumnOrder, GatherRows, MaskRows};
use engine_core::schema::CodeColumn;

use super::kernel::{Context, CpuKernel, as_op, block_of};
use crate::lanes::{CodeLanes, LANES, Lanes, valid};
use crate::shared::Shared;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    if let Some(op) = as_op::<GatherRows>(op) {
        return Some(Box::new(op));
    }
    if let Some(op) = as_op::<MaskRows>(op) {
        return Some(Box::new(op));
    }
    let op = as_op::<ColumnOrder>(op)?;
    let keys = RefCell::new(Vec::with_capacity(op.columns));
    Some(Box::new(Ordering { op, keys }))
}

impl CpuKernel for GatherRows {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (run, all_rows, width) = (cx.run, cx.rows(), self.columns);
        cx.with_codes(|cx, out| {
            let (table, to) = (cx.table(self.table), Shared::new(out));
            cx.parallel(cx.blocks(), |block| {
                // SAFETY: each task writes its own block.
                let to = unsafe { to.part(block * width..(block + 1) * width) };
                let rows = valid(all_rows, block);
                let from: [usize; LANES] = std::array::from_fn(|lane| {
                    let b = (block * LANES + lane.min(rows - 1)) as u32;
                    self.reading.row(&run, b, table.rows())
                });
                for (column, lanes) in table.columns().iter().zip(to) {
                    gather(column, &from, lanes);
                    lanes.0[rows..].fill(0);
                }
            });
        });
        Ok(())
    }
}

fn gather(column: &CodeColumn, from: &[usize; LANES], lanes: &mut CodeLanes) {
    match column {
        CodeColumn::U8(codes) => lanes.0 = from.map(|row| u32::from(codes[row])),
        CodeColumn::U16(codes) => lanes.0 = from.map(|row| u32::from(codes[row])),
        CodeColumn::U32(codes) => lanes.0 = from.map(|row| codes[row]),
    }
}

impl CpuKernel for MaskRows {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (run, all_rows, width) = (cx.run, cx.rows(), cx.width);
        let (x, blocks) = (cx.f32_input(0, width), cx.blocks());
        cx.with_outputs([Some(0)], |cx, [out]| {
            let (lengths, to) = (cx.u32_resource(self.lengths), Shared::new(out));
            cx.parallel(blocks, |block| {
                // SAFETY: each task writes its own block.
                let to = unsafe { to.part(block * width..(block + 1) * width) };
                let keeps: [bool; LANES] = std::array::from_fn(|lane| {
                    lane < valid(all_rows, block) && self.keeps(&run, block * LANES + lane, lengths)
                });
                for (x, to) in block_of(x, block, width).iter().zip(to) {
                    *to = Lanes(std::array::from_fn(|l| if keeps[l] { x.0[l] } else { 0.0 }));
                }
            });
        });
        Ok(())
    }
}

/// A column order with scratch memory for its keys.
#[derive(Debug)]
struct Ordering {
    op: ColumnOrder,
    keys: RefCell<Vec<(u32, u32, u32)>>,
}

impl CpuKernel for Ordering {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (seed, step, columns) = (cx.run.seed, cx.run.first_step, self.op.columns);
        let ranks = &mut cx.u32_output()[..columns];
        self.op.fill_ranks(seed, step, &mut self.keys.borrow_mut(), ranks);
        Ok(())
    }
}
