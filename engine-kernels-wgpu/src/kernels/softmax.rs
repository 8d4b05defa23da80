//! Softmax of all sub-columns at once, and its cross-entropy.

use engine_core::backend::BackendError;
use engine_core::ir::ops::softmax::{Softmax, SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};
use engine_core::ir::{Groups, Node};

use super::prelude::{offsets, op_of, places};
use crate::compiler::Compiler;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::shaders::Shader;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    if let Some(op) = op_of::<Softmax>(node) {
        let kernel = over(&op.groups, "softmax", cx)?
            .reads(1, cx.value(node.inputs[0]))
            .writes(2, cx.value(node.outputs[0]));
        let groups = op.groups.len();
        cx.push(kernel, Grid::Lanes { groups })?;
    } else if let Some(op) = op_of::<SoftmaxCrossEntropy>(node) {
        let kernel = over(&op.groups, "softmax_cross_entropy", cx)?
            .reads(1, cx.value(node.inputs[0]))
            .writes(2, cx.value(node.outputs[1]))
            .reads(3, cx.value(node.inputs[1]))
            .writes(4, cx.value(node.outputs[0]));
        let groups = op.groups.len();
        cx.check_codes(node.inputs[1], op.groups.widths().collect(), false);
        cx.push(kernel, Grid::Lanes { groups })?;
    } else if let Some(op) = op_of::<SoftmaxCrossEntropyGrad>(node) {
        softmax_cross_entropy_grad(op, node, cx)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

fn sized(kernel: Kernel, groups: &Groups) -> Kernel {
    kernel
        .size("WIDTH", groups.total())
        .size("GROUPS", groups.len())
        .max_iterations(3 * groups.max_width().div_ceil(16))
}

fn over(groups: &Groups, entry: &'static str, cx: &Compiler<'_>) -> Result<Kernel, BackendError> {
    let kernel = sized(Kernel::new(Shader::Softmax, entry), groups);
    Ok(kernel.reads(0, cx.descriptor(&offsets(groups))?))
}

fn softmax_cross_entropy_grad(
    op: &SoftmaxCrossEntropyGrad,
    node: &Node,
    cx: &mut Compiler<'_>,
) -> Result<(), BackendError> {
    let width = op.groups.total();
    let kernel = sized(
        Kernel::new(Shader::Softmax, "softmax_cross_entropy_grad"),
        &op.groups,
    )
    .reads(0, cx.descriptor(&places(&op.groups))?)
    .reads(1, cx.value(node.inputs[0]))
    .reads(2, cx.value(node.inputs[1]))
    .reads(3, cx.value(node.inputs[2]))
    .writes(4, cx.value(node.outputs[0]));
    cx.check_codes(node.inputs[1], op.groups.widths().collect(), false);
    cx.push(kernel, Grid::Elements { width })
}
