//! A compiled program: kernels, slots for values, scratch memory.

use engine_core::backend::{BackendError, Buffer, Executable, HostData, Run};
use engine_core::ir::{DType, MemoryPlan, Program, ResourceKind, Rows, Slot, ValueId};
use ndarray::ArrayView2;

use crate::backend::CpuBackend;
use crate::buffer::CpuBuffer;
use crate::kernels::{Context, CpuKernel, MAX_INPUTS, MAX_OUTPUTS, Value, kernel};
use crate::lanes::{CodeLanes, Lanes, blocks, pack, unpack};
use crate::scratch::{ScratchPool, ScratchSize};

/// A node with its kernel and the slots of its values.
#[derive(Debug)]
struct Step {
    kernel: Box<dyn CpuKernel>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    width: usize,
    input_width: usize,
    rows: Rows,
}

/// A program compiled for the CPU.
#[derive(Debug)]
pub(crate) struct CpuExecutable {
    backend: CpuBackend,
    program: Program,
    plan: MemoryPlan,
    max_rows: usize,
    steps: Vec<Step>,
    slots: Vec<Value>,
    scratch: ScratchPool,
    last: Option<Run>,
}

impl CpuExecutable {
    pub(crate) fn new(
        backend: &CpuBackend,
        program: &Program,
        max_rows: usize,
    ) -> Result<Self, BackendError> {
        program.check_values("cpu", MAX_INPUTS, MAX_OUTPUTS)?;
        let plan = MemoryPlan::new(program);
        let mut steps = Vec::with_capacity(program.nodes().len());
        let mut size = ScratchSize::default();
        for node in program.nodes() {
            let Some(kernel) = kernel(node.op.as_ref()) else {
                let (op, program) = (node.op.name().to_owned(), program.name().to_owned());
                return Err(BackendError::UnsupportedOp {
                    backend: "cpu",
                    op,
                    program,
                });
            };
            size = size.max(kernel.scratch());
            let slots = |values: &[ValueId]| values.iter().map(|v| plan.slot_of[v.index()]).collect();
            let width = |values: &[ValueId]| values.first().map_or(0, |v| program.shape(*v).groups.total());
            steps.push(Step {
                kernel,
                inputs: slots(&node.inputs),
                outputs: slots(&node.outputs),
                width: width(&node.outputs),
                input_width: width(&node.inputs),
                rows: program.rows_of(node),
            });
        }
        Ok(Self {
            slots: plan.slots.iter().map(|slot| empty(slot, max_rows)).collect(),
            scratch: ScratchPool::new(backend.threads(), size),
            backend: backend.clone(),
            program: program.clone(),
            plan,
            max_rows,
            steps,
            last: None,
        })
    }

    fn mismatch(&self, binding: &str, expected: String, got: String) -> BackendError {
        let (program, binding) = (self.program.name().to_owned(), binding.to_owned());
        BackendError::BufferMismatch {
            program,
            binding,
            expected,
            got,
        }
    }

    /// Checks the bindings, so that kernels can rely on them.
    fn check(&self, run: &Run, resources: &[&mut CpuBuffer], inputs: usize) -> Result<(), BackendError> {
        self.program.check_rows("cpu", run, self.max_rows)?;
        if inputs != self.program.inputs().len() {
            let expected = format!("{} inputs", self.program.inputs().len());
            return Err(self.mismatch("inputs", expected, format!("{inputs}")));
        }
        for (resource, buffer) in self.program.resources().iter().zip(resources) {
            let fits = match (&resource.kind, &**buffer) {
                (ResourceKind::Arena(layout), CpuBuffer::F32(v)) => v.len() == layout.len(),
                (ResourceKind::F32, CpuBuffer::F32(_)) | (ResourceKind::U32, CpuBuffer::U32(_)) => true,
                (ResourceKind::Codes { columns }, CpuBuffer::Codes(t)) => t.columns().len() == *columns,
                _ => false,
            };
            if !fits {
                let expected = match &resource.kind {
                    ResourceKind::Arena(layout) => format!("{} f32 values", layout.len()),
                    ResourceKind::Codes { columns } => format!("codes of {columns} sub-columns"),
                    ResourceKind::F32 => "an f32 buffer".to_owned(),
                    ResourceKind::U32 => "a u32 buffer".to_owned(),
                };
                return Err(self.mismatch(&resource.name, expected, buffer.describe()));
            }
        }
        self.program.check_reading(run, |id| resources[id.index()].rows())
    }

    fn pack_input(&mut self, index: usize, run: &Run, buffer: &CpuBuffer) -> Result<(), BackendError> {
        let input = &self.program.inputs()[index];
        let shape = self.program.shape(input.value);
        let dim = (shape.rows.count(run), shape.groups.total());
        let slot = &mut self.slots[self.plan.slot_of[input.value.index()]];
        let fits = match (slot, buffer) {
            (Value::F32(to), CpuBuffer::F32(from)) => ArrayView2::from_shape(dim, from)
                .map(|view| pack(view, to))
                .is_ok_and(|()| from.len() == dim.0 * dim.1),
            (Value::Codes(to), CpuBuffer::U32(from)) => ArrayView2::from_shape(dim, from)
                .map(|view| pack(view, to))
                .is_ok_and(|()| from.len() == dim.0 * dim.1),
            (Value::U32(to), CpuBuffer::U32(from)) if from.len() == dim.1 => {
                to[..dim.1].copy_from_slice(from);
                true
            }
            _ => false,
        };
        if fits {
            Ok(())
        } else {
            Err(self.mismatch(&input.name, shape.to_string(), buffer.describe()))
        }
    }

    fn run_steps(&mut self, run: &Run, resources: &mut [&mut CpuBuffer]) -> Result<(), BackendError> {
        let nothing = Value::default();
        for step_in_run in 0..run.steps {
            for step in &self.steps {
                let mut outputs: [Value; MAX_OUTPUTS] = Default::default();
                for (output, slot) in outputs.iter_mut().zip(&step.outputs) {
                    *output = std::mem::take(&mut self.slots[*slot]);
                }
                let mut inputs = [&nothing; MAX_INPUTS];
                for (input, slot) in inputs.iter_mut().zip(&step.inputs) {
                    *input = &self.slots[*slot];
                }
                let mut cx = Context {
                    run: run.single(step_in_run),
                    step_in_run: step_in_run as usize,
                    set: self.backend.set,
                    threads: self.backend.threads(),
                    scratch: &self.scratch,
                    width: step.width,
                    input_width: step.input_width,
                    rows: step.rows.count(run),
                    inputs,
                    outputs,
                    resources,
                };
                let result = step.kernel.run(&mut cx);
                for (output, slot) in cx.outputs.into_iter().zip(&step.outputs) {
                    self.slots[*slot] = output;
                }
                result?;
            }
        }
        Ok(())
    }
}

fn empty(slot: &Slot, max_rows: usize) -> Value {
    match (slot.rows, slot.dtype) {
        (Rows::One, DType::U32) => Value::U32(vec![0; slot.width]),
        (Rows::One, DType::F32) => Value::F32(vec![Lanes::ZERO; slot.width]),
        (_, DType::F32) => Value::F32(vec![Lanes::ZERO; blocks(max_rows) * slot.width]),
        (_, DType::U32) => Value::Codes(vec![CodeLanes::ZERO; blocks(max_rows) * slot.width]),
    }
}

impl Executable for CpuExecutable {
    fn run(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError> {
        if resources.len() != self.program.resources().len() {
            let expected = format!("{} resources", self.program.resources().len());
            return Err(self.mismatch("resources", expected, format!("{}", resources.len())));
        }
        let mut buffers: Vec<&mut CpuBuffer> = Vec::with_capacity(resources.len());
        for (i, resource) in resources.iter_mut().enumerate() {
            match resource.as_any_mut().downcast_mut() {
                Some(buffer) => buffers.push(buffer),
                None => {
                    let name = &self.program.resources()[i].name;
                    let (expected, got) = ("a buffer of the cpu backend".to_owned(), "another's".to_owned());
                    return Err(self.mismatch(name, expected, got));
                }
            }
        }
        self.check(run, &buffers, inputs.len())?;
        let pool = std::sync::Arc::clone(&self.backend.pool);
        for (i, input) in inputs.iter().enumerate() {
            match input.as_any().downcast_ref() {
                Some(buffer) => pool.install(|| self.pack_input(i, run, buffer))?,
                None => {
                    let name = &self.program.inputs()[i].name;
                    let (expected, got) = ("a buffer of the cpu backend".to_owned(), "another's".to_owned());
                    return Err(self.mismatch(name, expected, got));
                }
            }
        }
        self.last = Some(*run);
        pool.install(|| self.run_steps(run, &mut buffers))
    }

    fn output(&self, name: &str) -> Result<HostData, BackendError> {
        let (Some(value), Some(run)) = (self.program.output(name), &self.last) else {
            let program = self.program.name().to_owned();
            return Err(BackendError::UnknownOutput {
                program,
                name: name.to_owned(),
            });
        };
        let shape = self.program.shape(value);
        let dim = (shape.rows.count(run), shape.groups.total());
        let len = dim.0 * dim.1;
        Ok(match &self.slots[self.plan.slot_of[value.index()]] {
            Value::U32(words) => HostData::U32(words[..dim.1].to_vec()),
            Value::F32(lanes) => {
                let mut out = vec![0.0; len];
                self.backend.pool.install(|| unpack(lanes, dim.1, &mut out));
                HostData::F32(out)
            }
            Value::Codes(lanes) => {
                let mut out = vec![0; len];
                self.backend.pool.install(|| unpack(lanes, dim.1, &mut out));
                HostData::U32(out)
            }
        })
    }
}
