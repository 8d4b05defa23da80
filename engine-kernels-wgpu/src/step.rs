//! The scalars of a step as kernels see them.

use bytemuck::{Pod, Zeroable};
use engine_core::backend::Run;
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
    rows: u32,
    reserved: u32,
    optimizers: [[f32; 4]; MAX_OPTIMIZERS],
}

const _: () = {
    assert!(size_of::<Step>() == 32 + 16 * MAX_OPTIMIZERS);
    assert!(std::mem::offset_of!(Step, first_row) == 8);
    assert!(std::mem::offset_of!(Step, step) == 16);
    assert!(std::mem::offset_of!(Step, rows) == 24);
    assert!(std::mem::offset_of!(Step, optimizers) == 32);
};

fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

impl Step {
    /// Step number `index` of a run.
    pub(crate) fn new(run: &Run, index: u32, optimizers: &[AdamW]) -> Self {
        let single = run.single(index);
        let mut step = Self {
            seed: words(single.seed),
            first_row: words(single.first_row),
            step: single.first_step,
            step_in_run: index,
            rows: single.rows,
            reserved: 0,
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
