//! The interpreter: every program in f64 with plain loops. It is the oracle that all backends are compared with.

use super::interpret::{InterpretError, InterpreterBuffer, InterpreterContext};
use super::program::Program;
use super::run::Run;
use super::tensor::Tensor;

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
