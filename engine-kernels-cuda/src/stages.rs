//! From the nodes of a program to stages: a node, or several that one kernel does together. What a following op would read once
//! and throw away never reaches memory.

use std::any::Any;

use engine_core::backend::BackendError;
use engine_core::ir::ops::activation::{Relu, ReluGrad};
use engine_core::ir::ops::linear::{GroupedLinear, GroupedLinearGradInput, OrderedLinear};
use engine_core::ir::ops::reduce::{BroadcastGroups, FillRows};
use engine_core::ir::ops::softmax::{SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};
use engine_core::ir::{Access, Node, Program, ValueId};

use crate::kernels::{CudaKernel, Fusion, Room, kernel};
use crate::schedule::{Place, Touched};

/// A kernel with the values that it takes and defines.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) kernel: Box<dyn CudaKernel>,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
    pub(crate) resources: Vec<Access>,
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
        absorbed.into_iter().for_each(|other| done[other] = true);
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
            resources: op.resources(),
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
        for access in &self.resources {
            let resource = access.resource.index();
            match self.kernel.updates().filter(|_| access.write) {
                Some(offsets) => {
                    let parameters = offsets.iter().map(|offset| Place::Parameter(resource, *offset));
                    touched.writes.extend(parameters);
                }
                None if access.write => touched.writes.push(Place::Resource(resource)),
                None => touched.reads.push(Place::Resource(resource)),
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

/// A node together with later ones.
struct Fused {
    fusion: Fusion,
    outputs: Vec<ValueId>,
    absorbed: Vec<usize>,
}

/// Who defines and who reads each value.
struct Uses {
    readers: Vec<Vec<usize>>,
    writer: Vec<Option<usize>>,
    is_result: Vec<bool>,
}

impl Uses {
    fn new(program: &Program) -> Self {
        let count = program.value_count();
        let mut uses = Self {
            readers: vec![Vec::new(); count],
            writer: vec![None; count],
            is_result: vec![false; count],
        };
        for (at, node) in program.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|v| uses.readers[v.index()].push(at));
            node.outputs
                .iter()
                .for_each(|v| uses.writer[v.index()] = Some(at));
        }
        for (_, value) in program.outputs() {
            uses.is_result[value.index()] = true;
        }
        uses
    }

    /// The only node that reads a value which is no result.
    fn only_reader(&self, value: ValueId) -> Option<usize> {
        match self.readers[value.index()].as_slice() {
            [reader] if !self.is_result[value.index()] => Some(*reader),
            _ => None,
        }
    }
}

fn is<T: Any>(node: &Node) -> bool {
    node.op.as_any().is::<T>()
}

fn fused(program: &Program, uses: &Uses, at: usize) -> Option<Fused> {
    let node = &program.nodes()[at];
    if is::<SoftmaxCrossEntropy>(node) {
        return fused_loss(program, uses, node);
    }
    let reader = uses.only_reader(*node.outputs.first()?)?;
    let next = &program.nodes()[reader];
    let found = |fusion| Fused {
        fusion,
        outputs: next.outputs.clone(),
        absorbed: vec![reader],
    };
    if (is::<GroupedLinear>(node) || is::<OrderedLinear>(node)) && is::<Relu>(next) {
        return Some(found(Fusion {
            relu: true,
            ..Fusion::default()
        }));
    }
    let is_gradient = is::<GroupedLinearGradInput>(node) && is::<ReluGrad>(next);
    // The gate must be there before this node runs.
    let gate = next.inputs.first().filter(|_| is_gradient)?;
    let is_ready = uses.writer[gate.index()].is_none_or(|writer| writer < at);
    (is_ready && next.inputs.get(1) == node.outputs.first()).then(|| {
        found(Fusion {
            gate: Some(*gate),
            ..Fusion::default()
        })
    })
}

/// A cross-entropy whose probabilities serve its gradient alone, under the same weight for each loss.
fn fused_loss(program: &Program, uses: &Uses, node: &Node) -> Option<Fused> {
    let (losses, probs) = (*node.outputs.first()?, *node.outputs.get(1)?);
    let gradient_at = uses.only_reader(probs)?;
    let gradient = &program.nodes()[gradient_at];
    if !is::<SoftmaxCrossEntropyGrad>(gradient) || gradient.inputs.get(1) != node.inputs.get(1) {
        return None;
    }
    let signal = *gradient.inputs.get(2)?;
    let broadcast_at = uses.writer[signal.index()].filter(|_| uses.only_reader(signal).is_some())?;
    let broadcast = &program.nodes()[broadcast_at];
    if !is::<BroadcastGroups>(broadcast) {
        return None;
    }
    let filled = *broadcast.inputs.first()?;
    let fill_at = uses.writer[filled.index()].filter(|_| uses.only_reader(filled).is_some())?;
    let fill = program.nodes()[fill_at].op.as_any().downcast_ref::<FillRows>()?;
    Some(Fused {
        fusion: Fusion {
            loss_weight: Some(fill.clone()),
            ..Fusion::default()
        },
        outputs: vec![losses, *gradient.outputs.first()?],
        absorbed: vec![fill_at, broadcast_at, gradient_at],
    })
}
