//! Which programs can be computed in shares of their rows.

use engine_core::ir::ops::embedding::EmbeddingGrad;
use engine_core::ir::ops::linear::{GroupedLinearGradParams, OrderedLinearGradParams};
use engine_core::ir::ops::optimizer::AdamW;
use engine_core::ir::ops::reduce::RecordSum;
use engine_core::ir::{Op, Program, ResourceId, Rows, ValueId};

/// What several devices make of the resources of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spread {
    /// For each resource, whether its numbers are the sum of what the devices hold.
    pub(super) is_summed: Vec<bool>,
}

/// The parameter arena that an op adds the gradients of its rows to, or steps along.
fn summed(op: &dyn Op) -> Option<ResourceId> {
    let op = op.as_any();
    let added = op.downcast_ref::<EmbeddingGrad>().map(|op| op.grads);
    let added = added.or_else(|| op.downcast_ref::<GroupedLinearGradParams>().map(|op| op.grads));
    let added = added.or_else(|| op.downcast_ref::<OrderedLinearGradParams>().map(|op| op.grads));
    added.or_else(|| op.downcast_ref::<AdamW>().map(|op| op.grads))
}

/// Whether rows of a program can be computed on different devices: no value joins rows, and what is written is gradients, their steps
/// or sums over rows.
pub(super) fn spread(program: &Program) -> Option<Spread> {
    let mut is_summed = vec![false; program.resources().len()];
    for node in program.nodes() {
        let op = node.op.as_ref();
        let rows = |value: &ValueId| program.shape(*value).rows;
        let joins_rows = node.inputs.iter().any(|v| rows(v) != Rows::One)
            && node.outputs.iter().any(|v| rows(v) == Rows::One);
        let has_time = node
            .inputs
            .iter()
            .chain(&node.outputs)
            .any(|v| rows(v) == Rows::BatchTime);
        let arena = summed(op);
        let is_known = arena.is_some() || op.as_any().is::<RecordSum>();
        if joins_rows || has_time || (!is_known && op.resources().iter().any(|access| access.write)) {
            return None;
        }
        if let Some(arena) = arena {
            is_summed[arena.index()] = true;
        }
    }
    Some(Spread { is_summed })
}

/// The resources that a program writes.
pub(super) fn written(program: &Program) -> Vec<bool> {
    let mut written = vec![false; program.resources().len()];
    let accesses = program.nodes().iter().flat_map(|node| node.op.resources());
    for access in accesses.filter(|access| access.write) {
        written[access.resource.index()] = true;
    }
    written
}
