//! The interface between the core and devices. One call runs a whole [`Program`], so dynamic dispatch costs nothing.
//!
//! A backend compiles a program once ([`Backend::compile`]), keeps buffers on its device ([`Backend::upload`]) and runs many
//! steps without a round trip to the host ([`Executable::run`]).

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::ir::{Program, ResourceId};
use crate::remedy::Remedy;
use crate::schema::CodeTable;

pub use crate::ir::{MAX_TIME, RowPlace, Run};

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

/// What a backend checks of a program when it compiles or runs it.
impl Program {
    /// Checks the rows and the time steps of a run, for programs compiled for values of at most `max_rows` rows.
    ///
    /// # Errors
    /// [`BackendError::Limit`] when there are too many.
    pub fn check_rows(&self, backend: &'static str, run: &Run, max_rows: usize) -> Result<(), BackendError> {
        let rows = self.largest_rows(run) as u64;
        let times = u64::from(run.first_time) + u64::from(run.time);
        for (what, needed, allowed) in [
            (
                format!("a batch of program {:?}", self.name()),
                rows,
                max_rows as u64,
            ),
            (
                format!("a sequence of program {:?}, in time steps,", self.name()),
                times,
                MAX_TIME,
            ),
        ] {
            if needed > allowed {
                return Err(BackendError::Limit {
                    backend,
                    what,
                    needed,
                    allowed,
                });
            }
        }
        Ok(())
    }

    /// Checks that tables and arrays have the rows that a run reads; `len` returns the rows of what is bound to a resource.
    ///
    /// # Errors
    /// [`BackendError::BufferMismatch`] names the first resource that is too short.
    pub fn check_reading(&self, run: &Run, len: impl Fn(ResourceId) -> usize) -> Result<(), BackendError> {
        for (id, needed) in self.nodes().iter().filter_map(|node| node.op.rows_read(run)) {
            let got = len(id) as u64;
            if got < needed {
                return Err(BackendError::BufferMismatch {
                    program: self.name().to_owned(),
                    binding: self.resources()[id.index()].name.clone(),
                    expected: format!("{needed} rows"),
                    got: got.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Checks that no op has more inputs and outputs than a kernel can be given.
    ///
    /// # Errors
    /// [`BackendError::TooManyValues`] names the op.
    pub fn check_values(
        &self,
        backend: &'static str,
        inputs: usize,
        outputs: usize,
    ) -> Result<(), BackendError> {
        for node in self.nodes() {
            for (what, needed, allowed) in [
                ("inputs", node.inputs.len(), inputs),
                ("outputs", node.outputs.len(), outputs),
            ] {
                if needed > allowed {
                    return Err(BackendError::TooManyValues {
                        backend,
                        op: node.op.name().to_owned(),
                        program: self.name().to_owned(),
                        what,
                        needed,
                        allowed,
                    });
                }
            }
        }
        Ok(())
    }
}
