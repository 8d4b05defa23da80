//! Launches of `privacy.cu`.

use bytemuck::{Pod, Zeroable};
use engine_core::ir::Op;
use engine_core::ir::ops::privacy::{CLIP_EPS, ClipFactor};

use super::fusion::Fusion;
use super::kernel::{Bound, CompileContext, CudaKernel, Launches, as_op, layout};
use crate::error::CudaError;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ClipFactorArgs {
    sq_norm: u64,
    factor: u64,
    rows: u32,
    max_grad_norm: f32,
    clip_eps: f32,
    reserved: u32,
}
layout!(ClipFactorArgs, 32);

pub(super) fn make(
    op: &dyn Op,
    _: &Fusion,
    _: &mut CompileContext<'_>,
) -> Result<Option<Box<dyn CudaKernel>>, CudaError> {
    Ok(as_op::<ClipFactor>(op).map(|op| Box::new(op) as Box<dyn CudaKernel>))
}

impl CudaKernel for ClipFactor {
    fn launch(&self, cx: &Bound<'_>, launches: &mut Launches) {
        let args = ClipFactorArgs {
            sq_norm: cx.input(0),
            factor: cx.output(0),
            rows: cx.rows(),
            max_grad_norm: self.max_grad_norm as f32,
            clip_eps: CLIP_EPS as f32,
            reserved: 0,
        };
        launches.per_thread("clip_factor", cx.rows(), &args);
    }
}
