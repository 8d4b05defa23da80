//! Buffers that outlive a run.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine_core::backend::{BackendError, Buffer, HostData};
use engine_core::schema::CodeTable;

use crate::gpu::Gpu;
use crate::table::{pack, packed_bytes};

/// Numbers of contents, each different.
static STAMPS: AtomicU64 = AtomicU64::new(0);

/// What a buffer holds. Codes are kept on the host as well: they are small, and are checked there before a kernel sees them.
#[derive(Debug)]
pub(crate) enum Contents {
    /// Single precision values on the device.
    F32(usize),
    /// Codes or ranks, row-major.
    U32(Vec<u32>),
    /// An encoded table.
    Table(Arc<CodeTable>),
}

impl Contents {
    /// Rows of a table, elements of anything else.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::F32(len) => *len,
            Self::U32(values) => values.len(),
            Self::Table(table) => table.rows(),
        }
    }
}

/// A buffer on a wgpu device.
#[derive(Debug)]
pub(crate) struct WgpuBuffer {
    gpu: Arc<Gpu>,
    pub(crate) contents: Contents,
    /// The memory on the device; `None` for a table that is streamed from the host.
    pub(crate) buffer: Option<wgpu::Buffer>,
    /// Changes whenever the host replaces the contents.
    stamp: AtomicU64,
}

fn next_stamp() -> u64 {
    STAMPS.fetch_add(1, Ordering::Relaxed)
}

impl WgpuBuffer {
    /// The memory on the device and the bytes of it that kernels see: they derive the length of a u32 array from them.
    pub(crate) fn binding(&self) -> Option<(wgpu::Buffer, u64)> {
        let buffer = self.buffer.clone()?;
        let bytes = match &self.contents {
            Contents::U32(values) => 4 * values.len().max(1) as u64,
            Contents::F32(_) | Contents::Table(_) => buffer.size(),
        };
        Some((buffer, bytes))
    }

    /// Puts data on the device. Tables of more than `largest_table` bytes stay on the host.
    pub(crate) fn new(gpu: &Arc<Gpu>, data: HostData, largest_table: u64) -> Result<Self, BackendError> {
        let (contents, buffer) = match data {
            HostData::F32(values) => {
                let buffer = gpu.storage_of("f32 values", bytemuck::cast_slice(&values))?;
                (Contents::F32(values.len()), Some(buffer))
            }
            HostData::U32(values) => {
                let buffer = gpu.storage_of("u32 values", bytemuck::cast_slice(&values))?;
                (Contents::U32(values), Some(buffer))
            }
            HostData::Codes(table) => (
                Contents::Table(Arc::clone(&table)),
                place(gpu, &table, largest_table)?,
            ),
        };
        gpu.check()?;
        Ok(Self {
            gpu: Arc::clone(gpu),
            contents,
            buffer,
            stamp: AtomicU64::new(next_stamp()),
        })
    }

    /// A number of its contents, as far as the host has replaced them.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp.load(Ordering::Relaxed)
    }

    fn renew(&self) {
        self.stamp.store(next_stamp(), Ordering::Relaxed);
    }

    /// What it holds, for errors.
    pub(crate) fn describe(&self) -> String {
        match &self.contents {
            Contents::F32(len) => format!("{len} f32 values"),
            Contents::U32(values) => format!("{} u32 values", values.len()),
            Contents::Table(table) => describe_table(table),
        }
    }

    /// Replaces f32 values that were computed on the host.
    pub(crate) fn fill_f32(&self, values: &[f32]) {
        if let Some(buffer) = &self.buffer {
            self.gpu.fill(buffer, bytemuck::cast_slice(values));
        }
        self.renew();
    }

    /// The values of an f32 buffer.
    pub(crate) fn read_f32(&self) -> Result<Vec<f32>, BackendError> {
        match (&self.contents, &self.buffer) {
            (Contents::F32(len), Some(buffer)) => self.gpu.read(buffer, *len),
            _ => Ok(Vec::new()),
        }
    }
}

/// Puts a table on the device if it fits.
fn place(gpu: &Gpu, table: &CodeTable, largest_table: u64) -> Result<Option<wgpu::Buffer>, BackendError> {
    let (needed, allowed) = (packed_bytes(table), gpu.largest_buffer().min(largest_table));
    if needed > allowed || u32::try_from(table.rows()).is_err() {
        tracing::warn!(
            needed,
            allowed,
            "the encoded table is too large for a buffer of the device: its batches are streamed from the host"
        );
        return Ok(None);
    }
    gpu.storage_of("the encoded table", bytemuck::cast_slice(&pack(table)))
        .map(Some)
}

fn describe_table(table: &CodeTable) -> String {
    format!(
        "a table of {} rows and {} sub-columns",
        table.rows(),
        table.columns().len()
    )
}

impl Buffer for WgpuBuffer {
    fn read(&self) -> Result<HostData, BackendError> {
        match &self.contents {
            Contents::F32(_) => self.read_f32().map(HostData::F32),
            Contents::U32(values) => Ok(HostData::U32(values.clone())),
            Contents::Table(table) => Ok(HostData::Codes(Arc::clone(table))),
        }
    }

    fn write(&mut self, data: &HostData) -> Result<(), BackendError> {
        let mismatch = |expected: String, got: String| BackendError::BufferMismatch {
            program: String::new(),
            binding: "buffer".to_owned(),
            expected,
            got,
        };
        let expected = self.describe();
        match (&mut self.contents, data) {
            (Contents::F32(len), HostData::F32(values)) if *len == values.len() => {
                self.fill_f32(values);
            }
            (Contents::U32(values), HostData::U32(new)) if values.len() == new.len() => {
                values.clone_from(new);
                if let Some(buffer) = &self.buffer {
                    self.gpu.fill(buffer, bytemuck::cast_slice(new));
                }
            }
            (Contents::Table(table), HostData::Codes(new))
                if table.rows() == new.rows() && packed_bytes(table) == packed_bytes(new) =>
            {
                *table = Arc::clone(new);
                if let Some(buffer) = &self.buffer {
                    self.gpu.fill(buffer, bytemuck::cast_slice(&pack(new)));
                }
            }
            (_, HostData::F32(new)) => return Err(mismatch(expected, format!("{} f32 values", new.len()))),
            (_, HostData::U32(new)) => return Err(mismatch(expected, format!("{} u32 values", new.len()))),
            (_, HostData::Codes(new)) => return Err(mismatch(expected, describe_table(new))),
        }
        self.renew();
        self.gpu.check()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
