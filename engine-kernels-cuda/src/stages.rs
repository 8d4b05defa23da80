//! From the nodes of a program to stages: a node, or several that one kernel does together.

use std::ops::Range;

use engine_core::backend::BackendError;
use engine_core::ir::{Access, Extent, Program, ValueId};

use crate::kernels::{CudaKernel, Fusion, Room, Uses, fused, kernel};
use crate::schedule::{Place, Touched};

/// A kernel with the values that it takes and defines.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) kernel: Box<dyn CudaKernel>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
    /// What its ops do to resources.
    pub(crate) accesses: Vec<Access>,
}

/// The stages of a program, one per node, or fewer when `fuse`.
pub(crate) fn stages(program: &Program, fuse: bool, room: &mut Room<'_>) -> Result<Vec<Stage>, BackendError> {
    let uses = Uses::new(program);
    let mut done = vec![false; program.nodes().len()];
    let mut stages = Vec::with_capacity(program.nodes().len());
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
        room.inputs.clone_from(&inputs);
        let made = kernel(op, &fusion, room)?;
        stages.push(Stage {
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
    Ok(stages)
}

impl Stage {
    /// The memory that the stage touches; values lie in `slot_of`.
    pub(crate) fn touched(&self, slot_of: &[usize]) -> Touched {
        let slots = |values: &[ValueId]| values.iter().map(|v| Place::Slot(slot_of[v.index()])).collect();
        let mut touched = Touched {
            reads: slots(&self.inputs),
            writes: slots(&self.outputs),
        };
        for access in &self.accesses {
            let resource = access.resource.index();
            let places = if access.kind.writes() {
                &mut touched.writes
            } else {
                &mut touched.reads
            };
            match &access.extent {
                Extent::Elements(ranges) => {
                    let elements = |range: &Range<usize>| Place::Elements(resource, range.start, range.end);
                    places.extend(ranges.iter().map(elements));
                }
                Extent::Whole | Extent::StepInRun => places.push(Place::Resource(resource)),
            }
        }
        if let Some((address, writes)) = self.kernel.shares() {
            let places = if writes {
                &mut touched.writes
            } else {
                &mut touched.reads
            };
            places.push(Place::Kept(address));
        }
        touched
    }
}
