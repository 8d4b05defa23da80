//! The interpreter: every program in f64 with plain loops. It is the oracle that all backends are compared with.

use std::sync::Arc;

use thiserror::Error;

use super::program::{Program, ResourceId};
use super::tensor::Tensor;
use crate::backend::Run;
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
    fn rows(&self) -> usize {
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
    op: &'static str,
    resources: &'a mut [InterpreterBuffer],
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

/// Runs a program in f64.
#[derive(Debug)]
pub struct Interpreter<'p> {
    program: &'p Program,
    values: Vec<Option<Tensor>>,
}

impl<'p> Interpreter<'p> {
    /// An interpreter for `program`.
    pub fn new(program: &'p Program) -> Self {
        Self {
            program,
            values: vec![None; program.value_count()],
        }
    }

    /// Runs all steps; `resources` and `inputs` in the program's order.
    ///
    /// # Errors
    /// [`InterpretError`] when a binding does not fit or a code is out of range.
    pub fn run(
        &mut self,
        run: &Run,
        resources: &mut [InterpreterBuffer],
        inputs: &[Tensor],
    ) -> Result<(), InterpretError> {
        (0..run.steps).try_for_each(|index| self.run_step(run, index, resources, inputs))
    }

    /// Runs step `index` of `run` alone, so that a caller can look at the resources between steps.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_step(
        &mut self,
        run: &Run,
        index: u32,
        resources: &mut [InterpreterBuffer],
        inputs: &[Tensor],
    ) -> Result<(), InterpretError> {
        self.check(run, resources, inputs)?;
        for (input, tensor) in self.program.inputs().iter().zip(inputs) {
            self.values[input.value.index()] = Some(tensor.clone());
        }
        self.step(&run.single(index), index, resources)
    }

    /// Result `name` of the last step.
    pub fn output(&self, name: &str) -> Option<&Tensor> {
        self.values[self.program.output(name)?.index()].as_ref()
    }

    fn step(
        &mut self,
        run: &Run,
        step: u32,
        resources: &mut [InterpreterBuffer],
    ) -> Result<(), InterpretError> {
        for node in self.program.nodes() {
            let inputs = node
                .inputs
                .iter()
                .filter_map(|v| self.values[v.index()].as_ref())
                .collect();
            let (op, run) = (node.op.name(), *run);
            let mut cx = InterpreterContext {
                inputs,
                run,
                step_in_run: step,
                op,
                resources,
            };
            let outputs = node.op.interpret(&mut cx)?;
            assert_eq!(
                outputs.len(),
                node.outputs.len(),
                "op {op} defines as many values as it declares"
            );
            for (value, tensor) in node.outputs.iter().zip(outputs) {
                let shape = self.program.shape(*value);
                let expected = (shape.rows.count(&run), shape.groups.total());
                assert_eq!(
                    (tensor.rows, tensor.width),
                    expected,
                    "op {op} keeps its shape rule"
                );
                self.values[value.index()] = Some(tensor);
            }
        }
        Ok(())
    }

    fn check(
        &self,
        run: &Run,
        resources: &[InterpreterBuffer],
        inputs: &[Tensor],
    ) -> Result<(), InterpretError> {
        let fail = |binding: &str, reason: String| {
            let (program, binding) = (self.program.name().to_owned(), binding.to_owned());
            Err(InterpretError::Binding {
                program,
                binding,
                reason,
            })
        };
        if resources.len() != self.program.resources().len() {
            return fail("resources", format!("{} bound", resources.len()));
        }
        if inputs.len() != self.program.inputs().len() {
            return fail("inputs", format!("{} bound", inputs.len()));
        }
        for node in self.program.nodes() {
            let Some((id, needed)) = node.op.rows_read(run) else {
                continue;
            };
            let got = resources[id.index()].rows() as u64;
            if got < needed {
                let name = &self.program.resources()[id.index()].name;
                return fail(name, format!("{got} rows instead of {needed}"));
            }
        }
        for (input, tensor) in self.program.inputs().iter().zip(inputs) {
            let shape = self.program.shape(input.value);
            let expected = (shape.rows.count(run), shape.groups.total());
            if (tensor.rows, tensor.width) != expected {
                let got = format!("[{}, {}]", tensor.rows, tensor.width);
                return fail(
                    &input.name,
                    format!("{got} instead of [{}, {}]", expected.0, expected.1),
                );
            }
        }
        Ok(())
    }
}
