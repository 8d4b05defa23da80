//! What an op is: a shape rule, plain loops in f64 for the interpreter, a gradient, and a per-sample norm rule.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::access::Access;
use super::autodiff::{GradError, Gradient};
use super::interpret::{InterpretError, InterpreterContext};
use super::ops::sampling::OrderedSample;
use super::program::{Resource, ResourceId};
use super::shape::{Rows, Shape};
use super::tensor::Tensor;
use crate::backend::Run;

/// Why an op does not accept its inputs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// Wrong number of inputs.
    #[error("takes {expected} inputs, got {got}")]
    InputCount {
        /// Number it takes.
        expected: usize,
        /// Number it got.
        got: usize,
    },
    /// An input has the wrong total width.
    #[error("input {input} ({role}) must be {expected} wide, is {got}")]
    Width {
        /// Index of the input.
        input: usize,
        /// What the input is.
        role: &'static str,
        /// Width it must have.
        expected: usize,
        /// Width it has.
        got: usize,
    },
    /// The attributes describe different numbers of groups.
    #[error("{role} has {got} groups, {expected} are needed")]
    GroupCount {
        /// What has the wrong number.
        role: &'static str,
        /// Number needed.
        expected: usize,
        /// Number found.
        got: usize,
    },
    /// Sub-columns of one column must follow each other, columns in order.
    #[error(
        "sub-column {sub_column} belongs to column {column}, the one before it to column {before}; columns must rise"
    )]
    ColumnOrder {
        /// The sub-column that is out of order.
        sub_column: usize,
        /// Its column.
        column: usize,
        /// The column of the sub-column before it.
        before: usize,
    },
    /// A parameter has the wrong shape.
    #[error("the {role} of group {group} must be [{}, {}], is [{}, {}]", expected.0, expected.1, got.0, got.1)]
    Parameter {
        /// Weight or bias.
        role: &'static str,
        /// Group it belongs to.
        group: usize,
        /// Shape it must have.
        expected: (usize, usize),
        /// Shape it has.
        got: (usize, usize),
    },
    /// A parameter view ends behind its arena.
    #[error("a parameter of group {group} ends at {end}, the arena at {len}")]
    OutsideArena {
        /// Group it belongs to.
        group: usize,
        /// End of the view.
        end: usize,
        /// Length of the arena.
        len: usize,
    },
    /// Rows or element type do not fit.
    #[error("input {input} ({role}) must be {expected}, is {got}")]
    Kind {
        /// Index of the input.
        input: usize,
        /// What the input is.
        role: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A site of random numbers is too large to leave bits for time steps in their counters.
    #[error("site {site} of its random numbers must be below {limit}")]
    Site {
        /// The site.
        site: u32,
        /// The first site that is too large.
        limit: u32,
    },
    /// A resource is of the wrong kind.
    #[error("resource {resource} must be {expected}")]
    Resource {
        /// Name of the resource.
        resource: String,
        /// What it must be.
        expected: &'static str,
    },
}

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

    /// The draw of codes that the op is, if it is one: its results are then right when they are right along the codes that were drawn.
    fn sampling(&self) -> Option<&OrderedSample> {
        None
    }

    /// For downcasting in the kernel tables of backends: `self`.
    fn as_any(&self) -> &dyn Any;
}

/// The rows of an op that works row by row, taken from one of its inputs: those of the batch, with time where the input has time. A
/// single row is not among them; [`expect_shape`] refuses it.
pub(crate) fn rows_of(inputs: &[Shape], input: usize) -> Rows {
    match inputs.get(input).map(|shape| shape.rows) {
        Some(Rows::BatchTime) => Rows::BatchTime,
        _ => Rows::Batch,
    }
}

/// Checks the number of inputs.
pub(crate) fn expect_inputs(inputs: &[Shape], expected: usize) -> Result<(), ShapeError> {
    if inputs.len() == expected {
        Ok(())
    } else {
        Err(ShapeError::InputCount {
            expected,
            got: inputs.len(),
        })
    }
}

/// Checks rows, element type and total width of input `input`.
pub(crate) fn expect_shape(
    inputs: &[Shape],
    input: usize,
    role: &'static str,
    expected: &Shape,
) -> Result<(), ShapeError> {
    let got = &inputs[input];
    if got.rows != expected.rows || got.dtype != expected.dtype {
        return Err(ShapeError::Kind {
            input,
            role,
            expected: expected.to_string(),
            got: got.to_string(),
        });
    }
    if got.groups.total() != expected.groups.total() {
        let (expected, got) = (expected.groups.total(), got.groups.total());
        return Err(ShapeError::Width {
            input,
            role,
            expected,
            got,
        });
    }
    Ok(())
}
