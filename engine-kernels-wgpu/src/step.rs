//! The scalars of a step as kernels see them.

use bytemuck::{Pod, Zeroable};
use engine_core::backend::Run;
use engine_core::ir::Rows;
use engine_core::ir::ops::optimizer::AdamW;

/// Optimisers that a program has at most.
pub(crate) const MAX_OPTIMIZERS: usize = 4;

/// `Step` in `shaders/prelude/step.wgsl`.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Step {
    seed: [u32; 2],
    first_row: [u32; 2],
    step: u32,
    step_in_run: u32,
    /// Rows of the values of a kernel.
    rows: u32,
    /// Rows of the batch.
    batch: u32,
    first_time: u32,
    reserved: [u32; 3],
    optimizers: [[f32; 4]; MAX_OPTIMIZERS],
}

const _: () = {
    assert!(size_of::<Step>() == 48 + 16 * MAX_OPTIMIZERS);
    assert!(std::mem::offset_of!(Step, first_row) == 8);
    assert!(std::mem::offset_of!(Step, step) == 16);
    assert!(std::mem::offset_of!(Step, rows) == 24);
    assert!(std::mem::offset_of!(Step, batch) == 28);
    assert!(std::mem::offset_of!(Step, first_time) == 32);
    assert!(std::mem::offset_of!(Step, optimizers) == 48);
};

fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

impl Step {
    /// Step number `index` of a run, for kernels over values with the given rows.
    pub(crate) fn new(run: &Run, index: u32, rows: Rows, optimizers: &[AdamW]) -> Self {
        let single = run.single(index);
        let mut step = Self {
            seed: words(single.seed),
            first_row: words(single.first_row),
            step: single.first_step,
            step_in_run: index,
            rows: rows.count(run) as u32,
            batch: single.rows,
            first_time: single.first_time,
            reserved: [0; 3],
            optimizers: [[0.0; 4]; MAX_OPTIMIZERS],
        };
        for (to, op) in step.optimizers.iter_mut().zip(optimizers) {
            let constants = op.step(single.first_step, single.learning_rate);
            *to = [
                constants.decay,
                constants.step_size,
                constants.inverse_sqrt_correction,
                0.0,
            ];
        }
        step
    }
}
