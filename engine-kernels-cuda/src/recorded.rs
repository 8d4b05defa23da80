//! Launches of a step for some bindings, and their recordings.

use std::ops::Range;

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
    stages: Vec<Vec<OwnedLaunch>>,
    end: Vec<OwnedLaunch>,
    /// A step, part by part.
    parts: Vec<Option<usize>>,
    several: Option<usize>,
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
    pub(crate) fn new(bindings: Bindings, stages: Vec<Vec<OwnedLaunch>>, end: Vec<OwnedLaunch>) -> Self {
        Self {
            bindings,
            stages,
            end,
            parts: Vec::new(),
            several: None,
        }
    }

    /// What ends a step, if these are its last stages.
    fn end_of(&self, stages: &Range<usize>) -> &[OwnedLaunch] {
        if stages.end == self.stages.len() {
            &self.end
        } else {
            &[]
        }
    }

    /// Runs some stages of a step, one launch after another.
    pub(crate) fn submit(&self, queue: &mut dyn Queue, stages: Range<usize>) -> Result<(), CudaError> {
        for launches in &self.stages[stages.clone()] {
            submit(queue, 0, launches)?;
        }
        submit(queue, 0, self.end_of(&stages))
    }

    /// The recording of `count` steps.
    pub(crate) fn several(
        &mut self,
        queue: &mut dyn Queue,
        turns: &[Turn],
        count: u32,
    ) -> Result<usize, CudaError> {
        if let Some(recording) = self.several {
            return Ok(recording);
        }
        let recording = self.record(queue, turns, 0..self.stages.len(), count)?;
        self.several = Some(recording);
        Ok(recording)
    }

    /// The recording of part `part` of a step, which has these stages; none when it is empty.
    pub(crate) fn part(
        &mut self,
        queue: &mut dyn Queue,
        turns: &[Turn],
        part: usize,
        stages: Range<usize>,
    ) -> Result<Option<usize>, CudaError> {
        if stages.is_empty() && self.end_of(&stages).is_empty() {
            return Ok(None);
        }
        if self.parts.len() <= part {
            self.parts.resize(part + 1, None);
        }
        if self.parts[part].is_none() {
            self.parts[part] = Some(self.record(queue, turns, stages, 1)?);
        }
        Ok(self.parts[part])
    }

    /// Records some stages of `steps` steps, in several lanes that meet at their end.
    fn record(
        &self,
        queue: &mut dyn Queue,
        turns: &[Turn],
        stages: Range<usize>,
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
            for (turn, launches) in turns.iter().zip(&self.stages).take(stages.end).skip(stages.start) {
                for earlier in &turn.after {
                    queue.order(*earlier, turn.lane)?;
                }
                submit(queue, turn.lane, launches)?;
            }
            for lane in &others {
                queue.order(*lane, 0)?;
            }
            submit(queue, 0, self.end_of(&stages))?;
        }
        queue.end_recording()
    }
}
