//! Clip factors.

use engine_core::backend::BackendError;
use engine_core::ir::Op;
use engine_core::ir::ops::privacy::{CLIP_EPS, ClipFactor};

use super::kernel::{Context, CpuKernel, as_op};
use crate::lanes::Lanes;

pub(super) fn make(op: &dyn Op) -> Option<Box<dyn CpuKernel>> {
    as_op::<ClipFactor>(op).map(|op| Box::new(op) as Box<dyn CpuKernel>)
}

impl CpuKernel for ClipFactor {
    fn run(&self, cx: &mut Context<'_, '_>) -> Result<(), BackendError> {
        let (norms, bound) = (cx.f32_input(0, 1), self.max_grad_norm as f32);
        cx.fill_blocks(0, 1, |block, out| {
            out[0] = Lanes(
                norms[block]
                    .0
                    .map(|sq| (bound / (sq.sqrt() + CLIP_EPS as f32)).min(1.0)),
            );
        });
        Ok(())
    }
}
