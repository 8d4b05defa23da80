//! Scratch memory: one set of buffers per thread, sized when a program is compiled, so that a step allocates nothing.

use std::sync::{Mutex, PoisonError};

use crate::lanes::Lanes;

/// Sizes that kernels need, the largest of each.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScratchSize {
    /// Feature-major lanes.
    pub lanes: usize,
    /// Row-major values.
    pub floats: usize,
    /// Offsets in an arena.
    pub offsets: usize,
}

impl ScratchSize {
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            lanes: self.lanes.max(other.lanes),
            floats: self.floats.max(other.floats),
            offsets: self.offsets.max(other.offsets),
        }
    }
}

/// Buffers of one thread.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub lanes: Vec<Lanes>,
    pub floats: Vec<f32>,
    pub offsets: Vec<u64>,
}

/// Buffers of all threads.
#[derive(Debug)]
pub(crate) struct ScratchPool {
    threads: Vec<Mutex<Scratch>>,
}

impl ScratchPool {
    pub(crate) fn new(threads: usize, size: ScratchSize) -> Self {
        let one = || Scratch {
            lanes: vec![Lanes::ZERO; size.lanes],
            floats: vec![0.0; size.floats],
            offsets: vec![0; size.offsets],
        };
        Self {
            threads: (0..threads.max(1)).map(|_| Mutex::new(one())).collect(),
        }
    }

    /// Runs `f` with the buffers of the current thread. Their contents are arbitrary.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Scratch) -> R) -> R {
        let thread = rayon::current_thread_index().unwrap_or(0) % self.threads.len();
        // A poisoned lock only means that a kernel panicked; what the buffers hold is arbitrary anyway.
        let mut scratch = self.threads[thread]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        f(&mut scratch)
    }
}
