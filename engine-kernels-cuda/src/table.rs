//! Tables of codes as the device reads them: row by row, each code in the narrowest type.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use engine_core::schema::{CodeColumn, CodeTable};

use crate::driver::{DevicePtr, Driver};
use crate::error::CudaError;
use crate::memory::Memory;
use crate::options::CudaOptions;

/// Bytes of a table that are packed at a time: a processor's cache holds them while column after column is written into them.
const CHUNK: usize = 1 << 20;

/// Where a sub-column's code is in a packed row; `PackedCode` of `batch.cu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct PackedCode {
    byte: u32,
    bytes: u32,
}

/// A table of codes that the device reads.
#[derive(Debug)]
pub(crate) struct PackedTable {
    /// What is in it.
    pub(crate) codes: Arc<CodeTable>,
    rows: Arc<Memory>,
    packed_codes: Memory,
    /// Bytes of a row, a multiple of 4.
    pub(crate) stride: u32,
}

impl PackedTable {
    pub(crate) fn new(
        driver: &Arc<dyn Driver>,
        options: &CudaOptions,
        codes: Arc<CodeTable>,
    ) -> Result<Self, CudaError> {
        let (packed_codes, stride) = packed_codes(&codes);
        let mut rows = reserve(driver, options, stride * codes.rows())?;
        let rows_of_chunk = (CHUNK / stride.max(1)).max(1);
        let mut packed = Vec::new();
        for first in (0..codes.rows()).step_by(rows_of_chunk) {
            let chunk = first..codes.rows().min(first + rows_of_chunk);
            pack(&codes, &packed_codes, stride, chunk, &mut packed);
            rows.write_at(first * stride, &packed)?;
        }
        Ok(Self {
            packed_codes: Memory::of(driver, bytemuck::cast_slice(&packed_codes))?,
            rows: Arc::new(rows),
            stride: stride as u32,
            codes,
        })
    }

    /// The same rows for another device of the machine, where they lie in main memory, which all devices read.
    pub(crate) fn shared_with(&self, driver: &Arc<dyn Driver>) -> Result<Option<Self>, CudaError> {
        if !self.is_streamed() {
            return Ok(None);
        }
        let (packed_codes, _) = packed_codes(&self.codes);
        Ok(Some(Self {
            codes: Arc::clone(&self.codes),
            rows: Arc::clone(&self.rows),
            packed_codes: Memory::of(driver, bytemuck::cast_slice(&packed_codes))?,
            stride: self.stride,
        }))
    }

    /// Address of the packed rows.
    pub(crate) fn rows(&self) -> DevicePtr {
        self.rows.address()
    }

    /// Whether the rows lie in main memory.
    pub(crate) fn is_streamed(&self) -> bool {
        self.rows.is_pinned()
    }

    /// Address of the positions of the sub-columns in a packed row.
    pub(crate) fn packed_codes(&self) -> DevicePtr {
        self.packed_codes.address()
    }
}

/// Memory for the rows of a table: of the device where it fits.
fn reserve(driver: &Arc<dyn Driver>, options: &CudaOptions, bytes: usize) -> Result<Memory, CudaError> {
    let free = driver.free_memory()?;
    let allowed = options.table_memory.unwrap_or(u64::MAX).min(free - free / 8);
    if bytes as u64 <= allowed {
        match Memory::new(driver, bytes) {
            Err(CudaError::OutOfMemory { .. }) => {}
            memory => return memory,
        }
    }
    tracing::warn!(
        bytes,
        "the table does not fit into the device's memory; it stays in main memory and its batches are streamed"
    );
    Memory::pinned(driver, bytes)
}

/// Positions of the sub-columns in a packed row, wide ones first so that each is aligned, and the bytes of a row.
fn packed_codes(codes: &CodeTable) -> (Vec<PackedCode>, usize) {
    let width = |column: &CodeColumn| match column {
        CodeColumn::U8(_) => 1,
        CodeColumn::U16(_) => 2,
        CodeColumn::U32(_) => 4,
    };
    let mut packed_codes = vec![PackedCode { byte: 0, bytes: 1 }; codes.columns().len()];
    let mut byte = 0;
    for bytes in [4, 2, 1] {
        for (packed_code, column) in packed_codes.iter_mut().zip(codes.columns()) {
            if width(column) == bytes {
                *packed_code = PackedCode { byte, bytes };
                byte += bytes;
            }
        }
    }
    (packed_codes, (byte as usize).next_multiple_of(4))
}

/// Packs some rows.
fn pack(
    codes: &CodeTable,
    packed_codes: &[PackedCode],
    stride: usize,
    rows: Range<usize>,
    packed: &mut Vec<u8>,
) {
    packed.clear();
    packed.resize(stride * rows.len(), 0);
    for (packed_code, column) in packed_codes.iter().zip(codes.columns()) {
        let at = packed_code.byte as usize;
        let packed = packed.chunks_exact_mut(stride.max(1));
        match column {
            CodeColumn::U8(codes) => {
                let codes = &codes[rows.clone()];
                packed.zip(codes).for_each(|(row, code)| row[at] = *code);
            }
            CodeColumn::U16(codes) => packed
                .zip(&codes[rows.clone()])
                .for_each(|(row, code)| row[at..at + 2].copy_from_slice(&code.to_le_bytes())),
            CodeColumn::U32(codes) => packed
                .zip(&codes[rows.clone()])
                .for_each(|(row, code)| row[at..at + 4].copy_from_slice(&code.to_le_bytes())),
        }
    }
}
