//! Which programs can be computed in shares of their rows, by what their ops do to resources.

use engine_core::ir::{Access, AccessKind, Extent, Node, Program, ResourceId, Rows, ValueId};

/// What several devices make of the resources of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spread {
    /// For each resource, whether its numbers are the sum of what the devices hold: rows are added to what is there, or such sums are
    /// used up. They are summed before an op reads them.
    pub(super) is_summed: Vec<bool>,
    /// Resources that get a number of each step, of the rows of each device; they are summed after the run.
    pub(super) recorded: Vec<ResourceId>,
}

/// Whether rows of a program can be computed on different devices: no value joins rows, what is written of rows are sums over them, and
/// everything else is the same on all devices.
pub(super) fn spread(program: &Program) -> Option<Spread> {
    let mut spread = Spread {
        is_summed: vec![false; program.resources().len()],
        recorded: Vec::new(),
    };
    for node in program.nodes() {
        if joins_rows(program, node) {
            return None;
        }
        add(program, node, &mut spread)?;
    }
    // A number that is recorded twice is summed once.
    spread.recorded.sort_unstable_by_key(|trace| trace.index());
    spread.recorded.dedup();
    program
        .nodes()
        .iter()
        .all(|node| suits(node, &spread))
        .then_some(spread)
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

/// Notes what a node writes; `None` where it cannot be computed in shares.
fn add(program: &Program, node: &Node, spread: &mut Spread) -> Option<()> {
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
                Extent::StepInRun => spread.recorded.push(access.resource),
                Extent::Whole | Extent::Elements(_) => return None,
            },
            AccessKind::Accumulate => spread.is_summed[access.resource.index()] = true,
            AccessKind::Clear if does(AccessKind::Accumulate) => {}
            AccessKind::Clear if does(AccessKind::Read) && !has_rows => {
                spread.is_summed[access.resource.index()] = true;
            }
            // What is made of some of the rows is not what is made of all.
            AccessKind::Clear | AccessKind::Overwrite if has_rows => return None,
            AccessKind::Clear | AccessKind::Overwrite => {}
        }
    }
    Some(())
}

/// Whether nobody sees a part of a sum as if it were all of it.
fn suits(node: &Node, spread: &Spread) -> bool {
    let accesses = node.op.accesses();
    let clears = |resource| {
        let all = Access::new(resource, AccessKind::Clear, Extent::Whole);
        accesses.contains(&all)
    };
    accesses.iter().all(|access| {
        let is_summed = spread.is_summed[access.resource.index()];
        let is_recorded = spread.recorded.contains(&access.resource);
        match access.kind {
            // Zeros are left behind everywhere, so that nothing is summed twice.
            AccessKind::Read => !is_recorded && (!is_summed || clears(access.resource)),
            AccessKind::Overwrite => !is_summed && !is_recorded,
            AccessKind::Clear | AccessKind::Accumulate => !(is_summed && is_recorded),
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
