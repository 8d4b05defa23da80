//! Embedding lookups by block of rows; gradients by sub-column, in row order, so that no sum depends on the threads.

use std::sync::atomic::{AtomicU64, Ordering};

use engine_core::backend::BackendError;
use engine_core::ir::ops::embedding::{Embedding, EmbeddingGrad, EmbeddingSqNorm, embedding_groups};
use engine_core::ir::{Groups, Op};

use super::kernel::{Context, CpuKernel, as_op, block_of};
use crate::lanes::{LANES, Lanes, valid};
use crate::shared::Shared;

/// An op with the groups of its embeddings, so that a step does not lay them out anew.
#[derive(Debug)]
struct Grouped<T> {
    op: T,
    groups: Groups,
}

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    if let Some(op) = as_op::<Embedding>(op) {
        let groups = embedding_groups(&op.tables);
        return Some(Box::new(Grouped { op, groups }));
    }
    if let Some(op) = as_op::<EmbeddingGrad>(op) {
        let groups = embedding_groups(&op.tables);
        return Some(Box::new(Grouped { op, groups }));
    }
    let op = as_op::<EmbeddingSqNorm>(op)?;
    let groups = embedding_groups(&op.tables);
    Some(Box::new(Grouped { op, groups }))
}

/// Remembers one code that is out of range, so that a parallel loop can report it.
#[derive(Debug)]
pub(super) struct CodeCheck(AtomicU64);

impl CodeCheck {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }

    /// The code, or 0 and a note when it is not below `cardinality`.
    #[inline]
    pub(super) fn checked(&self, code: u32, sub_column: usize, cardinality: usize) -> usize {
        if (code as usize) < cardinality {
            return code as usize;
        }
        self.0
            .fetch_min((sub_column as u64) << 32 | u64::from(code), Ordering::Relaxed);
        0
    }

    /// The error of the first sub-column with such a code.
    pub(super) fn finish(self, cardinality: impl Fn(usize) -> usize) -> Result<(), BackendError> {
        let noted = self.0.into_inner();
        if noted == u64::MAX {
            return Ok(());
        }
        let (sub_column, code) = ((noted >> 32) as usize, (noted & 0xFFFF_FFFF) as usize);
        Err(BackendError::CodeOutOfRange {
            sub_column,
            code,
            cardinality: cardinality(sub_column),
        })
    }
}

impl CpuKernel for Grouped<Embedding> {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (Self { op, groups }, rows) = (self, cx.rows());
        let codes = cx.code_input(0, op.tables.len());
        let check = CodeCheck::new();
        cx.with_arenas([op.params], |cx, [params]| {
            cx.fill_blocks(0, groups.total(), |block, out| {
                let codes = block_of(codes, block, op.tables.len());
                for (s, table) in op.tables.iter().enumerate() {
                    let (width, params) = (table.columns, &params[table.range()]);
                    let out = &mut out[groups.range(s)];
                    for lane in 0..LANES {
                        let code = if lane < valid(rows, block) {
                            check.checked(codes[s].0[lane], s, table.rows)
                        } else {
                            0
                        };
                        let row = &params[code * width..(code + 1) * width];
                        for (to, from) in out.iter_mut().zip(row) {
                            to.0[lane] = *from;
                        }
                    }
                }
            });
        });
        check.finish(|s| op.tables[s].rows)
    }
}

impl CpuKernel for Grouped<EmbeddingGrad> {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let Self { op, groups } = self;
        let (codes, grad) = (cx.code_input(0, op.tables.len()), cx.f32_input(1, groups.total()));
        let (rows, count) = (cx.rows(), cx.blocks());
        let check = CodeCheck::new();
        cx.with_arenas([op.grads], |cx, [grads]| {
            let shared = Shared::new(grads);
            cx.parallel(op.tables.len(), |s| {
                let table = &op.tables[s];
                // SAFETY: tables do not overlap in the arena, and each is one task.
                let to = unsafe { shared.part(table.range()) };
                for block in 0..count {
                    let codes = &block_of(codes, block, op.tables.len())[s];
                    let grad = &block_of(grad, block, groups.total())[groups.range(s)];
                    for lane in 0..valid(rows, block) {
                        let code = check.checked(codes.0[lane], s, table.rows);
                        let row = &mut to[code * table.columns..(code + 1) * table.columns];
                        for (to, from) in row.iter_mut().zip(grad) {
                            *to += from.0[lane];
                        }
                    }
                }
            });
        });
        check.finish(|s| op.tables[s].rows)
    }
}

impl CpuKernel for Grouped<EmbeddingSqNorm> {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let groups = &self.groups;
        let grad = cx.f32_input(1, groups.total());
        cx.fill_blocks(0, groups.len(), |block, out| {
            let grad = block_of(grad, block, groups.total());
            for (s, out) in out.iter_mut().enumerate() {
                let mut sums = Lanes::ZERO;
                for g in &grad[groups.range(s)] {
                    for lane in 0..LANES {
                        sums.0[lane] += g.0[lane] * g.0[lane];
                    }
                }
                *out = sums;
            }
        });
        Ok(())
    }
}
