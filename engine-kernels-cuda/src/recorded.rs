//! Launches of a step for some bindings, and their recordings.

use crate::bindings::Bindings;
use crate::driver::{Launch, Queue};
use crate::error::CudaError;
use crate::kernels::OwnedLaunch;
use crate::schedule::Turn;

/// The launches of a step for some bindings, and the numbers of their recordings.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) bindings: Bindings,
    /// The launches of each stage, and those that end a step.
    pub(crate) stages: Vec<Vec<OwnedLaunch>>,
    pub(crate) end: Vec<OwnedLaunch>,
    pub(crate) single: Option<usize>,
    pub(crate) several: Option<usize>,
}

/// Puts launches into a lane.
pub(crate) fn submit(queue: &mut dyn Queue, lane: usize, launches: &[OwnedLaunch]) -> Result<(), CudaError> {
    for launch in launches {
        let launch = Launch {
            kernel: launch.kernel,
            grid: launch.grid,
            block: launch.block,
            shared: launch.shared,
            args: &launch.args,
        };
        // SAFETY: the arguments were filled for this kernel; the addresses are those of this program's memory and of
        // buffers that are bound for as long as the run lasts, which ends with a wait.
        unsafe { queue.launch(lane, &launch)? };
    }
    Ok(())
}

impl Recorded {
    /// Runs one step, one launch after another.
    pub(crate) fn submit(&self, queue: &mut dyn Queue) -> Result<(), CudaError> {
        for launches in self.stages.iter().chain([&self.end]) {
            submit(queue, 0, launches)?;
        }
        Ok(())
    }

    /// Records `steps` steps, each in several lanes that meet at its end.
    pub(crate) fn record(
        &self,
        queue: &mut dyn Queue,
        turns: &[Turn],
        steps: u32,
    ) -> Result<usize, CudaError> {
        let mut others: Vec<usize> = turns.iter().map(|t| t.lane).filter(|lane| *lane != 0).collect();
        others.sort_unstable();
        others.dedup();
        queue.begin_recording()?;
        for _ in 0..steps {
            for lane in &others {
                queue.order(0, *lane)?;
            }
            for (turn, launches) in turns.iter().zip(&self.stages) {
                for earlier in &turn.after {
                    queue.order(*earlier, turn.lane)?;
                }
                submit(queue, turn.lane, launches)?;
            }
            for lane in &others {
                queue.order(*lane, 0)?;
            }
            submit(queue, 0, &self.end)?;
        }
        queue.end_recording()
    }
}
