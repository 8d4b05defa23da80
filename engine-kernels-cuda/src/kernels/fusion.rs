//! Nodes that one kernel does together: what a following op would read once and throw away never reaches memory.

use std::any::Any;

use engine_core::ir::ops::activation::{Relu, ReluGrad};
use engine_core::ir::ops::linear::{GroupedLinear, GroupedLinearGradInput, OrderedLinear};
use engine_core::ir::ops::reduce::{BroadcastGroups, FillRows};
use engine_core::ir::ops::softmax::{SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};
use engine_core::ir::{Node, Program, ValueId};

use super::kernel::as_op;

/// What a kernel does beside its own op.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fusion {
    /// Rectifies its result.
    pub(crate) relu: bool,
    /// Zeroes its result where this value, the last input of the fused node, is not above zero.
    pub(crate) gate: Option<ValueId>,
    /// Gives the gradient of the cross-entropy instead of probabilities, under this weight of each loss.
    pub(crate) loss_weight: Option<FillRows>,
}

/// A node together with later ones.
pub(crate) struct Fused {
    pub(crate) fusion: Fusion,
    pub(crate) outputs: Vec<ValueId>,
    pub(crate) absorbed: Vec<usize>,
}

/// Who defines and who reads each value.
pub(crate) struct Uses {
    readers: Vec<Vec<usize>>,
    writer: Vec<Option<usize>>,
    is_result: Vec<bool>,
}

impl Uses {
    pub(crate) fn new(program: &Program) -> Self {
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

/// The later nodes that the kernel of a node does as well, if there are any.
pub(crate) fn fused(program: &Program, uses: &Uses, at: usize) -> Option<Fused> {
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
    let fill = as_op::<FillRows>(program.nodes()[fill_at].op.as_ref())?;
    Some(Fused {
        fusion: Fusion {
            loss_weight: Some(fill),
            ..Fusion::default()
        },
        outputs: vec![losses, *gradient.outputs.first()?],
        absorbed: vec![fill_at, broadcast_at, gradient_at],
    })
}
