//! Per-sample clipping.

use engine_core::backend::BackendError;
use engine_core::ir::Node;
use engine_core::ir::ops::privacy::{CLIP_EPS, ClipFactor};

use super::prelude::op_of;
use crate::compiler::Compiler;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::shaders::Shader;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    let Some(op) = op_of::<ClipFactor>(node) else {
        return Ok(false);
    };
    let kernel = Kernel::new(Shader::Privacy, "clip_factor")
        .constant("MAX_GRAD_NORM", op.max_grad_norm)
        .constant("CLIP_EPS", CLIP_EPS)
        .reads(0, cx.value(node.inputs[0]))
        .writes(1, cx.value(node.outputs[0]));
    cx.push(kernel, Grid::Elements { width: 1 })?;
    Ok(true)
}
