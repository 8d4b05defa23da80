//! What an op is: a shape rule, plain loops in f64 for the interpreter, a gradient, and a per-sample norm rule.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::access::Access;
use super::interpret::{InterpretError, InterpreterContext};
use super::program::{BuildError, Builder, Node, ValueId};
use super::resource::{Resource, ResourceId, ResourceKind};
use super::run::Run;
use super::shape::{Groups, Shape, ShapeError};
use super::tensor::Tensor;

/// How per-sample clipping treats an op that sums the per-sample gradients of parameters.
#[derive(Debug, Clone)]
pub struct Clipping {
    /// Op that takes the same inputs and gives the squared norm of each sample's gradient, one column per parameter.
    pub norm: Arc<dyn Op>,
    /// Index of the input that is scaled row by row to clip the sum (the back-propagated signal).
    pub signal: usize,
}

/// An operation of the IR.
///
/// Implementations live in [`super::ops`], one file per family, with their cases for the conformance suite.
pub trait Op: fmt::Debug + Any + Send + Sync {
    /// Name in snake case, unique; backends find their kernel by it.
    fn name(&self) -> &'static str;

    /// Attributes for the printed form, without line breaks.
    fn attributes(&self) -> String {
        String::new()
    }

    /// Shapes of the outputs, or why the inputs or resources do not fit.
    ///
    /// # Errors
    /// [`ShapeError`] names the input, what is expected and what was found.
    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError>;

    /// What the op does to resources: all that transforms and backends know of it. What it does not declare it does not do.
    fn accesses(&self) -> Vec<Access> {
        Vec::new()
    }

    /// A table or array that the op reads row by row, and how many rows it must have in this run.
    fn rows_read(&self, _run: &Run) -> Option<(ResourceId, u64)> {
        None
    }

    /// InterpreterContext semantics in f64 by plain loops.
    ///
    /// # Errors
    /// [`InterpretError`] for values that no backend could handle (a code outside its cardinality).
    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError>;

    /// Adds the nodes that compute the gradients of inputs and parameters from the gradients of the outputs.
    ///
    /// # Errors
    /// [`GradError::NotDifferentiable`] by default.
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        Err(cx.not_differentiable(self.name()))
    }

    /// The norm rule of an op that accumulates parameter gradients. Without one, the clipping transform refuses the op by
    /// name.
    fn clipping(&self) -> Option<Clipping> {
        None
    }

    /// For downcasting in the kernel tables of backends: `self`.
    fn as_any(&self) -> &dyn Any;
}

/// Why a program cannot be differentiated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GradError {
    /// The loss is not a result of the program.
    #[error("program {program:?} has no result {loss:?} to differentiate")]
    NoLoss {
        /// The program.
        program: String,
        /// Name of the loss.
        loss: String,
    },
    /// The loss depends on an op without a gradient.
    #[error("op {op} of program {program:?} has no gradient")]
    NotDifferentiable {
        /// The op.
        op: &'static str,
        /// The program.
        program: String,
    },
    /// Clipping met an op that touches accumulated gradients and has no norm rule.
    #[error("op {op} of program {program:?} has no per-sample norm rule, so its gradients cannot be clipped")]
    NoNormRule {
        /// The op.
        op: &'static str,
        /// The program.
        program: String,
    },
    /// Clipping met two ops that accumulate into the same elements: the sum of their squared norms is not the squared norm of their
    /// sum.
    #[error(
        "ops {first} and {second} of program {program:?} both accumulate into elements {}..{} of {resource}, so the per-sample norm of \
         their sum is not known and their gradients cannot be clipped",
        elements.start,
        elements.end
    )]
    OverlappingGradients {
        /// The op that comes first in the program.
        first: &'static str,
        /// The op that comes later, or the same one where its own parameters overlap.
        second: &'static str,
        /// Name of the resource.
        resource: String,
        /// The first elements that both accumulate into.
        elements: Range<usize>,
        /// The program.
        program: String,
    },
    /// A node of the transform does not fit.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// What an op's gradient rule sees: the node, the gradients of its outputs, and the program under construction.
#[derive(Debug)]
pub struct Gradient<'a> {
    builder: &'a mut Builder,
    node: &'a Node,
    grads: &'a mut [Option<ValueId>],
    /// The op that adds two gradients of one value; it is passed in, for ops import this file.
    add: &'a Arc<dyn Op>,
}

impl<'a> Gradient<'a> {
    /// What the rule of `node` sees; `add` is the op that adds the gradients of a value that is used twice.
    pub(super) fn new(
        builder: &'a mut Builder,
        node: &'a Node,
        grads: &'a mut [Option<ValueId>],
        add: &'a Arc<dyn Op>,
    ) -> Self {
        Self {
            builder,
            node,
            grads,
            add,
        }
    }

    /// Input `i` of the node.
    pub fn input(&self, i: usize) -> ValueId {
        self.node.inputs[i]
    }

    /// Output `i` of the node.
    pub fn output(&self, i: usize) -> ValueId {
        self.node.outputs[i]
    }

    /// Groups of input `i`.
    pub fn input_groups(&self, i: usize) -> Groups {
        self.builder.shape(self.node.inputs[i]).groups.clone()
    }

    /// Gradient of output `i`, if the loss depends on it.
    pub fn grad_output(&self, i: usize) -> Option<ValueId> {
        self.grads[self.node.outputs[i].index()]
    }

    /// The arena of gradients that belongs to the arena of parameters `params`.
    ///
    /// # Errors
    /// [`GradError::Build`] when the name is taken by something else.
    pub fn grads_of(&mut self, params: ResourceId) -> Result<ResourceId, GradError> {
        let resource = &self.builder.program().resources()[params.index()];
        let (name, kind) = (format!("{}.grads", resource.name), resource.kind.clone());
        debug_assert!(matches!(kind, ResourceKind::Arena(_)));
        Ok(self.builder.resource(&name, kind)?)
    }

    /// Adds a node.
    ///
    /// # Errors
    /// [`GradError::Build`].
    pub fn emit(&mut self, op: impl Op, inputs: &[ValueId]) -> Result<Vec<ValueId>, GradError> {
        Ok(self.builder.push(Arc::new(op), inputs)?)
    }

    /// Adds `grad` to the gradient of input `i`.
    ///
    /// # Errors
    /// [`GradError::Build`].
    pub fn accumulate(&mut self, i: usize, grad: ValueId) -> Result<(), GradError> {
        let slot = self.node.inputs[i].index();
        self.grads[slot] = Some(match self.grads[slot] {
            None => grad,
            Some(sum) => self.builder.push(Arc::clone(self.add), &[sum, grad])?[0],
        });
        Ok(())
    }

    /// The error of an op without a gradient.
    pub fn not_differentiable(&self, op: &'static str) -> GradError {
        GradError::NotDifferentiable {
            op,
            program: self.builder.program().name().to_owned(),
        }
    }
}
