//! Launches of `optimizer.cu`.

use bytemuck::{Pod, Zeroable};
use engine_core::ir::Op;
use engine_core::ir::ops::optimizer::AdamW;

use super::fusion::Fusion;
use super::kernel::{Bound, CompileContext, CudaKernel, Launches, as_op, layout};
use crate::error::CudaError;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct AdamWArgs {
    params: u64,
    grads: u64,
    first_moments: u64,
    second_moments: u64,
    steps: u64,
    len: u32,
    beta1_complement: f32,
    beta2: f32,
    beta2_complement: f32,
    adam_eps: f32,
    reserved: u32,
}
layout!(AdamWArgs, 64);

pub(super) fn make(
    op: &dyn Op,
    _: &Fusion,
    _: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    Ok(as_op::<AdamW>(op).map(|op| Box::new(op) as Box<dyn CudaKernel>))
}

impl CudaKernel for AdamW {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let len = cx.len(self.params);
        let args = AdamWArgs {
            params: cx.f32(self.params),
            grads: cx.f32(self.grads),
            first_moments: cx.f32(self.first_moments),
            second_moments: cx.f32(self.second_moments),
            steps: cx.steps,
            len,
            beta1_complement: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            beta2_complement: (1.0 - self.beta2) as f32,
            adam_eps: self.adam_eps as f32,
            reserved: 0,
        };
        launches.per_thread("adamw", len, &args);
    }

    fn optimizer(&self) -> Option<&AdamW> {
        Some(self)
    }
}
