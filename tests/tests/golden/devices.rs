//! The backends that numbers are compared on, and sessions that run programs on them.

use std::collections::HashMap;
use std::sync::Arc;

use engine_core::backend::{Backend, Buffer, Executable, HostData, Run};
use engine_core::interpreter::InterpreterBackend;
use engine_core::ir::{Program, Resource, ResourceKind, Rows};
use engine_cpu::{CpuBackend, CpuOptions, InstructionSet};

use crate::compare::Outcome;

/// A backend under the name that tests carry.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    /// `interpreter` or the backend's own name.
    pub(crate) name: &'static str,
    /// The backend.
    pub(crate) backend: Arc<dyn Backend>,
}

impl Device {
    /// Whether results are rounded once, in the end: the interpreter computes in double precision.
    pub(crate) fn is_exact(&self) -> bool {
        self.name == "interpreter"
    }
}

/// All backends: the interpreter, the CPU with its best instruction set, its portable path, and those of features.
pub(crate) fn all() -> Outcome<Vec<Device>> {
    let cpu = |instruction_set| {
        let options = CpuOptions {
            instruction_set,
            ..CpuOptions::default()
        };
        CpuBackend::new(options).map(Arc::new)
    };
    let mut devices = vec![Device {
        name: "interpreter",
        backend: Arc::new(InterpreterBackend),
    }];
    devices.push(Device {
        name: "cpu",
        backend: cpu(None)?,
    });
    if InstructionSet::best() != InstructionSet::Portable {
        devices.push(Device {
            name: "cpu-portable",
            backend: cpu(Some(InstructionSet::Portable))?,
        });
    }
    #[cfg(feature = "cuda")]
    devices.push(Device {
        name: "cuda",
        backend: Arc::new(engine_kernels_cuda::CudaBackend::open(0)?),
    });
    #[cfg(feature = "wgpu")]
    devices.push(Device {
        name: "wgpu",
        backend: Arc::new(engine_kernels_wgpu::WgpuBackend::new(
            &engine_kernels_wgpu::WgpuOptions::default(),
        )?),
    });
    Ok(devices)
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
