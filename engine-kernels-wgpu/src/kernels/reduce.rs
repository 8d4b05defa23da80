//! Sums over groups and rows, and the broadcasts that are their gradients.

use engine_core::backend::BackendError;
use engine_core::ir::ops::reduce::{Add, BroadcastGroups, FillRows, RecordSum, ScaleRows, SumGroups};
use engine_core::ir::{LossWeight, Node};

use super::prelude::op_of;
use crate::compiler::Compiler;
use crate::grid::Grid;
use crate::kernel::Kernel;
use crate::shaders::Shader;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    let new = |entry| Kernel::new(Shader::Reduce, entry);
    let (kernel, grid) = if op_of::<Add>(node).is_some() {
        let width = cx.width(node.outputs[0]);
        (two_inputs(new("add"), node, width, cx), Grid::Elements { width })
    } else if op_of::<ScaleRows>(node).is_some() {
        let width = cx.width(node.outputs[0]);
        (
            two_inputs(new("scale_rows"), node, width, cx),
            Grid::Elements { width },
        )
    } else if op_of::<SumGroups>(node).is_some() {
        let width = cx.width(node.inputs[0]);
        (
            one_input(new("sum_groups"), node, width, cx),
            Grid::Lanes { groups: 1 },
        )
    } else if op_of::<BroadcastGroups>(node).is_some() {
        let width = cx.width(node.outputs[0]);
        (
            one_input(new("broadcast_groups"), node, width, cx),
            Grid::Elements { width },
        )
    } else if let Some(op) = op_of::<FillRows>(node) {
        let micro_batches = match op.weight {
            LossWeight::Sum => 0,
            LossWeight::Mean { micro_batches } => micro_batches.max(1),
        };
        let kernel = new("fill_rows")
            .constant("MICRO_BATCHES", micro_batches.into())
            .writes(0, cx.value(node.outputs[0]));
        (kernel, Grid::Elements { width: 1 })
    } else if let Some(op) = op_of::<RecordSum>(node) {
        let kernel = new("record_sum")
            .reads(0, cx.value(node.inputs[0]))
            .writes(1, cx.resource(op.trace));
        (kernel, Grid::Workgroups(1))
    } else {
        return Ok(false);
    };
    cx.push(kernel, grid)?;
    Ok(true)
}

fn one_input(kernel: Kernel, node: &Node, width: usize, cx: &Compiler<'_>) -> Kernel {
    kernel
        .size("WIDTH", width)
        .reads(0, cx.value(node.inputs[0]))
        .writes(1, cx.value(node.outputs[0]))
}

fn two_inputs(kernel: Kernel, node: &Node, width: usize, cx: &Compiler<'_>) -> Kernel {
    kernel
        .size("WIDTH", width)
        .reads(0, cx.value(node.inputs[0]))
        .reads(1, cx.value(node.inputs[1]))
        .writes(2, cx.value(node.outputs[0]))
}
