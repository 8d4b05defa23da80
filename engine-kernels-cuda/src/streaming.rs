//! Batches of tables that lie in main memory. The rows of the next few steps are fetched into one half of a ring of device memory,
//! over the bus and in a lane of their own, while the steps that run read the other half.

use std::sync::Arc;

use crate::driver::{DevicePtr, Driver};
use crate::error::CudaError;
use crate::memory::Memory;

/// The lane in which rows are fetched; recordings use those below.
pub(crate) const FETCH_LANE: usize = crate::schedule::LANES;

/// Bytes of a ring at most, as long as a half holds a step.
const MOST_BYTES: usize = 256 << 20;

/// A ring as kernels see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingView {
    pub(crate) address: DevicePtr,
    /// Steps that it holds.
    pub(crate) steps: u32,
}

/// The ring in front of the table that a stage reads.
#[derive(Debug)]
struct Ring {
    stage: usize,
    memory: Memory,
    bytes: usize,
}

/// The rings of a program.
#[derive(Debug, Default)]
pub(crate) struct Rings {
    rings: Vec<Ring>,
    /// Steps of a half.
    half: u32,
}

impl Rings {
    /// Makes rings for the stages that read tables in main memory, each with the bytes of a step. Where the device has no room for them
    /// there are none, and rows are read where they lie.
    pub(crate) fn fit(
        &mut self,
        driver: &Arc<dyn Driver>,
        stages: &[(usize, usize)],
        most_steps: u32,
    ) -> Result<(), CudaError> {
        let largest = stages.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0).max(1);
        self.half =
            u32::try_from(MOST_BYTES / 2 / largest).map_or(most_steps, |steps| steps.clamp(1, most_steps));
        let is_fitting = |(ring, (stage, bytes)): (&Ring, &(usize, usize))| {
            ring.stage == *stage && self.bytes(*bytes) <= ring.bytes
        };
        if self.rings.len() == stages.len() && self.rings.iter().zip(stages).all(is_fitting) {
            return Ok(());
        }
        self.rings.clear();
        for (stage, bytes) in stages {
            let bytes = self.bytes(*bytes);
            match Memory::new(driver, bytes) {
                Ok(memory) => self.rings.push(Ring {
                    stage: *stage,
                    memory,
                    bytes,
                }),
                Err(error @ CudaError::OutOfMemory { .. }) => {
                    tracing::info!(%error, "batches are read from main memory when they are needed");
                    self.rings.clear();
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn bytes(&self, of_step: usize) -> usize {
        2 * self.half as usize * of_step
    }

    /// Steps that are fetched at a time, if any are.
    pub(crate) fn half(&self) -> Option<u32> {
        (!self.rings.is_empty()).then_some(self.half)
    }

    /// The ring of a stage.
    pub(crate) fn of(&self, stage: usize) -> Option<RingView> {
        let ring = self.rings.iter().find(|ring| ring.stage == stage)?;
        Some(RingView {
            address: ring.memory.address(),
            steps: 2 * self.half,
        })
    }

    /// Stages with a ring, and their rings.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, RingView)> + '_ {
        self.rings
            .iter()
            .filter_map(|ring| Some((ring.stage, self.of(ring.stage)?)))
    }
}
