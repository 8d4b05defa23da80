//! Batches of tables that are in main memory. The rows of the next few steps are fetched into one half of a ring buffer on the device, in a
//! stream of their own, while the steps that run read the other half.

use std::sync::Arc;

use crate::driver::{DevicePtr, Driver};
use crate::error::CudaError;
use crate::memory::Memory;

/// The stream in which rows are fetched; captured graphs use those below.
pub(crate) const FETCH_STREAM: usize = crate::schedule::STREAMS;

/// Bytes of a ring at most, as long as a half holds a step.
const MAX_BYTES: usize = 256 << 20;

/// A ring as kernels see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingView {
    pub(crate) address: DevicePtr,
    /// Steps that it holds.
    pub(crate) steps: u32,
}

/// The ring in front of the table that a node reads.
#[derive(Debug)]
struct Ring {
    node: usize,
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
    /// Makes rings for the nodes that read tables in main memory, each with the bytes of a step. Where they do not fit into its memory
    /// there are none, and rows are read where they lie.
    pub(crate) fn fit(
        &mut self,
        driver: &Arc<dyn Driver>,
        nodes: &[(usize, usize)],
        max_steps: u32,
    ) -> Result<(), CudaError> {
        let largest = nodes.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0).max(1);
        self.half =
            u32::try_from(MAX_BYTES / 2 / largest).map_or(max_steps, |steps| steps.clamp(1, max_steps));
        let is_fitting = |(ring, (node, bytes)): (&Ring, &(usize, usize))| {
            ring.node == *node && self.bytes(*bytes) <= ring.bytes
        };
        if self.rings.len() == nodes.len() && self.rings.iter().zip(nodes).all(is_fitting) {
            return Ok(());
        }
        self.rings.clear();
        for (node, bytes) in nodes {
            let bytes = self.bytes(*bytes);
            match Memory::new(driver, bytes) {
                Ok(memory) => self.rings.push(Ring {
                    node: *node,
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

    /// The ring of a node.
    pub(crate) fn of(&self, node: usize) -> Option<RingView> {
        let ring = self.rings.iter().find(|ring| ring.node == node)?;
        Some(RingView {
            address: ring.memory.address(),
            steps: 2 * self.half,
        })
    }

    /// Nodes with a ring, and their rings.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, RingView)> + '_ {
        self.rings
            .iter()
            .filter_map(|ring| Some((ring.node, self.of(ring.node)?)))
    }
}
