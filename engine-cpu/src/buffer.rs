//! Buffers in main memory.

use std::any::Any;
use std::sync::Arc;

use engine_core::backend::{BackendError, Buffer, HostData};
use engine_core::schema::CodeTable;

/// A buffer in main memory.
#[derive(Debug)]
pub(crate) enum CpuBuffer {
    F32(Vec<f32>),
    U32(Vec<u32>),
    Codes(Arc<CodeTable>),
}

impl CpuBuffer {
    pub(crate) fn new(data: HostData) -> Self {
        match data {
            HostData::F32(v) => Self::F32(v),
            HostData::U32(v) => Self::U32(v),
            HostData::Codes(t) => Self::Codes(t),
        }
    }

    /// Rows of a table, elements of anything else.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::U32(v) => v.len(),
            Self::Codes(t) => t.rows(),
        }
    }

    /// What the buffer holds, for errors.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::F32(v) => format!("{} f32 values", v.len()),
            Self::U32(v) => format!("{} u32 values", v.len()),
            Self::Codes(t) => format!("{} rows of {} sub-columns", t.rows(), t.columns().len()),
        }
    }
}

impl Buffer for CpuBuffer {
    fn read(&self) -> Result<HostData, BackendError> {
        Ok(match self {
            Self::F32(v) => HostData::F32(v.clone()),
            Self::U32(v) => HostData::U32(v.clone()),
            Self::Codes(t) => HostData::Codes(Arc::clone(t)),
        })
    }

    fn write(&mut self, data: &HostData) -> Result<(), BackendError> {
        match (&mut *self, data) {
            (Self::F32(to), HostData::F32(from)) if to.len() == from.len() => to.copy_from_slice(from),
            (Self::U32(to), HostData::U32(from)) if to.len() == from.len() => to.copy_from_slice(from),
            (Self::Codes(to), HostData::Codes(from)) => *to = Arc::clone(from),
            (kept, given) => {
                let given = Self::new(given.clone()).describe();
                return Err(BackendError::BufferMismatch {
                    program: "upload".to_owned(),
                    binding: "buffer".to_owned(),
                    expected: kept.describe(),
                    got: given,
                });
            }
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
