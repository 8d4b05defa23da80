//! Programs and their builder.

use std::sync::Arc;

use thiserror::Error;

use super::op::Op;
use super::resource::{Resource, ResourceId, ResourceKind};
use super::run::Run;
use super::shape::{Rows, Shape, ShapeError};

/// A value of a program: defined once, by an input or a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(crate) u32);

impl ValueId {
    /// Position in [`Program::shape`]'s numbering.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A value that the caller supplies for each run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Name, unique within the program.
    pub name: String,
    /// The value.
    pub value: ValueId,
}

/// An op applied to values.
#[derive(Debug, Clone)]
pub struct Node {
    /// The op.
    pub op: Arc<dyn Op>,
    /// Values it takes.
    pub inputs: Vec<ValueId>,
    /// Values it defines.
    pub outputs: Vec<ValueId>,
}

/// A static SSA graph, checked when it was built.
#[derive(Debug, Clone)]
pub struct Program {
    pub(super) name: String,
    pub(super) resources: Vec<Resource>,
    pub(super) inputs: Vec<Input>,
    pub(super) nodes: Vec<Node>,
    pub(super) shapes: Vec<Shape>,
    pub(super) outputs: Vec<(String, ValueId)>,
}

impl Program {
    /// Name for logs and errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Buffers that the program reads and writes, in binding order.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Values that the caller supplies, in binding order (after the resources).
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Nodes in an order in which every value is defined before it is used.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Named results.
    pub fn outputs(&self) -> &[(String, ValueId)] {
        &self.outputs
    }

    /// Shape of a value.
    pub fn shape(&self, value: ValueId) -> &Shape {
        &self.shapes[value.index()]
    }

    /// The rows of an op that works row by row: those of the first of its values that has one row per row of the batch.
    pub fn rows_of(&self, node: &Node) -> Rows {
        let values = node.inputs.iter().chain(&node.outputs);
        let mut rows = values.map(|v| self.shape(*v).rows);
        rows.find(|rows| *rows != Rows::One).unwrap_or(Rows::Batch)
    }

    /// Rows of the largest value in a run.
    pub fn largest_rows(&self, run: &Run) -> usize {
        let rows = self.shapes.iter().map(|shape| shape.rows.count(run));
        rows.fold(run.rows as usize, usize::max)
    }

    /// Number of values.
    pub fn value_count(&self) -> usize {
        self.shapes.len()
    }

    /// The result called `name`.
    pub fn output(&self, name: &str) -> Option<ValueId> {
        self.outputs.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }

    /// The resource called `name`.
    pub fn resource(&self, name: &str) -> Option<ResourceId> {
        self.resources
            .iter()
            .position(|r| r.name == name)
            .map(|i| ResourceId(i as u32))
    }
}

/// Why a program cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// An op does not accept its inputs.
    #[error("op {op} in program {program:?} {source}")]
    Shape {
        /// Name of the op.
        op: &'static str,
        /// Name of the program.
        program: String,
        /// What is wrong.
        source: ShapeError,
    },
    /// An op was given a value of another program.
    #[error("op {op} in program {program:?} takes value %{value}, which is not defined before it")]
    UndefinedValue {
        /// Name of the op.
        op: &'static str,
        /// Name of the program.
        program: String,
        /// Number of the value.
        value: usize,
    },
    /// A result is missing.
    #[error("program {program:?} has no result {name:?}")]
    NoOutput {
        /// Name of the program.
        program: String,
        /// Name of the result.
        name: &'static str,
    },
    /// Two resources, inputs or outputs share a name.
    #[error("program {program:?} declares {name:?} twice")]
    DuplicateName {
        /// Name of the program.
        program: String,
        /// The name.
        name: String,
    },
}

/// Builds a [`Program`], checking each op as it is added.
#[derive(Debug)]
pub struct Builder {
    program: Program,
}

impl Builder {
    /// An empty program.
    pub fn new(name: &str) -> Self {
        Self {
            program: Program {
                name: name.to_owned(),
                resources: Vec::new(),
                inputs: Vec::new(),
                nodes: Vec::new(),
                shapes: Vec::new(),
                outputs: Vec::new(),
            },
        }
    }

    /// Goes on from a finished program.
    pub fn extend(program: &Program, name: &str) -> Self {
        Self {
            program: Program {
                name: name.to_owned(),
                ..program.clone()
            },
        }
    }

    /// Keeps values, inputs, resources and results of a program but none of its nodes; [`Self::replay`] brings them back in
    /// another order.
    pub(crate) fn rebuild(program: &Program, name: &str) -> Self {
        Self {
            program: Program {
                name: name.to_owned(),
                nodes: Vec::new(),
                ..program.clone()
            },
        }
    }

    /// Brings back a node of the program that is rebuilt.
    ///
    /// # Errors
    /// [`BuildError::Shape`] when a value of the node has changed its shape.
    pub(crate) fn replay(&mut self, node: &Node) -> Result<(), BuildError> {
        let shapes: Vec<Shape> = node.inputs.iter().map(|v| self.shape(*v).clone()).collect();
        node.op
            .infer(&shapes, &self.program.resources)
            .map_err(|source| BuildError::Shape {
                op: node.op.name(),
                program: self.program.name.clone(),
                source,
            })?;
        self.program.nodes.push(node.clone());
        Ok(())
    }

    /// Declares a resource; the same name and kind again gives the same resource.
    ///
    /// # Errors
    /// [`BuildError::DuplicateName`] when the name stands for another kind.
    pub fn resource(&mut self, name: &str, kind: ResourceKind) -> Result<ResourceId, BuildError> {
        if let Some(id) = self.program.resource(name) {
            if self.program.resources[id.index()].kind == kind {
                return Ok(id);
            }
            return Err(self.duplicate(name));
        }
        self.program.resources.push(Resource {
            name: name.to_owned(),
            kind,
        });
        Ok(ResourceId(self.program.resources.len() as u32 - 1))
    }

    /// Declares a value that the caller supplies.
    ///
    /// # Errors
    /// [`BuildError::DuplicateName`].
    pub fn input(&mut self, name: &str, shape: Shape) -> Result<ValueId, BuildError> {
        if self.program.inputs.iter().any(|i| i.name == name) {
            return Err(self.duplicate(name));
        }
        let value = self.define(shape);
        self.program.inputs.push(Input {
            name: name.to_owned(),
            value,
        });
        Ok(value)
    }

    /// Applies an op; returns the values it defines.
    ///
    /// # Errors
    /// [`BuildError::Shape`] when the inputs do not fit.
    pub fn push(&mut self, op: Arc<dyn Op>, inputs: &[ValueId]) -> Result<Vec<ValueId>, BuildError> {
        if let Some(bad) = inputs.iter().find(|v| v.index() >= self.program.shapes.len()) {
            let (op, program) = (op.name(), self.program.name.clone());
            return Err(BuildError::UndefinedValue {
                op,
                program,
                value: bad.index(),
            });
        }
        let shapes: Vec<Shape> = inputs
            .iter()
            .map(|v| self.program.shapes[v.index()].clone())
            .collect();
        let inferred = op
            .infer(&shapes, &self.program.resources)
            .map_err(|source| BuildError::Shape {
                op: op.name(),
                program: self.program.name.clone(),
                source,
            })?;
        let outputs: Vec<ValueId> = inferred.into_iter().map(|shape| self.define(shape)).collect();
        self.program.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        Ok(outputs)
    }

    /// Applies an op with exactly one output.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_one(&mut self, op: impl Op, inputs: &[ValueId]) -> Result<ValueId, BuildError> {
        let outputs = self.push(Arc::new(op), inputs)?;
        debug_assert_eq!(outputs.len(), 1);
        Ok(outputs[0])
    }

    /// Names a result.
    ///
    /// # Errors
    /// [`BuildError::DuplicateName`].
    pub fn output(&mut self, name: &str, value: ValueId) -> Result<(), BuildError> {
        if self.program.output(name).is_some() {
            return Err(self.duplicate(name));
        }
        self.program.outputs.push((name.to_owned(), value));
        Ok(())
    }

    /// Shape of a value so far.
    pub fn shape(&self, value: ValueId) -> &Shape {
        self.program.shape(value)
    }

    /// The program so far.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The finished program.
    pub fn finish(self) -> Program {
        self.program
    }

    fn define(&mut self, shape: Shape) -> ValueId {
        self.program.shapes.push(shape);
        ValueId(self.program.shapes.len() as u32 - 1)
    }

    fn duplicate(&self, name: &str) -> BuildError {
        BuildError::DuplicateName {
            program: self.program.name.clone(),
            name: name.to_owned(),
        }
    }
}
