//! Buffers on the device.

use std::any::Any;
use std::sync::Arc;

use engine_core::backend::{BackendError, Buffer, HostData};
use engine_core::schema::CodeTable;

use crate::driver::{DevicePtr, Driver};
use crate::error::CudaError;
use crate::memory::Memory;
use crate::options::CudaOptions;
use crate::table::PackedTable;

/// A buffer on the device.
#[derive(Debug)]
pub(crate) struct CudaBuffer {
    driver: Arc<dyn Driver>,
    options: CudaOptions,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    F32 { memory: Memory, len: usize },
    U32 { memory: Memory, len: usize },
    Codes(PackedTable),
}

impl CudaBuffer {
    pub(crate) fn new(
        driver: &Arc<dyn Driver>,
        options: CudaOptions,
        data: &HostData,
    ) -> Result<Self, CudaError> {
        let contents = match data {
            HostData::F32(v) => Contents::F32 {
                memory: Memory::of(driver, bytemuck::cast_slice(v))?,
                len: v.len(),
            },
            HostData::U32(v) => Contents::U32 {
                memory: Memory::of(driver, bytemuck::cast_slice(v))?,
                len: v.len(),
            },
            HostData::Codes(codes) => Contents::Codes(PackedTable::new(driver, &options, Arc::clone(codes))?),
        };
        Ok(Self {
            driver: Arc::clone(driver),
            options,
            contents,
        })
    }

    /// The same buffer for another device of the machine: a copy, or the same memory where both can read it.
    pub(crate) fn on(&self, driver: &Arc<dyn Driver>) -> Result<Self, BackendError> {
        let shared = self.table().map(|table| table.shared_with(driver));
        match shared.transpose()?.flatten() {
            Some(table) => Ok(Self {
                driver: Arc::clone(driver),
                options: self.options,
                contents: Contents::Codes(table),
            }),
            None => Ok(Self::new(driver, self.options, &self.read()?)?),
        }
    }

    /// Address and length of an f32 buffer.
    pub(crate) fn f32(&self) -> Option<(DevicePtr, usize)> {
        match &self.contents {
            Contents::F32 { memory, len } => Some((memory.address(), *len)),
            _ => None,
        }
    }

    /// Rows of a table, elements of anything else.
    pub(crate) fn rows(&self) -> usize {
        match &self.contents {
            Contents::F32 { len, .. } | Contents::U32 { len, .. } => *len,
            Contents::Codes(table) => table.codes.rows(),
        }
    }

    /// Address and length of a u32 buffer.
    pub(crate) fn u32(&self) -> Option<(DevicePtr, usize)> {
        match &self.contents {
            Contents::U32 { memory, len } => Some((memory.address(), *len)),
            _ => None,
        }
    }

    /// The table of codes.
    pub(crate) fn table(&self) -> Option<&PackedTable> {
        match &self.contents {
            Contents::Codes(table) => Some(table),
            _ => None,
        }
    }

    /// What the buffer holds, for errors.
    pub(crate) fn describe(&self) -> String {
        match &self.contents {
            Contents::F32 { len, .. } => format!("{len} f32 values"),
            Contents::U32 { len, .. } => format!("{len} u32 values"),
            Contents::Codes(table) => describe_table(&table.codes),
        }
    }
}

fn describe_table(codes: &CodeTable) -> String {
    format!("{} rows of {} sub-columns", codes.rows(), codes.columns().len())
}

fn describe_data(data: &HostData) -> String {
    match data {
        HostData::F32(v) => format!("{} f32 values", v.len()),
        HostData::U32(v) => format!("{} u32 values", v.len()),
        HostData::Codes(codes) => describe_table(codes),
    }
}

impl Buffer for CudaBuffer {
    fn read(&self) -> Result<HostData, BackendError> {
        Ok(match &self.contents {
            Contents::F32 { memory, len } => {
                let mut out = vec![0.0f32; *len];
                memory.read(bytemuck::cast_slice_mut(&mut out))?;
                HostData::F32(out)
            }
            Contents::U32 { memory, len } => {
                let mut out = vec![0u32; *len];
                memory.read(bytemuck::cast_slice_mut(&mut out))?;
                HostData::U32(out)
            }
            Contents::Codes(table) => HostData::Codes(Arc::clone(&table.codes)),
        })
    }

    fn write(&mut self, data: &HostData) -> Result<(), BackendError> {
        match (&mut self.contents, data) {
            (Contents::F32 { memory, len }, HostData::F32(from)) if *len == from.len() => {
                memory.write(bytemuck::cast_slice(from))?;
            }
            (Contents::U32 { memory, len }, HostData::U32(from)) if *len == from.len() => {
                memory.write(bytemuck::cast_slice(from))?;
            }
            (Contents::Codes(table), HostData::Codes(from)) => {
                *table = PackedTable::new(&self.driver, &self.options, Arc::clone(from))?;
            }
            _ => {
                return Err(BackendError::BufferMismatch {
                    program: "upload".to_owned(),
                    binding: "buffer".to_owned(),
                    expected: self.describe(),
                    got: describe_data(data),
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
