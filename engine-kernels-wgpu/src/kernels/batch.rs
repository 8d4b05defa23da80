//! Where batches come from: rows of the encoded table, the ends of their sequences, and the column order of the step.

use engine_core::backend::BackendError;
use engine_core::ir::Node;
use engine_core::ir::ops::batch::{ColumnOrder, GatherRows, MaskRows, OrderDraw, Reading};
use engine_core::random::Purpose;

use super::prelude::op_of;
use crate::compiler::{Compiler, Work};
use crate::grid::Grid;
use crate::kernel::{Kernel, Source};
use crate::shaders::Shader;

pub(super) fn make(node: &Node, cx: &mut Compiler<'_>) -> Result<bool, BackendError> {
    if let Some(op) = op_of::<GatherRows>(node) {
        gather_rows(op, node, cx)?;
    } else if let Some(op) = op_of::<MaskRows>(node) {
        mask_rows(op, node, cx)?;
    } else if let Some(op) = op_of::<ColumnOrder>(node) {
        column_order(op, node, cx)?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Steps of an epoch, 0 for rows that are read in order.
fn steps_per_epoch(reading: Reading) -> f64 {
    match reading {
        Reading::Sequential => 0.0,
        Reading::Shuffled { steps_per_epoch } => steps_per_epoch.max(1).into(),
    }
}

fn gather_rows(op: &GatherRows, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let kernel = Kernel::new(Shader::Batch, "gather_rows")
        .size("COLUMNS", op.columns)
        .constant("STEPS_PER_EPOCH", steps_per_epoch(op.reading))
        .reads(0, cx.resource(op.table))
        .writes(1, cx.value(node.outputs[0]));
    let dispatch = cx.dispatch(kernel, Grid::Rows)?;
    let slot = cx.slot(node.outputs[0]);
    cx.work.push(Work::Gather {
        dispatch,
        op: op.clone(),
        slot,
    });
    Ok(())
}

fn mask_rows(op: &MaskRows, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let width = cx.width(node.outputs[0]);
    let kernel = Kernel::new(Shader::Batch, "mask_rows")
        .size("WIDTH", width)
        .constant("STEPS_PER_EPOCH", steps_per_epoch(op.reading))
        .reads(0, cx.resource(op.lengths))
        .reads(1, cx.value(node.inputs[0]))
        .writes(2, cx.value(node.outputs[0]));
    cx.push(kernel, Grid::Elements { width })
}

fn column_order(op: &ColumnOrder, node: &Node, cx: &mut Compiler<'_>) -> Result<(), BackendError> {
    let purpose = match op.draw {
        OrderDraw::Training => Purpose::Order as u32,
        OrderDraw::Validation => Purpose::ValidationOrder as u32,
        OrderDraw::Fixed => 0,
    };
    let kernel = Kernel::new(Shader::Batch, "column_order")
        .size("COLUMNS", op.columns)
        .max_iterations(op.columns.div_ceil(256) * (op.columns + 16))
        .constant("PURPOSE", purpose.into())
        .writes(0, Source::Own(cx.scratch(2 * op.columns)?))
        .writes(1, cx.value(node.outputs[0]));
    cx.push(kernel, Grid::Workgroups(1))
}
