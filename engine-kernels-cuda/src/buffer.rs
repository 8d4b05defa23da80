//! Buffers on the device.

use std::any::Any;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use engine_core::backend::{BackendError, Buffer, HostData};
use engine_core::schema::{CodeColumn, CodeTable};

use crate::driver::{DevicePtr, Driver};
use crate::error::CudaError;
use crate::memory::Memory;

/// A buffer on the device.
#[derive(Debug)]
pub(crate) struct CudaBuffer {
    driver: Arc<dyn Driver>,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    F32 { memory: Memory, len: usize },
    U32 { memory: Memory, len: usize },
    Codes(PackedTable),
}

/// Where a sub-column's code lies in a packed row; `Place` of `batch.cu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Place {
    byte: u32,
    bytes: u32,
}

/// A table of codes on the device, row by row, each code in the narrowest type.
#[derive(Debug)]
pub(crate) struct PackedTable {
    /// What is on the device.
    pub(crate) codes: Arc<CodeTable>,
    rows: Memory,
    places: Memory,
    /// Bytes of a row.
    pub(crate) stride: u32,
}

impl PackedTable {
    fn new(driver: &Arc<dyn Driver>, codes: Arc<CodeTable>) -> Result<Self, CudaError> {
        let (places, stride) = places(&codes);
        let packed = pack(&codes, &places, stride);
        let mut rows = match Memory::new(driver, packed.len()) {
            Err(CudaError::OutOfMemory { bytes, .. }) => {
                tracing::warn!(
                    bytes,
                    "the table does not fit into the device's memory; it stays in main memory and its batches are streamed"
                );
                Memory::pinned(driver, packed.len())?
            }
            memory => memory?,
        };
        rows.write(&packed)?;
        Ok(Self {
            places: Memory::of(driver, bytemuck::cast_slice(&places))?,
            rows,
            stride: stride as u32,
            codes,
        })
    }

    /// Address of the packed rows.
    pub(crate) fn rows(&self) -> DevicePtr {
        self.rows.address()
    }

    /// Address of the places of the sub-columns.
    pub(crate) fn places(&self) -> DevicePtr {
        self.places.address()
    }
}

/// Places of the sub-columns, wide ones first so that each is aligned, and the bytes of a row.
fn places(codes: &CodeTable) -> (Vec<Place>, usize) {
    let width = |column: &CodeColumn| match column {
        CodeColumn::U8(_) => 1,
        CodeColumn::U16(_) => 2,
        CodeColumn::U32(_) => 4,
    };
    let mut places = vec![Place { byte: 0, bytes: 1 }; codes.columns().len()];
    let mut byte = 0;
    for bytes in [4, 2, 1] {
        for (place, column) in places.iter_mut().zip(codes.columns()) {
            if width(column) == bytes {
                *place = Place { byte, bytes };
                byte += bytes;
            }
        }
    }
    (places, (byte as usize).next_multiple_of(4))
}

fn pack(codes: &CodeTable, places: &[Place], stride: usize) -> Vec<u8> {
    let mut packed = vec![0; stride * codes.rows()];
    for (place, column) in places.iter().zip(codes.columns()) {
        let at = place.byte as usize;
        let rows = packed.chunks_exact_mut(stride.max(1));
        match column {
            CodeColumn::U8(codes) => rows.zip(codes).for_each(|(row, code)| row[at] = *code),
            CodeColumn::U16(codes) => rows
                .zip(codes)
                .for_each(|(row, code)| row[at..at + 2].copy_from_slice(&code.to_le_bytes())),
            CodeColumn::U32(codes) => rows
                .zip(codes)
                .for_each(|(row, code)| row[at..at + 4].copy_from_slice(&code.to_le_bytes())),
        }
    }
    packed
}

impl CudaBuffer {
    pub(crate) fn new(driver: &Arc<dyn Driver>, data: &HostData) -> Result<Self, CudaError> {
        let contents = match data {
            HostData::F32(v) => Contents::F32 {
                memory: Memory::of(driver, bytemuck::cast_slice(v))?,
                len: v.len(),
            },
            HostData::U32(v) => Contents::U32 {
                memory: Memory::of(driver, bytemuck::cast_slice(v))?,
                len: v.len(),
            },
            HostData::Codes(codes) => Contents::Codes(PackedTable::new(driver, Arc::clone(codes))?),
        };
        Ok(Self {
            driver: Arc::clone(driver),
            contents,
        })
    }

    /// Address and length of single precision numbers.
    pub(crate) fn numbers(&self) -> Option<(DevicePtr, usize)> {
        match &self.contents {
            Contents::F32 { memory, len } => Some((memory.address(), *len)),
            _ => None,
        }
    }

    /// Address and length of words.
    pub(crate) fn words(&self) -> Option<(DevicePtr, usize)> {
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
            Contents::F32 { len, .. } => format!("{len} numbers"),
            Contents::U32 { len, .. } => format!("{len} words"),
            Contents::Codes(table) => describe_table(&table.codes),
        }
    }
}

fn describe_table(codes: &CodeTable) -> String {
    format!("{} rows of {} sub-columns", codes.rows(), codes.columns().len())
}

fn describe_data(data: &HostData) -> String {
    match data {
        HostData::F32(v) => format!("{} numbers", v.len()),
        HostData::U32(v) => format!("{} words", v.len()),
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
                *table = PackedTable::new(&self.driver, Arc::clone(from))?;
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
