//! Reverse-mode differentiation as a Program -> Program transform.

use std::ops::Range;

use thiserror::Error;

use super::op::Op;
use super::ops::reduce::{Add, FillRows};
use super::program::{BuildError, Builder, Node, Program, ResourceId, ResourceKind, ValueId};
use super::shape::Groups;

/// Weight of each sample's loss in the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossWeight {
    /// `1 / (rows * micro_batches)`: the mean over the rows of the loss in all micro-batches of a step.
    Mean {
        /// Micro-batches that are accumulated into one step.
        micro_batches: u32,
    },
    /// 1: per-sample gradients are summed, as clipping needs it.
    Sum,
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
}

impl Gradient<'_> {
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
        Ok(self.builder.push(std::sync::Arc::new(op), inputs)?)
    }

    /// Adds `grad` to the gradient of input `i`.
    ///
    /// # Errors
    /// [`GradError::Build`].
    pub fn accumulate(&mut self, i: usize, grad: ValueId) -> Result<(), GradError> {
        let slot = self.node.inputs[i].index();
        self.grads[slot] = Some(match self.grads[slot] {
            None => grad,
            Some(sum) => self.builder.push_one(Add, &[sum, grad])?,
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

/// Appends the backward pass of result `loss` (one column, one row per sample, and per time step where it has time) to `program`.
///
/// Parameter gradients are *added* to the arena `<params>.grads`; the op that consumes them clears it.
///
/// # Errors
/// [`GradError`] when the loss is missing or depends on an op without a gradient.
pub fn differentiate(program: &Program, loss: &str, weight: LossWeight) -> Result<Program, GradError> {
    let Some(loss_value) = program.output(loss) else {
        return Err(GradError::NoLoss {
            program: program.name().to_owned(),
            loss: loss.to_owned(),
        });
    };
    let rows = program.shape(loss_value).rows;
    let mut builder = Builder::extend(program, &format!("{}_gradient", program.name()));
    let mut grads: Vec<Option<ValueId>> = vec![None; program.value_count()];
    grads[loss_value.index()] = Some(builder.push_one(FillRows { weight, rows }, &[])?);
    for node in program.nodes().iter().rev() {
        if node.outputs.iter().all(|v| grads[v.index()].is_none()) {
            continue;
        }
        let mut cx = Gradient {
            builder: &mut builder,
            node,
            grads: &mut grads,
        };
        node.op.gradient(&mut cx)?;
    }
    Ok(builder.finish())
}
