//! The backend: a thread pool and an instruction set.

use std::num::NonZeroUsize;
use std::sync::Arc;

use engine_core::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData};
use engine_core::ir::Program;
use thiserror::Error;

use crate::buffer::CpuBuffer;
use crate::executable::CpuExecutable;
use crate::isa::InstructionSet;

/// How a [`CpuBackend`] is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuOptions {
    /// Number of threads; `None` takes `RAYON_NUM_THREADS` or all cores.
    pub threads: Option<NonZeroUsize>,
    /// Instruction set; `None` takes the best of this processor.
    pub instruction_set: Option<InstructionSet>,
}

/// Why a CPU backend cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CpuError {
    /// The processor lacks the instruction set.
    #[error("this processor has no {}; leave the choice open or take one of: {}", wanted.name(), available.join(", "))]
    NoInstructionSet {
        /// The requested set.
        wanted: InstructionSet,
        /// Sets that the processor has.
        available: Vec<&'static str>,
    },
    /// The threads cannot be started.
    #[error("{threads} threads cannot be started: {source}; ask for fewer")]
    Threads {
        /// Requested number, 0 when left open.
        threads: usize,
        /// Why.
        source: rayon::ThreadPoolBuildError,
    },
}

/// Runs programs on the cores of this machine.
#[derive(Debug, Clone)]
pub struct CpuBackend {
    pub(crate) pool: Arc<rayon::ThreadPool>,
    pub(crate) set: InstructionSet,
}

impl CpuBackend {
    /// A backend with its own threads.
    ///
    /// # Errors
    /// [`CpuError`] when the processor lacks the instruction set or threads cannot be started.
    pub fn new(options: CpuOptions) -> Result<Self, CpuError> {
        let set = options.instruction_set.unwrap_or_else(InstructionSet::best);
        if !set.is_available() {
            let available = InstructionSet::available()
                .into_iter()
                .map(InstructionSet::name)
                .collect();
            return Err(CpuError::NoInstructionSet {
                wanted: set,
                available,
            });
        }
        let threads = options.threads.map_or(0, NonZeroUsize::get);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|i| format!("engine-cpu-{i}"))
            .build()
            .map_err(|source| CpuError::Threads { threads, source })?;
        Ok(Self {
            pool: Arc::new(pool),
            set,
        })
    }

    /// The instruction set in use.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

impl Backend for CpuBackend {
    fn device(&self) -> DeviceInfo {
        let (set, threads) = (self.set.name(), self.threads());
        let cores = if threads == 1 {
            "1 thread".to_owned()
        } else {
            format!("{threads} threads")
        };
        let device = format!("CPU, {set}, {cores}");
        DeviceInfo {
            backend: "cpu",
            device,
            parallelism: threads,
            memory: None,
            largest_buffer: None,
        }
    }

    fn compile(&self, program: &Program, max_rows: usize) -> Result<Box<dyn Executable>, BackendError> {
        Ok(Box::new(CpuExecutable::new(self, program, max_rows)?))
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        Ok(Box::new(CpuBuffer::new(data)))
    }
}
