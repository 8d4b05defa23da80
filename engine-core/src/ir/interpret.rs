//! What an op computes from in the interpreter: tensors, resources, the scalars of a step.

use std::sync::Arc;

use thiserror::Error;

use super::resource::ResourceId;
use super::run::Run;
use super::tensor::Tensor;
use crate::schema::CodeTable;

/// A resource in the interpreter.
#[derive(Debug, Clone, PartialEq)]
pub enum InterpreterBuffer {
    /// Floating-point values with the sum of absolute terms of each.
    F64 {
        /// Elements.
        data: Vec<f64>,
        /// Sum of absolute terms.
        magnitude: Vec<f64>,
    },
    /// Unsigned integers: lengths, offsets.
    U32(Vec<u32>),
    /// Codes of a table.
    Codes(Arc<CodeTable>),
}

impl InterpreterBuffer {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self::F64 {
            data: vec![0.0; len],
            magnitude: vec![0.0; len],
        }
    }

    /// A buffer of these values.
    pub fn from_f64(data: Vec<f64>) -> Self {
        let magnitude = data.iter().map(|x| x.abs()).collect();
        Self::F64 { data, magnitude }
    }

    /// The values, when it holds floating-point values.
    pub fn data(&self) -> Option<&[f64]> {
        match self {
            Self::F64 { data, .. } => Some(data),
            Self::U32(_) | Self::Codes(_) => None,
        }
    }

    /// Rows of a table, elements of anything else.
    pub(super) fn rows(&self) -> usize {
        match self {
            Self::F64 { data, .. } => data.len(),
            Self::U32(data) => data.len(),
            Self::Codes(table) => table.rows(),
        }
    }
}

/// Why the interpreter stops.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InterpretError {
    /// A binding is missing or has the wrong kind or size.
    #[error("program {program:?}: binding {binding:?} does not fit: {reason}")]
    Binding {
        /// The program.
        program: String,
        /// Name of the resource or input.
        binding: String,
        /// What does not fit.
        reason: String,
    },
    /// A code lies outside its cardinality.
    #[error("op {op}: code {code} of sub-column {sub_column} is not below its cardinality {cardinality}")]
    CodeOutOfRange {
        /// The op.
        op: &'static str,
        /// Index of the sub-column.
        sub_column: usize,
        /// The code.
        code: usize,
        /// Number of codes.
        cardinality: usize,
    },
    /// A resource holds something else than the op needs.
    #[error("op {op} needs another kind of data than resource {resource} holds")]
    ResourceKind {
        /// The op.
        op: &'static str,
        /// Position of the resource.
        resource: usize,
    },
}

/// What an op computes from in the interpreter: input values, resources, and the scalars of this one step.
#[derive(Debug)]
pub struct InterpreterContext<'a> {
    /// Input values in the node's order.
    pub inputs: Vec<&'a Tensor>,
    /// Scalars of this step (`steps` is 1).
    pub run: Run,
    /// Index of this step within the run.
    pub step_in_run: u32,
    pub(super) op: &'static str,
    pub(super) resources: &'a mut [InterpreterBuffer],
}

impl InterpreterContext<'_> {
    /// The floating-point values of a resource.
    ///
    /// # Errors
    /// [`InterpretError::ResourceKind`] when it holds something else.
    pub fn f64(&self, id: ResourceId) -> Result<&[f64], InterpretError> {
        let error = InterpretError::ResourceKind {
            op: self.op,
            resource: id.index(),
        };
        self.resources[id.index()].data().ok_or(error)
    }

    /// Sum of the absolute terms that made element `i` of a resource; 0 when it holds none.
    pub fn terms(&self, id: ResourceId, i: usize) -> f64 {
        match &self.resources[id.index()] {
            InterpreterBuffer::F64 { magnitude, .. } => magnitude[i],
            InterpreterBuffer::U32(_) | InterpreterBuffer::Codes(_) => 0.0,
        }
    }

    /// The unsigned integers of a resource.
    ///
    /// # Errors
    /// [`InterpretError::ResourceKind`] when it holds something else.
    pub fn u32(&self, id: ResourceId) -> Result<&[u32], InterpretError> {
        match &self.resources[id.index()] {
            InterpreterBuffer::U32(data) => Ok(data),
            InterpreterBuffer::F64 { .. } | InterpreterBuffer::Codes(_) => {
                Err(InterpretError::ResourceKind {
                    op: self.op,
                    resource: id.index(),
                })
            }
        }
    }

    /// The codes of a resource.
    ///
    /// # Errors
    /// [`InterpretError::ResourceKind`] when it holds something else.
    pub fn codes(&self, id: ResourceId) -> Result<Arc<CodeTable>, InterpretError> {
        match &self.resources[id.index()] {
            InterpreterBuffer::Codes(table) => Ok(Arc::clone(table)),
            InterpreterBuffer::F64 { .. } | InterpreterBuffer::U32(_) => Err(InterpretError::ResourceKind {
                op: self.op,
                resource: id.index(),
            }),
        }
    }

    /// Adds a term to element `i` of a resource.
    pub fn add(&mut self, id: ResourceId, i: usize, term: f64) {
        if let InterpreterBuffer::F64 { data, magnitude } = &mut self.resources[id.index()] {
            data[i] += term;
            magnitude[i] += term.abs();
        }
    }

    /// Sets element `i` of a resource and its sum of absolute terms.
    pub fn set(&mut self, id: ResourceId, i: usize, value: f64, terms: f64) {
        if let InterpreterBuffer::F64 { data, magnitude } = &mut self.resources[id.index()] {
            data[i] = value;
            magnitude[i] = terms;
        }
    }

    /// A code of an input, checked against its cardinality.
    ///
    /// # Errors
    /// [`InterpretError::CodeOutOfRange`].
    pub fn code(
        &self,
        input: usize,
        row: usize,
        sub_column: usize,
        cardinality: usize,
    ) -> Result<usize, InterpretError> {
        let code = self.inputs[input].code(row, sub_column);
        if code < cardinality {
            return Ok(code);
        }
        Err(InterpretError::CodeOutOfRange {
            op: self.op,
            sub_column,
            code,
            cardinality,
        })
    }
}
