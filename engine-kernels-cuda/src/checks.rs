//! What is bound to a run is checked before anything is launched, so that kernels can rely on it.

use engine_core::backend::{BackendError, Buffer, Run};
use engine_core::ir::{DType, Program, ResourceKind, Rows};

use crate::buffer::CudaBuffer;
use crate::driver::DevicePtr;
use crate::executable::CudaExecutable;
use crate::shard::Shard;

/// The error of a binding that does not fit.
pub(crate) fn mismatch(program: &Program, binding: &str, expected: String, got: String) -> BackendError {
    BackendError::BufferMismatch {
        program: program.name().to_owned(),
        binding: binding.to_owned(),
        expected,
        got,
    }
}

/// The error of a buffer of another backend.
pub(crate) fn foreign(program: &Program, binding: &str) -> BackendError {
    let (expected, got) = ("a buffer of the cuda backend".to_owned(), "another's".to_owned());
    mismatch(program, binding, expected, got)
}

/// Checks the number of resources and inputs.
pub(crate) fn check_counts(program: &Program, resources: usize, inputs: usize) -> Result<(), BackendError> {
    let bindings = [
        ("resources", program.resources().len(), resources),
        ("inputs", program.inputs().len(), inputs),
    ];
    for (kind, expected, got) in bindings {
        if expected != got {
            return Err(mismatch(
                program,
                kind,
                format!("{expected} {kind}"),
                format!("{got}"),
            ));
        }
    }
    Ok(())
}

/// Programs that need more elements than a kernel can count are refused.
pub(crate) fn check_size(program: &Program, max_rows: usize) -> Result<(), BackendError> {
    let inputs = program.inputs().iter().map(|i| i.value);
    let values = program
        .nodes()
        .iter()
        .flat_map(|n| n.outputs.iter().copied())
        .chain(inputs);
    let widest = values.map(|v| program.shape(v).groups.total()).max().unwrap_or(0);
    let (needed, allowed) = (widest as u64 * max_rows as u64, 1 << 31);
    if needed > allowed {
        return Err(BackendError::Limit {
            backend: "cuda",
            what: format!("a value of program {:?}", program.name()),
            needed,
            allowed,
        });
    }
    Ok(())
}

/// The buffers behind what is bound.
pub(crate) fn buffers<'a>(
    program: &Program,
    resources: &'a mut [&mut dyn Buffer],
) -> Result<Vec<&'a mut CudaBuffer>, BackendError> {
    let mut buffers: Vec<&mut CudaBuffer> = Vec::with_capacity(resources.len());
    for (buffer, resource) in resources.iter_mut().zip(program.resources()) {
        let found = buffer.as_any_mut().downcast_mut();
        buffers.push(found.ok_or_else(|| foreign(program, &resource.name))?);
    }
    Ok(buffers)
}

/// The buffers behind the inputs.
pub(crate) fn inputs<'a>(
    program: &Program,
    inputs: &[&'a dyn Buffer],
) -> Result<Vec<&'a CudaBuffer>, BackendError> {
    let buffers = inputs.iter().zip(program.inputs()).map(|(buffer, input)| {
        let found = buffer.as_any().downcast_ref();
        found.ok_or_else(|| foreign(program, &input.name))
    });
    buffers.collect()
}

impl CudaExecutable {
    /// Checks everything that is bound; gives the addresses of the inputs.
    pub(crate) fn bind(
        &self,
        run: &Run,
        shard: Shard,
        resources: &[&mut CudaBuffer],
        inputs: &[&CudaBuffer],
    ) -> Result<Vec<DevicePtr>, BackendError> {
        check_counts(&self.program, resources.len(), inputs.len())?;
        let own = Run {
            rows: shard.rows,
            ..*run
        };
        self.program.check_rows("cuda", &own, self.max_rows)?;
        for (resource, buffer) in self.program.resources().iter().zip(resources) {
            let (fits, expected) = match &resource.kind {
                ResourceKind::Arena(layout) => (
                    buffer.f32().is_some_and(|(_, len)| len == layout.len()),
                    format!("{} f32 values", layout.len()),
                ),
                ResourceKind::Codes { columns } => (
                    buffer
                        .table()
                        .is_some_and(|t| t.codes.columns().len() == *columns),
                    format!("codes of {columns} sub-columns"),
                ),
                ResourceKind::F32 => (buffer.f32().is_some(), "an f32 buffer".to_owned()),
                ResourceKind::U32 => (buffer.u32().is_some(), "a u32 buffer".to_owned()),
            };
            if !fits {
                return Err(mismatch(
                    &self.program,
                    &resource.name,
                    expected,
                    buffer.describe(),
                ));
            }
        }
        self.program
            .check_reading(run, |id| resources[id.index()].rows())?;
        let addresses = inputs.iter().enumerate();
        addresses
            .map(|(i, buffer)| self.input(i, run, shard, buffer))
            .collect()
    }

    /// The address of input `index`, which is read where it lies, from the first row of this device on.
    fn input(
        &self,
        index: usize,
        run: &Run,
        shard: Shard,
        buffer: &CudaBuffer,
    ) -> Result<DevicePtr, BackendError> {
        let input = &self.program.inputs()[index];
        let shape = self.program.shape(input.value);
        let width = shape.groups.total();
        let found = match shape.dtype {
            DType::F32 => buffer.f32(),
            DType::U32 => buffer.u32(),
        };
        match found {
            Some((address, len)) if len == shape.rows.count(run) * width => Ok(match shape.rows {
                Rows::One => address,
                _ => address + (shard.offset as usize * width * size_of::<u32>()) as DevicePtr,
            }),
            _ => Err(mismatch(
                &self.program,
                &input.name,
                shape.to_string(),
                buffer.describe(),
            )),
        }
    }
}
