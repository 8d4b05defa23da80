//! Several devices that sum over each other: who comes last adds up what all have, in their order.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use engine_kernels_cuda::driver::DevicePtr;
use engine_kernels_cuda::error::CudaError;

use super::lock;

/// How long a device waits for the others: longer means that they do not come.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
struct State {
    /// What each device brings to the sum that is being made.
    brought: Vec<Option<(DevicePtr, usize)>>,
    made: u64,
    is_given_up: bool,
    /// The sum that fails, on the device of this rank, if any.
    failing: Option<(usize, u64)>,
}

/// Devices that belong together.
#[derive(Debug, Default)]
pub(crate) struct Ranks {
    state: Mutex<State>,
    changed: Condvar,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Rank {
    pub(crate) all: Arc<Ranks>,
    pub(crate) rank: usize,
}

impl Ranks {
    pub(crate) fn new(count: usize) -> Arc<Self> {
        let ranks = Self::default();
        lock(&ranks.state).brought = vec![None; count];
        Arc::new(ranks)
    }

    pub(crate) fn give_up(&self) {
        lock(&self.state).is_given_up = true;
        self.changed.notify_all();
    }

    /// Sums made so far.
    pub(crate) fn made(&self) -> u64 {
        lock(&self.state).made
    }

    /// Lets the sum after `made` others fail on a device.
    pub(crate) fn fail(&self, rank: usize, made: u64) {
        lock(&self.state).failing = Some((rank, made));
    }
}

impl Rank {
    pub(crate) fn check(&self) -> Result<(), CudaError> {
        match lock(&self.all.state).is_given_up {
            true => Err(CudaError::GivenUp),
            false => Ok(()),
        }
    }

    /// Sums over all devices; waits for the others.
    pub(crate) fn sum(&self, buffer: DevicePtr, len: usize) -> Result<(), CudaError> {
        let mut state = lock(&self.all.state);
        if state.is_given_up {
            return Err(CudaError::GivenUp);
        }
        let number = state.made;
        if state.failing == Some((self.rank, number)) {
            return Err(CudaError::Driver {
                call: "a sum",
                reason: "it was made to fail".to_owned(),
            });
        }
        let before = state.brought[self.rank].replace((buffer, len));
        assert!(before.is_none(), "a device brings two summands to one sum");
        let brought: Option<Vec<_>> = state.brought.iter().copied().collect();
        if let Some(brought) = brought {
            add(&brought);
            state.brought.fill(None);
            state.made += 1;
            self.all.changed.notify_all();
            return Ok(());
        }
        while state.made == number && !state.is_given_up {
            let waited = self.all.changed.wait_timeout(state, PATIENCE).unwrap();
            assert!(
                !waited.1.timed_out(),
                "the other devices do not come to sum {number}"
            );
            state = waited.0;
        }
        if state.made == number {
            Err(CudaError::GivenUp)
        } else {
            Ok(())
        }
    }
}

fn add(brought: &[(DevicePtr, usize)]) {
    let len = brought[0].1;
    assert!(
        brought.iter().all(|(_, other)| *other == len),
        "summands differ in length: {brought:?}"
    );
    for i in 0..len {
        let at = |buffer: DevicePtr| (buffer as *mut f32).wrapping_add(i);
        // SAFETY: each device has checked that its memory is live, and waits while its buffers are read and written.
        unsafe {
            let sum = brought.iter().map(|(buffer, _)| at(*buffer).read()).sum::<f32>();
            brought.iter().for_each(|(buffer, _)| at(*buffer).write(sum));
        }
    }
}
