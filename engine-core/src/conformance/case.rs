//! One case: a small program with everything bound, run by the interpreter and by a backend.

use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::compare::{Comparison, Expected, Mismatch, same_bits};
use crate::argn::ModelError;
use crate::backend::{Backend, BackendError, Buffer, Executable, HostData, Run};
use crate::ir::ops::sampling::OrderedSample;
use crate::ir::{
    BuildError, Builder, DType, FoldError, GradError, Groups, InterpretError, Interpreter, InterpreterBuffer,
    Node, Op, ParamLayout, Program, ResourceId, ResourceKind, Rows, Shape, Tensor, ValueId,
};
use crate::schema::CodeTable;

/// Why a case failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The backend refused or its device failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The results differ.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The interpreter refuses the case.
    #[error("the interpreter refuses: {0}")]
    Interpreter(#[from] InterpretError),
    /// The program cannot be built.
    #[error("the program cannot be built: {0}")]
    Build(#[from] BuildError),
    /// The program cannot be differentiated.
    #[error("the program cannot be built: {0}")]
    Gradient(#[from] GradError),
    /// The program cannot be folded.
    #[error("the program cannot be built: {0}")]
    Fold(#[from] FoldError),
    /// The model cannot be built.
    #[error("the program cannot be built: {0}")]
    Model(#[from] ModelError),
}

/// How results are compared.
#[derive(Debug, Clone)]
pub(super) enum Rule {
    /// Each element within a few roundings of its absolute terms; the program is a single op.
    Elements,
    /// Each tensor by its norm; the program is a whole one.
    Norms,
    /// Codes are drawn: the interpreter is forced to take the drawn codes, and each must cover its uniform number.
    Draws(OrderedSample),
}

/// A program with bound resources and inputs.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Op or program that it tests.
    pub(super) op: &'static str,
    /// What is special about it, and its seed.
    pub(super) name: String,
    pub(super) program: Program,
    pub(super) run: Run,
    /// Rows that the program is compiled for.
    pub(super) max_rows: usize,
    pub(super) resources: Vec<HostData>,
    pub(super) inputs: Vec<HostData>,
    pub(super) rule: Rule,
}

/// Rows of the values of a case: those of a batch, times time steps where there is time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CaseRows {
    batch: usize,
    time: Option<usize>,
}

impl CaseRows {
    /// A batch of flat data.
    pub(super) fn flat(batch: usize) -> Self {
        Self { batch, time: None }
    }

    /// A batch of `time` time steps.
    pub(super) fn timed(batch: usize, time: usize) -> Self {
        let time = Some(time);
        Self { batch, time }
    }

    /// Rows of a value.
    pub(super) fn rows(self) -> usize {
        self.batch * self.time.unwrap_or(1)
    }

    /// The symbol of these rows.
    pub(super) fn symbol(self) -> Rows {
        self.time.map_or(Rows::Batch, |_| Rows::BatchTime)
    }

    /// A run of one step over these rows. Some sequences begin at a later time step than their first.
    pub(super) fn run(self) -> Run {
        let time = self.time.unwrap_or(1) as u32;
        Run {
            time,
            first_time: self.time.map_or(0, |_| time % 3),
            ..rows(self.batch)
        }
    }

    /// The same with at most so many rows, and at most three time steps.
    #[cfg(test)]
    pub(super) fn at_most(self, batch: usize) -> Self {
        Self {
            batch: self.batch.min(batch),
            time: self.time.map(|t| t.min(3)),
        }
    }
}

/// A case under construction.
#[derive(Debug)]
pub(super) struct Setup {
    op: &'static str,
    rows: Rows,
    pub(super) builder: Builder,
    resources: Vec<HostData>,
    inputs: Vec<HostData>,
}

impl Setup {
    /// A case over the rows of a batch.
    pub(super) fn new(op: &'static str) -> Self {
        Self::over(op, Rows::Batch)
    }

    /// A case whose values have the given rows.
    pub(super) fn over(op: &'static str, rows: Rows) -> Self {
        Self {
            op,
            rows,
            builder: Builder::new(op),
            resources: Vec::new(),
            inputs: Vec::new(),
        }
    }

    pub(super) fn arena(
        &mut self,
        name: &str,
        layout: &Arc<ParamLayout>,
        data: Vec<f32>,
    ) -> Result<ResourceId, BuildError> {
        self.resources.push(HostData::F32(data));
        self.builder
            .resource(name, ResourceKind::Arena(Arc::clone(layout)))
    }

    pub(super) fn f32_buffer(&mut self, name: &str, data: Vec<f32>) -> Result<ResourceId, BuildError> {
        self.resources.push(HostData::F32(data));
        self.builder.resource(name, ResourceKind::F32)
    }

    pub(super) fn u32_buffer(&mut self, name: &str, data: Vec<u32>) -> Result<ResourceId, BuildError> {
        self.resources.push(HostData::U32(data));
        self.builder.resource(name, ResourceKind::U32)
    }

    pub(super) fn table(&mut self, name: &str, table: CodeTable) -> Result<ResourceId, BuildError> {
        let columns = table.columns().len();
        self.resources.push(HostData::Codes(Arc::new(table)));
        self.builder.resource(name, ResourceKind::Codes { columns })
    }

    pub(super) fn value(
        &mut self,
        name: &str,
        groups: &Groups,
        data: Vec<f32>,
    ) -> Result<ValueId, BuildError> {
        self.inputs.push(HostData::F32(data));
        self.builder.input(name, Shape::f32(self.rows, groups.clone()))
    }

    pub(super) fn codes(
        &mut self,
        name: &str,
        columns: usize,
        data: Vec<u32>,
    ) -> Result<ValueId, BuildError> {
        self.inputs.push(HostData::U32(data));
        self.builder.input(name, Shape::u32(self.rows, columns))
    }

    pub(super) fn ranks(&mut self, ranks: Vec<u32>) -> Result<ValueId, BuildError> {
        let shape = Shape::ranks(ranks.len());
        self.inputs.push(HostData::U32(ranks));
        self.builder.input("ranks", shape)
    }

    /// Applies the op under test and names its results.
    pub(super) fn finish(
        mut self,
        op: impl Op,
        inputs: &[ValueId],
        run: Run,
        name: String,
    ) -> Result<Case, BuildError> {
        let outputs = self.builder.push(Arc::new(op), inputs)?;
        for (i, value) in outputs.into_iter().enumerate() {
            self.builder.output(&format!("y{i}"), value)?;
        }
        let program = self.builder.finish();
        let rows = program.largest_rows(&run);
        Ok(Case {
            op: self.op,
            name,
            program,
            run,
            // Half of the cases run in programs that are compiled for larger batches.
            max_rows: (rows + 7 * (rows % 2)).max(1),
            resources: self.resources,
            inputs: self.inputs,
            rule: Rule::Elements,
        })
    }
}

/// A run of one step over `rows` rows.
pub(super) fn rows(rows: usize) -> Run {
    Run {
        seed: 0x5EED,
        ..Run::evaluate(rows as u32)
    }
}

/// What came out of a case.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Compared and found equal.
    Passed(Comparison),
    /// The backend says that it lacks the op or that a limit forbids the case.
    Skipped(BackendError),
    /// Not equal.
    Failed(CaseError),
}

/// Results and resources after a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Results in the program's order, row-major.
    pub outputs: Vec<HostData>,
    /// Resources in the program's order.
    pub resources: Vec<HostData>,
}

/// Compares what one run of a program returned with the interpreter, element by element, or along the drawn codes where codes are drawn.
/// `resources` and `inputs` are as they were before the run, in the program's order. For callers with a program that is no
/// case of the suite: benches, and kernels in the making.
///
/// # Errors
/// [`CaseError`] says what differs, or why the interpreter refuses the program.
pub fn check_outcome(
    program: &Program,
    run: &Run,
    resources: &[HostData],
    inputs: &[HostData],
    outcome: &Outcome,
) -> Result<Comparison, CaseError> {
    let draws = |node: &Node| node.op.as_any().downcast_ref::<OrderedSample>().cloned();
    let case = Case {
        op: "program",
        name: program.name().to_owned(),
        program: program.clone(),
        run: *run,
        max_rows: program.largest_rows(run),
        resources: resources.to_vec(),
        inputs: inputs.to_vec(),
        rule: program
            .nodes()
            .iter()
            .find_map(draws)
            .map_or(Rule::Elements, Rule::Draws),
    };
    let expected = (program.outputs().len(), program.resources().len());
    if expected != (outcome.outputs.len(), outcome.resources.len()) {
        return Err(Mismatch::Nothing.into());
    }
    let comparison = case.check(outcome)?;
    if comparison.compared == 0 && run.rows > 0 && run.time > 0 {
        return Err(Mismatch::Nothing.into());
    }
    Ok(comparison)
}

impl Case {
    /// Runs the case; the duration is what the backend took.
    pub(super) fn run(&self, backend: &dyn Backend) -> (Verdict, Duration) {
        let start = Instant::now();
        let executable = match backend.compile(&self.program, self.max_rows) {
            Ok(executable) => executable,
            Err(error @ (BackendError::UnsupportedOp { .. } | BackendError::Limit { .. })) => {
                return (Verdict::Skipped(error), start.elapsed());
            }
            Err(error) => return (Verdict::Failed(error.into()), start.elapsed()),
        };
        let outcome = self.outcome(backend, executable);
        let time = start.elapsed();
        let verdict = outcome.and_then(|outcome| self.check(&outcome));
        match verdict {
            Ok(comparison) if comparison.compared == 0 && self.run.rows > 0 && self.run.time > 0 => {
                (Verdict::Failed(Mismatch::Nothing.into()), time)
            }
            Ok(comparison) => (Verdict::Passed(comparison), time),
            Err(error) => (Verdict::Failed(error), time),
        }
    }

    /// Runs twice from the same start: both runs must agree to the bit.
    fn outcome(
        &self,
        backend: &dyn Backend,
        mut executable: Box<dyn Executable>,
    ) -> Result<Outcome, CaseError> {
        let upload = |data: &[HostData]| -> Result<Vec<Box<dyn Buffer>>, BackendError> {
            data.iter().map(|d| backend.upload(d.clone())).collect()
        };
        let mut resources = upload(&self.resources)?;
        let inputs = upload(&self.inputs)?;
        let first = self.once(executable.as_mut(), &mut resources, &inputs)?;
        for (buffer, data) in resources.iter_mut().zip(&self.resources) {
            buffer.write(data)?;
        }
        let second = self.once(executable.as_mut(), &mut resources, &inputs)?;
        let names = self.program.outputs().iter().map(|(name, _)| name);
        let names = names.chain(self.program.resources().iter().map(|r| &r.name));
        let firsts = first.outputs.iter().chain(&first.resources);
        let seconds = second.outputs.iter().chain(&second.resources);
        for (name, (a, b)) in names.zip(firsts.zip(seconds)) {
            if !same_bits(a, b) {
                return Err(Mismatch::NotRepeatable { value: name.clone() }.into());
            }
        }
        Ok(first)
    }

    fn once(
        &self,
        executable: &mut dyn Executable,
        resources: &mut [Box<dyn Buffer>],
        inputs: &[Box<dyn Buffer>],
    ) -> Result<Outcome, BackendError> {
        let mut bound: Vec<&mut dyn Buffer> = resources.iter_mut().map(AsMut::as_mut).collect();
        let inputs: Vec<&dyn Buffer> = inputs.iter().map(AsRef::as_ref).collect();
        executable.run(&self.run, &mut bound, &inputs)?;
        let outputs = self.program.outputs().iter();
        Ok(Outcome {
            outputs: outputs
                .map(|(name, _)| executable.output(name))
                .collect::<Result<_, _>>()?,
            resources: resources.iter().map(|r| r.read()).collect::<Result<_, _>>()?,
        })
    }

    fn check(&self, outcome: &Outcome) -> Result<Comparison, CaseError> {
        if let Rule::Draws(op) = &self.rule {
            return self.check_draws(op, outcome);
        }
        let mut resources = interpreter_buffers(&self.resources);
        let mut interpreter = Interpreter::new(&self.program);
        interpreter.run(
            &self.run,
            &mut resources,
            &tensors(&self.program, &self.run, &self.inputs),
        )?;
        let mut comparison = Comparison::default();
        for ((name, value), got) in self.program.outputs().iter().zip(&outcome.outputs) {
            if let Some(tensor) = interpreter.output(name) {
                let dtype = self.program.shape(*value).dtype;
                comparison.merge(&self.check_output(name, dtype, tensor, got)?);
            }
        }
        for (i, resource) in resources.iter().enumerate() {
            comparison.merge(&self.check_resource(i, resource, &outcome.resources[i])?);
        }
        Ok(comparison)
    }

    fn check_output(
        &self,
        name: &str,
        dtype: DType,
        tensor: &Tensor,
        got: &HostData,
    ) -> Result<Comparison, Mismatch> {
        let expected = expected(name, tensor);
        match (dtype, &self.rule) {
            (DType::U32, _) => expected.codes(got),
            (DType::F32, Rule::Norms) => expected.norm(got),
            (DType::F32, _) => expected.elements(got),
        }
    }

    fn check_resource(
        &self,
        i: usize,
        expected: &InterpreterBuffer,
        got: &HostData,
    ) -> Result<Comparison, Mismatch> {
        let resource = &self.program.resources()[i];
        let mut accesses = self.program.nodes().iter().flat_map(|n| n.op.accesses());
        if !accesses.any(|a| a.kind.writes() && a.resource.index() == i) {
            let value = resource.name.clone();
            let same = same_bits(&self.resources[i], got);
            return same.then(Comparison::default).ok_or(Mismatch::ReadOnly { value });
        }
        let InterpreterBuffer::F64 { data, magnitude } = expected else {
            return Ok(Comparison::default());
        };
        let whole = Expected {
            value: &resource.name,
            width: data.len(),
            data,
            magnitude,
        };
        match (&self.rule, &resource.kind, got) {
            (Rule::Norms, ResourceKind::Arena(layout), HostData::F32(got)) if got.len() == data.len() => {
                by_parameter(layout, &resource.name, whole, got)
            }
            (Rule::Norms, _, _) => whole.norm(got),
            _ => whole.elements(got),
        }
    }
}

pub(super) fn expected<'a>(value: &'a str, tensor: &'a Tensor) -> Expected<'a> {
    Expected {
        value,
        width: tensor.width,
        data: &tensor.data,
        magnitude: &tensor.magnitude,
    }
}

fn by_parameter(
    layout: &ParamLayout,
    arena: &str,
    whole: Expected<'_>,
    got: &[f32],
) -> Result<Comparison, Mismatch> {
    let mut comparison = Comparison::default();
    for param in layout.params() {
        let range = param.view.range();
        let part = Expected {
            value: &format!("{arena}: {}", param.name),
            width: range.len(),
            data: &whole.data[range.clone()],
            magnitude: &whole.magnitude[range.clone()],
        };
        comparison.merge(&part.norm_of(&got[range])?);
    }
    Ok(comparison)
}

/// Host data as resources of the interpreter.
pub(super) fn interpreter_buffers(resources: &[HostData]) -> Vec<InterpreterBuffer> {
    resources
        .iter()
        .map(|data| match data {
            HostData::F32(data) => InterpreterBuffer::from_f64(data.iter().map(|x| f64::from(*x)).collect()),
            HostData::U32(data) => InterpreterBuffer::U32(data.clone()),
            HostData::Codes(table) => InterpreterBuffer::Codes(Arc::clone(table)),
        })
        .collect()
}

/// Host data as inputs of the interpreter.
pub(super) fn tensors(program: &Program, run: &Run, inputs: &[HostData]) -> Vec<Tensor> {
    program
        .inputs()
        .iter()
        .zip(inputs)
        .map(|(input, data)| {
            let data: Vec<f64> = match data {
                HostData::F32(data) => data.iter().map(|x| f64::from(*x)).collect(),
                HostData::U32(data) => data.iter().map(|x| f64::from(*x)).collect(),
                HostData::Codes(_) => Vec::new(),
            };
            let shape = program.shape(input.value);
            Tensor::from_data(shape.rows.count(run), shape.groups.total(), data)
        })
        .collect()
}
