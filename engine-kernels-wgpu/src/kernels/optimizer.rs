//! The optimiser: one pass over the arena.

use engine_core::backend::BackendError;
use engine_core::ir::Node;
use engine_core::ir::ops::optimizer::AdamW;

use super::prelude::op_of;
use crate::compiler::Compiler;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::shaders::Shader;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    let Some(op) = op_of::<AdamW>(node) else {
        return Ok(false);
    };
    let elements = cx.arena_len(op.params);
    let kernel = Kernel::new(Shader::Optimizer, "adamw")
        .size("LENGTH", elements)
        .constant("OPTIMIZER", cx.optimizer(op)? as f64)
        .constant("BETA2", op.beta2)
        .constant("ONE_MINUS_BETA1", 1.0 - op.beta1)
        .constant("ONE_MINUS_BETA2", 1.0 - op.beta2)
        .constant("ADAM_EPS", op.adam_eps)
        .writes(0, cx.resource(op.params))
        .writes(1, cx.resource(op.grads))
        .writes(2, cx.resource(op.first_moments))
        .writes(3, cx.resource(op.second_moments));
    cx.push(kernel, Grid::Fixed { elements })?;
    Ok(true)
}
