//! Relu and dropout.

use engine_core::backend::BackendError;
use engine_core::ir::Node;
use engine_core::ir::ops::activation::{Dropout, DropoutOp, Relu, ReluGrad};

use super::prelude::{op_of, places};
use crate::compiler::Compiler;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::shaders::Shader;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    if op_of::<Relu>(node).is_some() {
        relu(node, cx)?;
    } else if op_of::<ReluGrad>(node).is_some() {
        relu_grad(node, cx)?;
    } else if let Some(op) = op_of::<DropoutOp>(node) {
        dropout(op, node, cx)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn relu(node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let width = cx.width(node.inputs[0]);
    let kernel = Kernel::new(Shader::Activation, "relu")
        .size("WIDTH", width)
        .reads(0, cx.value(node.inputs[0]))
        .writes(1, cx.value(node.outputs[0]));
    cx.push(kernel, Grid::Elements { width })
}

fn relu_grad(node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let width = cx.width(node.inputs[0]);
    let kernel = Kernel::new(Shader::Activation, "relu_grad")
        .size("WIDTH", width)
        .reads(0, cx.value(node.inputs[0]))
        .reads(1, cx.value(node.inputs[1]))
        .writes(2, cx.value(node.outputs[0]));
    cx.push(kernel, Grid::Elements { width })
}

fn dropout(op: &DropoutOp, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let width = op.groups.total();
    let kernel = with_dropout(Kernel::new(Shader::Activation, "dropout"), Some(op.dropout))
        .size("WIDTH", width)
        .reads(0, cx.value(node.inputs[0]))
        .reads(1, cx.descriptor(&places(&op.groups))?)
        .writes(2, cx.value(node.outputs[0]));
    cx.push(kernel, Grid::Elements { width })
}

/// Specialises a kernel for a dropout; without one it drops nothing.
pub(super) fn with_dropout(kernel: Kernel, dropout: Option<Dropout>) -> Kernel {
    match dropout {
        None => kernel,
        Some(dropout) => kernel
            .constant("THRESHOLD", dropout.threshold.into())
            .constant("SITE", dropout.site.into())
            .constant("SCALE", dropout.scale().into()),
    }
}
