//! The interface between the core and devices. One call runs a whole [`Program`], so dynamic dispatch costs nothing.
//!
//! A backend compiles a program once ([`Backend::compile`]), keeps buffers on its device ([`Backend::upload`]) and runs many
//! steps without a round trip to the host ([`Executable::run`]).

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::ir::Program;
use crate::remedy::Remedy;
use crate::schema::CodeTable;

/// Scalars of a run, the same for every device. A run executes the program `steps` times; all random numbers and all
/// per-step quantities follow from these.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Run {
    /// Seed of every random number.
    pub seed: u64,
    /// Global number of the first row (sequential reading, draws).
    pub first_row: u64,
    /// Number of the first step.
    pub first_step: u32,
    /// How many steps to run.
    pub steps: u32,
    /// Rows of a batch.
    pub rows: u32,
    /// Time steps of a batch, 1 for flat data. A value with time is time-major: row `t * rows + b` is time step t of batch row b.
    pub time: u32,
    /// Learning rate of these steps.
    pub learning_rate: f32,
    /// Number of the first time step, 0 for flat data: a caller that computes a sequence step by step counts it up.
    pub first_time: u32,
}

/// Time steps that a sequence may have: addresses of random numbers hold the number of a time step in 16 bits.
pub const MAX_TIME: u64 = 1 << 16;

/// Batch row and time step of a row of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowPlace {
    /// Row of the batch.
    pub batch_row: u32,
    /// Number of the time step, counted from the first of the sequence; 0 for flat data.
    pub time: u32,
}

const _: () = {
    assert!(size_of::<Run>() == 40);
    assert!(std::mem::offset_of!(Run, first_row) == 8);
    assert!(std::mem::offset_of!(Run, first_step) == 16);
    assert!(std::mem::offset_of!(Run, time) == 28);
    assert!(std::mem::offset_of!(Run, learning_rate) == 32);
    assert!(std::mem::offset_of!(Run, first_time) == 36);
};

impl Run {
    /// One step over `rows` rows with seed 0: an evaluation.
    pub fn evaluate(rows: u32) -> Self {
        Self {
            seed: 0,
            first_row: 0,
            first_step: 0,
            steps: 1,
            rows,
            time: 1,
            learning_rate: 0.0,
            first_time: 0,
        }
    }

    /// Batch row and time step of row `row` of a value that has one row per row of the batch (and per time step, where it has time).
    pub fn place(&self, row: usize) -> RowPlace {
        let batch = (self.rows as usize).max(1);
        RowPlace {
            batch_row: (row % batch) as u32,
            time: self.first_time + (row / batch) as u32,
        }
    }

    /// Global number of a row of the batch.
    pub fn global_row(&self, batch_row: u32) -> u64 {
        self.first_row + u64::from(batch_row)
    }

    /// The same run narrowed to its step number `first_step + index`.
    pub fn single(&self, index: u32) -> Self {
        let first_row = self.first_row + u64::from(index) * u64::from(self.rows);
        Self {
            first_step: self.first_step + index,
            first_row,
            steps: 1,
            ..*self
        }
    }
}

/// Data on the host, on its way to or from a device.
#[derive(Debug, Clone, PartialEq)]
pub enum HostData {
    /// Single precision, row-major.
    F32(Vec<f32>),
    /// Codes or ranks, row-major.
    U32(Vec<u32>),
    /// Codes of a table, column by column in the narrowest type.
    Codes(Arc<CodeTable>),
}

/// A buffer on a device.
pub trait Buffer: Any + Send + fmt::Debug {
    /// Copies the contents to the host.
    ///
    /// # Errors
    /// [`BackendError`] when the device fails.
    fn read(&self) -> Result<HostData, BackendError>;

    /// Replaces the contents; kind and length must stay the same.
    ///
    /// # Errors
    /// [`BackendError::BufferMismatch`] when they do not.
    fn write(&mut self, data: &HostData) -> Result<(), BackendError>;

    /// For downcasting in the backend that made it.
    fn as_any(&self) -> &dyn Any;

    /// For downcasting in the backend that made it.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}

/// A compiled program.
pub trait Executable: Send + fmt::Debug {
    /// Runs all steps of `run`. `resources` and `inputs` are bound in the program's order.
    ///
    /// # Errors
    /// [`BackendError`] when a binding does not fit or the device fails. After an error the contents of written
    /// resources are unspecified.
    fn run(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<(), BackendError>;

    /// Result `name` of the last step, `[rows, width]` row-major.
    ///
    /// # Errors
    /// [`BackendError::UnknownOutput`] when the program has no such result.
    fn output(&self, name: &str) -> Result<HostData, BackendError>;
}

/// What a backend says of its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name of the backend as users choose it, `cpu`.
    pub backend: &'static str,
    /// The hardware and the instruction set or driver in use.
    pub device: String,
    /// Threads or compute units.
    pub parallelism: usize,
    /// Memory in bytes, where known.
    pub memory: Option<u64>,
    /// Bytes of the largest buffer that kernels can use, where there is a limit beside memory.
    pub largest_buffer: Option<u64>,
}

impl DeviceInfo {
    /// Bytes that one buffer may have: those of the largest buffer, and not more than the memory; `None` where neither is known.
    pub fn buffer_limit(&self) -> Option<u64> {
        self.largest_buffer.into_iter().chain(self.memory).min()
    }
}

/// A device that compiles and runs programs.
pub trait Backend: Send + Sync + fmt::Debug {
    /// The device.
    fn device(&self) -> DeviceInfo;

    /// Compiles a program for values of at most `max_rows` rows: those of the batch, times time steps where a value has time.
    ///
    /// # Errors
    /// [`BackendError::UnsupportedOp`] when the backend lacks an op, [`BackendError::TooManyValues`] when an op takes or defines more
    /// values than a kernel can be given, [`BackendError::Limit`] when the program is too large for the device.
    fn compile(&self, program: &Program, max_rows: usize) -> Result<Box<dyn Executable>, BackendError>;

    /// Puts data on the device.
    ///
    /// # Errors
    /// [`BackendError`] when the device fails or its memory does not suffice.
    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError>;
}

/// What can go wrong on a device.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The backend has no kernel for an op.
    #[error("the {backend} backend has no kernel for op {op} of program {program:?}")]
    UnsupportedOp {
        /// The backend.
        backend: &'static str,
        /// The op.
        op: String,
        /// The program.
        program: String,
    },
    /// An op takes or defines more values, or touches more resources, than a kernel of the backend can be given.
    #[error(
        "op {op} of program {program:?} has {needed} {what}, a kernel of the {backend} backend can have {allowed}"
    )]
    TooManyValues {
        /// The backend.
        backend: &'static str,
        /// The op.
        op: String,
        /// The program.
        program: String,
        /// Inputs, outputs or buffers.
        what: &'static str,
        /// How many the op has.
        needed: usize,
        /// How many a kernel can have.
        allowed: usize,
    },
    /// A limit of the device is exceeded.
    #[error(
        "{what} needs {needed}, the {backend} backend allows {allowed}; use a smaller batch or another device"
    )]
    Limit {
        /// The backend.
        backend: &'static str,
        /// What exceeds the limit.
        what: String,
        /// What is needed.
        needed: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// A binding is missing or of the wrong kind or length.
    #[error("program {program:?}: binding {binding:?} must hold {expected}, holds {got}")]
    BufferMismatch {
        /// The program.
        program: String,
        /// Name of the resource or input.
        binding: String,
        /// What it must hold.
        expected: String,
        /// What it holds.
        got: String,
    },
    /// A result that the program does not have.
    #[error("program {program:?} has no result {name:?}")]
    UnknownOutput {
        /// The program.
        program: String,
        /// Name of the requested result.
        name: String,
    },
    /// A code lies outside its cardinality.
    #[error(
        "sub-column {sub_column} holds code {code}, its cardinality is {cardinality}; encode the table again with this model's statistics"
    )]
    CodeOutOfRange {
        /// Index of the sub-column.
        sub_column: usize,
        /// The code.
        code: usize,
        /// Number of codes.
        cardinality: usize,
    },
    /// The device or its driver failed.
    #[error("device {device} failed: {reason}")]
    Device {
        /// The device.
        device: String,
        /// What the driver says.
        reason: String,
        /// What can be done about it.
        remedies: Vec<Remedy>,
    },
}

impl BackendError {
    /// What a user can do about it, beside what the text says.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Self::UnsupportedOp { .. } => vec![Remedy::device("cpu")],
            Self::Device { remedies, .. } => remedies.clone(),
            _ => Vec::new(),
        }
    }
}
