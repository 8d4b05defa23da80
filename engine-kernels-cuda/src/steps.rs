//! Scalars of the steps of a run, computed here once for all of them: a step reads its own, so the captured graph of a step can be launched
//! again without arguments from the host.

use bytemuck::{Pod, Zeroable};
use engine_core::backend::Run;
use engine_core::ir::ops::optimizer::AdamW;

use crate::shard::Shard;

/// Scalars of one step; `Step` of `common.cuh`.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Step {
    seed: u64,
    first_row: u64,
    step: u32,
    step_in_run: u32,
    decay: f32,
    step_size: f32,
    inverse_sqrt_correction: f32,
    row_offset: u32,
    rows: u32,
    first_time: u32,
}

const _: () = assert!(size_of::<Step>() == 48);

/// Bytes before the first step: the number of the step that runs now.
pub(crate) const HEADER: usize = 8;

/// Bytes of the table of `steps` steps.
pub(crate) fn table_bytes(steps: usize) -> usize {
    HEADER + steps * size_of::<Step>()
}

/// The table of the steps of a run, `Steps` of `common.cuh`.
pub(crate) fn table(run: &Run, shard: Shard, optimizer: Option<&AdamW>, bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend([0; HEADER]);
    for index in 0..run.steps {
        let single = run.single(index);
        let adamw = optimizer.map(|op| op.step(single.first_step, run.learning_rate));
        let step = Step {
            seed: run.seed,
            first_row: single.first_row + u64::from(shard.offset),
            step: single.first_step,
            step_in_run: index,
            decay: adamw.map_or(1.0, |s| s.decay),
            step_size: adamw.map_or(0.0, |s| s.step_size),
            inverse_sqrt_correction: adamw.map_or(1.0, |s| s.inverse_sqrt_correction),
            row_offset: shard.offset,
            rows: shard.rows,
            first_time: run.first_time,
        };
        bytes.extend(bytemuck::bytes_of(&step));
    }
}
