//! From the nodes of a program to fused nodes: a node, or several that one kernel computes.

use std::ops::Range;

use engine_core::backend::BackendError;
use engine_core::ir::{Access, Extent, Program, ValueId};

use crate::kernels::{CompileContext, CudaKernel, Fusion, Uses, fused, kernel};
use crate::schedule::{MemoryRegion, Touched};

/// A kernel with the values that it takes and defines.
#[derive(Debug)]
pub(crate) struct FusedNode {
    pub(crate) kernel: Box<dyn CudaKernel>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
    /// What its ops do to resources.
    pub(crate) accesses: Vec<Access>,
}

/// The fused nodes of a program: one for each of its nodes, or fewer when `fuse`.
pub(crate) fn fused_nodes(
    program: &Program,
    fuse: bool,
    context: &mut CompileContext<'_>,
) -> Result<Vec<FusedNode>, BackendError> {
    let uses = Uses::new(program);
    let mut done = vec![false; program.nodes().len()];
    let mut nodes = Vec::with_capacity(program.nodes().len());
    for at in 0..program.nodes().len() {
        if done[at] {
            continue;
        }
        let node = &program.nodes()[at];
        let (fusion, outputs, absorbed) = match fuse.then(|| fused(program, &uses, at)).flatten() {
            Some(found) => (found.fusion, found.outputs, found.absorbed),
            None => (Fusion::default(), node.outputs.clone(), Vec::new()),
        };
        let mut accesses = node.op.accesses();
        for other in absorbed {
            done[other] = true;
            accesses.extend(program.nodes()[other].op.accesses());
        }
        let mut inputs = node.inputs.clone();
        inputs.extend(fusion.gate);
        let op = node.op.as_ref();
        context.inputs.clone_from(&inputs);
        let made = kernel(op, &fusion, context)?;
        nodes.push(FusedNode {
            kernel: made.ok_or_else(|| BackendError::UnsupportedOp {
                backend: "cuda",
                op: op.name().to_owned(),
                program: program.name().to_owned(),
            })?,
            inputs,
            outputs,
            accesses,
        });
    }
    Ok(nodes)
}

impl FusedNode {
    /// The memory that the node accesses; values are in `slot_of`.
    pub(crate) fn touched(&self, slot_of: &[usize]) -> Touched {
        let slots = |values: &[ValueId]| {
            values
                .iter()
                .map(|v| MemoryRegion::Slot(slot_of[v.index()]))
                .collect()
        };
        let mut touched = Touched {
            reads: slots(&self.inputs),
            writes: slots(&self.outputs),
        };
        for access in &self.accesses {
            let resource = access.resource.index();
            let regions = if access.kind.writes() {
                &mut touched.writes
            } else {
                &mut touched.reads
            };
            match &access.extent {
                Extent::Elements(ranges) => {
                    let elements =
                        |range: &Range<usize>| MemoryRegion::Elements(resource, range.start, range.end);
                    regions.extend(ranges.iter().map(elements));
                }
                Extent::Whole | Extent::StepInRun => regions.push(MemoryRegion::Resource(resource)),
            }
        }
        if let Some((address, writes)) = self.kernel.shared_scratch() {
            let regions = if writes {
                &mut touched.writes
            } else {
                &mut touched.reads
            };
            regions.push(MemoryRegion::Kept(address));
        }
        touched
    }
}
