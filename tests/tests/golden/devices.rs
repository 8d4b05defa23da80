//! The backends that numbers are compared on, and sessions that run programs on them.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use engine_core::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData, Run};
use engine_core::ir::{Interpreter, Program, RefBuffer, Resource, ResourceKind, Rows, Tensor};

use crate::compare::Outcome;

/// A backend under the name that tests carry.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// `reference` or the backend's own name.
    pub(crate) name: &'static str,
    /// The backend.
    pub(crate) backend: Arc<dyn Backend>,
}

/// All backends: the reference interpreter first.
pub(crate) fn all() -> Vec<Device> {
    vec![Device {
        name: "reference",
        backend: Arc::new(ReferenceBackend),
    }]
}

/// The reference interpreter behind the seam of the devices. Buffers and results keep double precision inside.
#[derive(Debug)]
struct ReferenceBackend;

#[derive(Debug)]
struct ReferenceBuffer(RefBuffer);

#[derive(Debug)]
struct ReferenceExecutable {
    program: Program,
    outputs: HashMap<String, Vec<f64>>,
}

fn failed(reason: impl ToString) -> BackendError {
    BackendError::Device {
        device: "reference".to_owned(),
        reason: reason.to_string(),
    }
}

impl Backend for ReferenceBackend {
    fn device(&self) -> DeviceInfo {
        DeviceInfo {
            backend: "reference",
            device: "plain loops in double precision".to_owned(),
            parallelism: 1,
            memory: None,
        }
    }

    fn compile(&self, program: &Program, _: usize) -> Result<Box<dyn Executable>, BackendError> {
        Ok(Box::new(ReferenceExecutable {
            program: program.clone(),
            outputs: HashMap::new(),
        }))
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        let buffer = match data {
            HostData::Codes(table) => RefBuffer::Codes(table),
            numbers => RefBuffer::numbers(wide(&numbers).ok_or_else(|| failed("neither codes nor numbers"))?),
        };
        Ok(Box::new(ReferenceBuffer(buffer)))
    }
}

impl Buffer for ReferenceBuffer {
    fn read(&self) -> Result<HostData, BackendError> {
        Ok(match &self.0 {
            RefBuffer::Codes(table) => HostData::Codes(Arc::clone(table)),
            RefBuffer::Numbers { data, .. } => HostData::F32(data.iter().map(|x| *x as f32).collect()),
        })
    }

    fn write(&mut self, data: &HostData) -> Result<(), BackendError> {
        let numbers = wide(data).ok_or_else(|| failed("only numbers can be written"))?;
        self.0 = RefBuffer::numbers(numbers);
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

impl Executable for ReferenceExecutable {
    fn run(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError> {
        let ours = |buffer: &dyn Any| buffer.downcast_ref::<ReferenceBuffer>().map(|b| b.0.clone());
        let foreign = || failed("a buffer of another backend");
        let mut bound = Vec::new();
        for resource in resources.iter() {
            bound.push(ours(resource.as_any()).ok_or_else(foreign)?);
        }
        let mut values = Vec::new();
        for (input, buffer) in self.program.inputs().iter().zip(inputs) {
            let shape = self.program.shape(input.value);
            let buffer = ours(buffer.as_any()).ok_or_else(foreign)?;
            let data = buffer.data().ok_or_else(|| failed("codes as an input"))?;
            let (rows, width) = (shape.rows.count(run), shape.groups.total());
            values.push(Tensor::from_data(rows, width, data.to_vec()));
        }
        let mut interpreter = Interpreter::new(&self.program);
        interpreter.run(run, &mut bound, &values).map_err(failed)?;
        for (name, _) in self.program.outputs() {
            let tensor = interpreter
                .output(name)
                .ok_or_else(|| failed("a result is missing"))?;
            self.outputs.insert(name.clone(), tensor.data.clone());
        }
        for (resource, value) in resources.iter_mut().zip(bound) {
            let buffer = resource.as_any_mut().downcast_mut::<ReferenceBuffer>();
            buffer.ok_or_else(foreign)?.0 = value;
        }
        Ok(())
    }

    fn output(&self, name: &str) -> Result<HostData, BackendError> {
        let values = self
            .outputs
            .get(name)
            .ok_or_else(|| BackendError::UnknownOutput {
                program: self.program.name().to_owned(),
                name: name.to_owned(),
            })?;
        Ok(HostData::F32(values.iter().map(|x| *x as f32).collect()))
    }
}

/// Numbers of any kind in double precision.
fn wide(data: &HostData) -> Option<Vec<f64>> {
    match data {
        HostData::F32(values) => Some(values.iter().map(|x| f64::from(*x)).collect()),
        HostData::U32(values) => Some(values.iter().map(|x| f64::from(*x)).collect()),
        HostData::Codes(_) => None,
    }
}

/// Named buffers on a device that live through several programs.
#[derive(Debug)]
pub(crate) struct Session<'d> {
    backend: &'d dyn Backend,
    buffers: HashMap<String, Box<dyn Buffer>>,
}

/// The results of a run.
#[derive(Debug)]
pub(crate) struct Results {
    executable: Box<dyn Executable>,
}

impl<'d> Session<'d> {
    /// A session without buffers.
    pub(crate) fn new(device: &'d Device) -> Self {
        Self {
            backend: device.backend.as_ref(),
            buffers: HashMap::new(),
        }
    }

    /// Puts a resource on the device.
    pub(crate) fn put(&mut self, name: &str, data: HostData) -> Outcome {
        self.buffers.insert(name.to_owned(), self.backend.upload(data)?);
        Ok(())
    }

    /// The numbers of a resource.
    pub(crate) fn read(&self, name: &str) -> Outcome<Vec<f64>> {
        let buffer = self
            .buffers
            .get(name)
            .ok_or_else(|| format!("no resource {name}"))?;
        Ok(wide(&buffer.read()?).ok_or_else(|| format!("resource {name} holds codes"))?)
    }

    /// Runs a program with `inputs` in its order. Arenas that nobody has put on the device start at zero.
    pub(crate) fn run(&mut self, program: &Program, run: &Run, inputs: Vec<HostData>) -> Outcome<Results> {
        let rows = Rows::BatchTime.count(run);
        let mut executable = self.backend.compile(program, rows)?;
        let mut bound = Vec::new();
        for resource in program.resources() {
            bound.push((resource.name.clone(), self.take(resource)?));
        }
        let inputs = inputs.into_iter().map(|data| self.backend.upload(data));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&dyn Buffer> = inputs.iter().map(|b| b.as_ref()).collect();
        let mut resources: Vec<&mut dyn Buffer> = bound.iter_mut().map(|(_, b)| b.as_mut()).collect();
        executable.run(run, &mut resources, &inputs)?;
        self.buffers.extend(bound);
        Ok(Results { executable })
    }

    fn take(&mut self, resource: &Resource) -> Outcome<Box<dyn Buffer>> {
        if let Some(buffer) = self.buffers.remove(&resource.name) {
            return Ok(buffer);
        }
        match &resource.kind {
            ResourceKind::Arena(layout) => Ok(self.backend.upload(HostData::F32(vec![0.0; layout.len()]))?),
            _ => Err(format!("nothing was put into resource {}", resource.name).into()),
        }
    }
}

impl Results {
    /// Result `name`, row-major.
    pub(crate) fn get(&self, name: &str) -> Outcome<Vec<f64>> {
        Ok(wide(&self.executable.output(name)?).ok_or_else(|| format!("result {name} holds codes"))?)
    }
}
