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
    /// Single precision numbers on the device.
    Numbers(usize),
    /// Codes or ranks, row-major.
    Words(Vec<u32>),
    /// An encoded table.
    Table(Arc<CodeTable>),
}

impl Contents {
    /// Rows of a table, elements of anything else.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Numbers(len) => *len,
            Self::Words(words) => words.len(),
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
    /// The memory on the device and the bytes of it that kernels see: they find the length of an array of words by them.
    pub(crate) fn binding(&self) -> Option<(wgpu::Buffer, u64)> {
        let buffer = self.buffer.clone()?;
        let bytes = match &self.contents {
            Contents::Words(words) => 4 * words.len().max(1) as u64,
            Contents::Numbers(_) | Contents::Table(_) => buffer.size(),
        };
        Some((buffer, bytes))
    }

    /// Puts data on the device. Tables of more than `largest_table` bytes stay on the host.
    pub(crate) fn new(gpu: &Arc<Gpu>, data: HostData, largest_table: u64) -> Result<Self, BackendError> {
        let (contents, buffer) = match data {
            HostData::F32(numbers) => {
                let buffer = gpu.storage_of("numbers", bytemuck::cast_slice(&numbers))?;
                (Contents::Numbers(numbers.len()), Some(buffer))
            }
            HostData::U32(words) => {
                let buffer = gpu.storage_of("codes", bytemuck::cast_slice(&words))?;
                (Contents::Words(words), Some(buffer))
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
            Contents::Numbers(len) => format!("{len} numbers"),
            Contents::Words(words) => format!("{} codes", words.len()),
            Contents::Table(table) => describe_table(table),
        }
    }

    /// Replaces numbers that were computed on the host.
    pub(crate) fn fill_numbers(&self, numbers: &[f32]) {
        if let Some(buffer) = &self.buffer {
            self.gpu.fill(buffer, bytemuck::cast_slice(numbers));
        }
        self.renew();
    }

    /// The numbers of a buffer that holds some.
    pub(crate) fn numbers(&self) -> Result<Vec<f32>, BackendError> {
        match (&self.contents, &self.buffer) {
            (Contents::Numbers(len), Some(buffer)) => self.gpu.read(buffer, *len),
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
            Contents::Numbers(_) => self.numbers().map(HostData::F32),
            Contents::Words(words) => Ok(HostData::U32(words.clone())),
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
            (Contents::Numbers(len), HostData::F32(numbers)) if *len == numbers.len() => {
                self.fill_numbers(numbers);
            }
            (Contents::Words(words), HostData::U32(new)) if words.len() == new.len() => {
                words.clone_from(new);
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
            (_, HostData::F32(new)) => return Err(mismatch(expected, format!("{} numbers", new.len()))),
            (_, HostData::U32(new)) => return Err(mismatch(expected, format!("{} codes", new.len()))),
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
