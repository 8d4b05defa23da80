//! The reference as a backend: the suite must find it without fault, and the broken kernels of the tests build upon it.

use std::any::Any;
use std::sync::Arc;

use super::case::{reference_buffers, tensors};
use crate::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData, Run};
use crate::ir::{DType, InterpretError, Interpreter, Program, RefBuffer};

/// Rewrites a program before it is compiled.
type Rewrite = Arc<dyn Fn(&Program) -> Program + Send + Sync>;

/// Runs programs in the interpreter and rounds what comes out to single precision.
pub(super) struct OracleBackend {
    rewrite: Rewrite,
}

impl std::fmt::Debug for OracleBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OracleBackend")
    }
}

impl OracleBackend {
    pub(super) fn new() -> Self {
        Self::rewriting(Program::clone)
    }

    /// Runs another program than it is told to.
    pub(super) fn rewriting(rewrite: impl Fn(&Program) -> Program + Send + Sync + 'static) -> Self {
        Self {
            rewrite: Arc::new(rewrite),
        }
    }
}

#[derive(Debug)]
struct OracleBuffer(HostData);

#[derive(Debug)]
struct OracleExecutable {
    program: Program,
    outputs: Vec<(String, HostData)>,
}

impl Backend for OracleBackend {
    fn device(&self) -> DeviceInfo {
        DeviceInfo {
            backend: "oracle",
            device: "interpreter in f64".to_owned(),
            parallelism: 1,
            memory: None,
            largest_buffer: None,
        }
    }

    fn compile(&self, program: &Program, _: usize) -> Result<Box<dyn Executable>, BackendError> {
        Ok(Box::new(OracleExecutable {
            program: (self.rewrite)(program),
            outputs: Vec::new(),
        }))
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        Ok(Box::new(OracleBuffer(data)))
    }
}

impl Buffer for OracleBuffer {
    fn read(&self) -> Result<HostData, BackendError> {
        Ok(self.0.clone())
    }

    fn write(&mut self, data: &HostData) -> Result<(), BackendError> {
        self.0 = data.clone();
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

fn failed(error: InterpretError) -> BackendError {
    BackendError::Device {
        device: "oracle".to_owned(),
        reason: error.to_string(),
        remedies: Vec::new(),
    }
}

impl Executable for OracleExecutable {
    fn run(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError> {
        let held: Vec<HostData> = resources.iter().map(|r| r.read()).collect::<Result<_, _>>()?;
        let inputs: Vec<HostData> = inputs.iter().map(|i| i.read()).collect::<Result<_, _>>()?;
        let mut buffers = reference_buffers(&held);
        let mut interpreter = Interpreter::new(&self.program);
        interpreter
            .run(run, &mut buffers, &tensors(&self.program, run, &inputs))
            .map_err(failed)?;
        for (resource, buffer) in resources.iter_mut().zip(&buffers) {
            if let RefBuffer::Numbers { data, .. } = buffer {
                resource.write(&HostData::F32(data.iter().map(|x| *x as f32).collect()))?;
            }
        }
        self.outputs.clear();
        for (name, value) in self.program.outputs() {
            if let Some(tensor) = interpreter.output(name) {
                let data = match self.program.shape(*value).dtype {
                    DType::F32 => HostData::F32(tensor.data.iter().map(|x| *x as f32).collect()),
                    DType::U32 => HostData::U32(tensor.data.iter().map(|x| *x as u32).collect()),
                };
                self.outputs.push((name.clone(), data));
            }
        }
        Ok(())
    }

    fn output(&self, name: &str) -> Result<HostData, BackendError> {
        let found = self.outputs.iter().find(|(n, _)| n == name);
        found
            .map(|(_, data)| data.clone())
            .ok_or_else(|| BackendError::UnknownOutput {
                program: self.program.name().to_owned(),
                name: name.to_owned(),
            })
    }
}
