//! Which programs can run data-parallel, each device on a shard of the rows, by what their ops do to resources.

use engine_core::ir::{Access, AccessKind, Extent, Node, Program, ResourceId, Rows, ValueId};

/// How the resources of a program are reduced over several devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DataParallel {
    /// For each resource, whether the devices hold partial sums of it: ops add the rows of a device to it, or read and clear such sums. They
    /// are reduced before an op reads them.
    pub(super) is_summed: Vec<bool>,
    /// Resources that get an element for each step, a partial sum over the rows of each device; they are reduced after the run.
    pub(super) traces: Vec<ResourceId>,
}

/// How a program runs data-parallel, if it can: no value combines rows, ops write nothing but sums over rows, and everything else is the same
/// on all devices.
pub(super) fn data_parallel(program: &Program) -> Option<DataParallel> {
    let mut data_parallel = DataParallel {
        is_summed: vec![false; program.resources().len()],
        traces: Vec::new(),
    };
    for node in program.nodes() {
        if joins_rows(program, node) {
            return None;
        }
        add(program, node, &mut data_parallel)?;
    }
    // An element that is written twice is summed once.
    data_parallel.traces.sort_unstable_by_key(|trace| trace.index());
    data_parallel.traces.dedup();
    program
        .nodes()
        .iter()
        .all(|node| suits(node, &data_parallel))
        .then_some(data_parallel)
}

fn joins_rows(program: &Program, node: &Node) -> bool {
    let rows = |value: &ValueId| program.shape(*value).rows;
    let mut values = node.inputs.iter().chain(&node.outputs);
    let has_time = values.any(|v| rows(v) == Rows::BatchTime);
    has_time || (has_rows(program, node) && node.outputs.iter().any(|v| rows(v) == Rows::One))
}

/// Whether a node takes values with rows of the batch.
fn has_rows(program: &Program, node: &Node) -> bool {
    node.inputs.iter().any(|v| program.shape(*v).rows != Rows::One)
}

/// Notes what a node writes; `None` where it cannot be computed in shards.
fn add(program: &Program, node: &Node, data_parallel: &mut DataParallel) -> Option<()> {
    let (accesses, has_rows) = (node.op.accesses(), has_rows(program, node));
    for access in &accesses {
        let does = |kind| {
            let same = |a: &&Access| (a.resource, &a.extent) == (access.resource, &access.extent);
            accesses.iter().filter(same).any(|a| a.kind == kind)
        };
        match access.kind {
            AccessKind::Read => {}
            // Each device would add the same again.
            AccessKind::Accumulate if !has_rows => return None,
            AccessKind::Accumulate if does(AccessKind::Clear) => match access.extent {
                Extent::StepInRun => data_parallel.traces.push(access.resource),
                Extent::Whole | Extent::Elements(_) => return None,
            },
            AccessKind::Accumulate => data_parallel.is_summed[access.resource.index()] = true,
            AccessKind::Clear if does(AccessKind::Accumulate) => {}
            AccessKind::Clear if does(AccessKind::Read) && !has_rows => {
                data_parallel.is_summed[access.resource.index()] = true;
            }
            // What is computed from some of the rows differs from what is computed from all.
            AccessKind::Clear | AccessKind::Overwrite if has_rows => return None,
            AccessKind::Clear | AccessKind::Overwrite => {}
        }
    }
    Some(())
}

/// Whether no op reads a partial sum as if it were the whole.
fn suits(node: &Node, data_parallel: &DataParallel) -> bool {
    let accesses = node.op.accesses();
    let clears = |resource| {
        let all = Access::new(resource, AccessKind::Clear, Extent::Whole);
        accesses.contains(&all)
    };
    accesses.iter().all(|access| {
        let is_summed = data_parallel.is_summed[access.resource.index()];
        let is_trace = data_parallel.traces.contains(&access.resource);
        match access.kind {
            // Zeros are left behind everywhere, so that nothing is summed twice.
            AccessKind::Read => !is_trace && (!is_summed || clears(access.resource)),
            AccessKind::Overwrite => !is_summed && !is_trace,
            AccessKind::Clear | AccessKind::Accumulate => !(is_summed && is_trace),
        }
    })
}

/// The resources that a program writes.
pub(super) fn written(program: &Program) -> Vec<bool> {
    let mut written = vec![false; program.resources().len()];
    let accesses = program.nodes().iter().flat_map(|node| node.op.accesses());
    for access in accesses.filter(|access| access.kind.writes()) {
        written[access.resource.index()] = true;
    }
    written
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine_core::ir::ops::optimizer::AdamW;
    use engine_core::ir::ops::reduce::{RecordSum, SumGroups};
    use engine_core::ir::{Builder, Groups, Op, ParamLayout, ResourceKind, Shape};

    use super::*;

    /// A program that records the sums of its input, makes steps, and does what `more` adds to it.
    fn program(more: impl FnOnce(&mut Builder, ResourceId, ValueId)) -> Program {
        let mut builder = Builder::new("p");
        let x = builder
            .input("x", Shape::batch(Groups::single(2)))
            .expect("an input");
        let trace = builder.resource("trace", ResourceKind::F32).expect("a trace");
        let sums = builder.push_one(SumGroups, &[x]).expect("sums");
        push(&mut builder, RecordSum { trace }, &[sums]);
        let arena = ResourceKind::Arena(Arc::new(ParamLayout::default()));
        let mut arena = |name: &str| builder.resource(name, arena.clone()).expect("an arena");
        let step = AdamW {
            params: arena("params"),
            grads: arena("sums of gradients"),
            first_moments: arena("first"),
            second_moments: arena("second"),
            beta1: 0.9,
            beta2: 0.99,
            adam_eps: 1e-8,
            weight_decay: 0.0,
        };
        push(&mut builder, step, &[]);
        more(&mut builder, trace, sums);
        builder.finish()
    }

    fn push(builder: &mut Builder, op: impl Op, inputs: &[ValueId]) {
        builder.push(Arc::new(op), inputs).expect("an op");
    }

    #[test]
    fn sums_over_rows_are_known_by_accesses() {
        let program = program(|_, _, _| {});
        let summed = data_parallel(&program).expect("a data-parallel program");
        assert_eq!(summed.is_summed, [false, false, true, false, false]);
        assert_eq!(summed.traces, [program.resource("trace").expect("a trace")]);
        assert_eq!(written(&program), [true; 5]);
    }

    #[test]
    fn an_element_that_is_written_twice_is_summed_once() {
        let program = program(|builder, trace, sums| push(builder, RecordSum { trace }, &[sums]));
        assert_eq!(
            data_parallel(&program)
                .expect("a data-parallel program")
                .traces
                .len(),
            1
        );
    }

    #[test]
    fn what_needs_all_rows_is_not_sharded() {
        let program = program(|builder, _, _| {
            let [params, first, second] = ["params", "first", "second"].map(|name| {
                let kind = ResourceKind::Arena(Arc::new(ParamLayout::default()));
                builder.resource(name, kind).expect("an arena")
            });
            // The first moments were overwritten, and are now used up as if they were sums.
            let step = AdamW {
                params,
                grads: first,
                first_moments: second,
                second_moments: second,
                beta1: 0.9,
                beta2: 0.99,
                adam_eps: 1e-8,
                weight_decay: 0.0,
            };
            push(builder, step, &[]);
        });
        assert_eq!(data_parallel(&program), None);
    }
}
