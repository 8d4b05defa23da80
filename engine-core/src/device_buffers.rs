//! Compiled programs and buffers on a device, bound to each other by name.

use crate::backend::{Backend, BackendError, Buffer, Executable, HostData, Run};
use crate::ir::Program;

/// A compiled program that knows the names of its resources.
#[derive(Debug)]
pub(crate) struct Compiled {
    program: String,
    resources: Vec<String>,
    executable: Box<dyn Executable>,
}

/// Buffers on a device by name.
#[derive(Debug, Default)]
pub(crate) struct DeviceBuffers {
    buffers: Vec<(String, Box<dyn Buffer>)>,
}

impl Compiled {
    /// Compiles a program for batches of at most `max_rows` rows.
    pub(crate) fn new(
        backend: &dyn Backend,
        program: &Program,
        max_rows: usize,
    ) -> Result<Self, BackendError> {
        Ok(Self {
            program: program.name().to_owned(),
            resources: program.resources().iter().map(|r| r.name.clone()).collect(),
            executable: backend.compile(program, max_rows)?,
        })
    }

    /// Binds the buffer called `to` where the program says `from`.
    pub(crate) fn renamed(mut self, from: &str, to: &str) -> Self {
        for name in self.resources.iter_mut().filter(|n| *n == from) {
            to.clone_into(name);
        }
        self
    }

    /// Runs the program over its buffers.
    pub(crate) fn run(
        &mut self,
        run: &Run,
        device_buffers: &mut DeviceBuffers,
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError> {
        let mut slots: Vec<Option<&mut dyn Buffer>> = self.resources.iter().map(|_| None).collect();
        for (name, buffer) in &mut device_buffers.buffers {
            if let Some(slot) = self.resources.iter().position(|r| r == name) {
                slots[slot] = Some(buffer.as_mut());
            }
        }
        let mut bound = Vec::with_capacity(slots.len());
        for (slot, name) in slots.into_iter().zip(&self.resources) {
            bound.push(slot.ok_or_else(|| mismatch(&self.program, name, "a buffer", "nothing"))?);
        }
        self.executable.run(run, &mut bound, inputs)
    }

    /// A result of the last step in single precision.
    pub(crate) fn read_f32(&self, name: &str) -> Result<Vec<f32>, BackendError> {
        match self.executable.output(name)? {
            HostData::F32(values) => Ok(values),
            _ => Err(mismatch(&self.program, name, "an f32 buffer", "a u32 buffer")),
        }
    }

    /// A result of the last step that holds codes.
    pub(crate) fn read_u32(&self, name: &str) -> Result<Vec<u32>, BackendError> {
        match self.executable.output(name)? {
            HostData::U32(values) => Ok(values),
            _ => Err(mismatch(&self.program, name, "a u32 buffer", "an f32 buffer")),
        }
    }
}

impl DeviceBuffers {
    /// Uploads a buffer.
    pub(crate) fn upload(
        &mut self,
        backend: &dyn Backend,
        name: impl Into<String>,
        data: HostData,
    ) -> Result<(), BackendError> {
        self.buffers.push((name.into(), backend.upload(data)?));
        Ok(())
    }

    /// Copies an f32 buffer to the host.
    pub(crate) fn read_f32(&self, name: &str) -> Result<Vec<f32>, BackendError> {
        let buffer = self.buffers.iter().find(|(n, _)| *n == name);
        match buffer.map(|(_, b)| b.read()).transpose()? {
            Some(HostData::F32(values)) => Ok(values),
            Some(_) => Err(mismatch("", name, "an f32 buffer", "a u32 buffer")),
            None => Err(mismatch("", name, "a buffer", "nothing")),
        }
    }
}

fn mismatch(program: &str, binding: &str, expected: &str, got: &str) -> BackendError {
    BackendError::BufferMismatch {
        program: program.to_owned(),
        binding: binding.to_owned(),
        expected: expected.to_owned(),
        got: got.to_owned(),
    }
}
