//! Device copies of a folded model that threads borrow one at a time, each with the programs that it has compiled.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::plan::SamplePlan;
use crate::backend::{Backend, BackendError, HostData};
use crate::device_buffers::{Compiled, DeviceBuffers};
use crate::ir::ops::sampling::SampleInputs;

/// Name of the folded arena among the resources of a sampling program.
const FOLDED: &str = "folded";
/// Elements of the largest folded arena of which each thread gets a copy of its own (32 MiB).
const MAX_COPIED_ARENA: usize = 8 << 20;
/// Compiled programs that are kept for later calls, in each worker.
const KEPT_PROGRAMS: usize = 64;

/// The workers of one model. Small models get a worker for each thread of the device, made when it is first needed; of a large one there
/// is a single copy, for which threads wait.
#[derive(Debug)]
pub(super) struct Workers {
    backend: Arc<dyn Backend>,
    /// The folded arena, where further workers get copies of their own.
    arena: Option<Vec<f32>>,
    pool: Mutex<Pool>,
    returned: Condvar,
}

#[derive(Debug)]
struct Pool {
    idle: Vec<Worker>,
    /// How many more may be made.
    to_come: usize,
}

/// What one thread at a time works with.
#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) buffers: DeviceBuffers,
    programs: Vec<Program>,
}

/// A compiled plan.
#[derive(Debug)]
struct Program {
    plan: u64,
    inputs: SampleInputs,
    max_rows: usize,
    compiled: Compiled,
}

impl Workers {
    /// The workers of a folded arena.
    pub(super) fn new(backend: Arc<dyn Backend>, arena: Vec<f32>) -> Result<Self, BackendError> {
        let further = backend.device().parallelism.saturating_sub(1);
        let is_copied = arena.len() <= MAX_COPIED_ARENA && further > 0;
        let kept = is_copied.then(|| arena.clone());
        let mut worker = Worker::default();
        worker
            .buffers
            .upload(backend.as_ref(), FOLDED, HostData::F32(arena))?;
        Ok(Self {
            backend,
            arena: kept,
            pool: Mutex::new(Pool {
                idle: vec![worker],
                to_come: if is_copied { further } else { 0 },
            }),
            returned: Condvar::new(),
        })
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle worker, a new one, or the first that another thread gives back.
    pub(super) fn borrow(&self) -> Result<Borrowed<'_>, BackendError> {
        let mut pool = self.pool();
        loop {
            if let Some(worker) = pool.idle.pop() {
                return Ok(Borrowed {
                    workers: self,
                    worker,
                });
            }
            if let Some(arena) = self.arena.as_ref().filter(|_| pool.to_come > 0) {
                pool.to_come -= 1;
                drop(pool);
                let mut worker = Worker::default();
                let data = HostData::F32(arena.clone());
                if let Err(error) = worker.buffers.upload(self.backend.as_ref(), FOLDED, data) {
                    self.pool().to_come += 1;
                    return Err(error);
                }
                return Ok(Borrowed {
                    workers: self,
                    worker,
                });
            }
            pool = self.returned.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Worker {
    /// The compiled program of a plan for at least `rows` rows, with the buffers that it runs over; `compile` makes it for at least as
    /// many, and says for how many. Of many programs the one that was not used for longest goes.
    pub(super) fn program<E>(
        &mut self,
        plan: &SamplePlan,
        inputs: SampleInputs,
        rows: usize,
        compile: impl FnOnce() -> Result<(Compiled, usize), E>,
    ) -> Result<(&mut Compiled, &mut DeviceBuffers), E> {
        let programs = &mut self.programs;
        let fits = |p: &Program| p.plan == plan.id && p.inputs == inputs && p.max_rows >= rows;
        let program = match programs.iter().position(fits) {
            Some(found) => programs.remove(found),
            None => {
                let (compiled, max_rows) = compile()?;
                programs.retain(|p| p.plan != plan.id || p.inputs != inputs || p.max_rows > max_rows);
                Program {
                    plan: plan.id,
                    inputs,
                    max_rows,
                    compiled,
                }
            }
        };
        if programs.len() >= KEPT_PROGRAMS {
            programs.remove(0);
        }
        programs.push(program);
        let last = programs.len() - 1;
        Ok((&mut programs[last].compiled, &mut self.buffers))
    }
}

/// A worker that goes back when it is dropped.
pub(super) struct Borrowed<'w> {
    workers: &'w Workers,
    worker: Worker,
}

impl Deref for Borrowed<'_> {
    type Target = Worker;

    fn deref(&self) -> &Worker {
        &self.worker
    }
}

impl DerefMut for Borrowed<'_> {
    fn deref_mut(&mut self) -> &mut Worker {
        &mut self.worker
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let worker = std::mem::take(&mut self.worker);
        self.workers.pool().idle.push(worker);
        self.workers.returned.notify_one();
    }
}
