//! Launches of a step for some bindings, and the CUDA graphs that are captured from them.

use std::ops::Range;

use crate::bindings::Bindings;
use crate::driver::{Launch, Queue};
use crate::error::CudaError;
use crate::kernels::OwnedLaunch;
use crate::schedule::StreamSlot;

/// The launches of a step for some bindings, and the CUDA graphs that are captured from them, by number.
#[derive(Debug)]
pub(crate) struct StepGraphs {
    pub(crate) bindings: Bindings,
    /// The launches of each node, and those that end a step.
    nodes: Vec<Vec<OwnedLaunch>>,
    end: Vec<OwnedLaunch>,
    /// The graphs of a single step, segment by segment.
    segments: Vec<Option<usize>>,
    multi_step: Option<usize>,
}

/// Enqueues launches in a stream.
pub(crate) fn submit(
    queue: &mut dyn Queue,
    stream: usize,
    launches: &[OwnedLaunch],
) -> Result<(), CudaError> {
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
        unsafe { queue.launch(stream, &launch)? };
    }
    Ok(())
}

impl StepGraphs {
    pub(crate) fn new(bindings: Bindings, nodes: Vec<Vec<OwnedLaunch>>, end: Vec<OwnedLaunch>) -> Self {
        Self {
            bindings,
            nodes,
            end,
            segments: Vec::new(),
            multi_step: None,
        }
    }

    /// What ends a step, if these are its last nodes.
    fn end_of(&self, nodes: &Range<usize>) -> &[OwnedLaunch] {
        if nodes.end == self.nodes.len() {
            &self.end
        } else {
            &[]
        }
    }

    /// Runs some nodes of a step, one launch after another.
    pub(crate) fn submit(&self, queue: &mut dyn Queue, nodes: Range<usize>) -> Result<(), CudaError> {
        for launches in &self.nodes[nodes.clone()] {
            submit(queue, 0, launches)?;
        }
        submit(queue, 0, self.end_of(&nodes))
    }

    /// The graph of `count` steps.
    pub(crate) fn multi_step(
        &mut self,
        queue: &mut dyn Queue,
        stream_slots: &[StreamSlot],
        count: u32,
    ) -> Result<usize, CudaError> {
        if let Some(graph) = self.multi_step {
            return Ok(graph);
        }
        let graph = self.capture(queue, stream_slots, 0..self.nodes.len(), count)?;
        self.multi_step = Some(graph);
        Ok(graph)
    }

    /// The graph of segment `segment` of a step, which has these nodes; none when it is empty.
    pub(crate) fn segment(
        &mut self,
        queue: &mut dyn Queue,
        stream_slots: &[StreamSlot],
        segment: usize,
        nodes: Range<usize>,
    ) -> Result<Option<usize>, CudaError> {
        if nodes.is_empty() && self.end_of(&nodes).is_empty() {
            return Ok(None);
        }
        if self.segments.len() <= segment {
            self.segments.resize(segment + 1, None);
        }
        if self.segments[segment].is_none() {
            self.segments[segment] = Some(self.capture(queue, stream_slots, nodes, 1)?);
        }
        Ok(self.segments[segment])
    }

    /// Captures some nodes of `steps` steps, in several streams that are joined at the end.
    fn capture(
        &self,
        queue: &mut dyn Queue,
        stream_slots: &[StreamSlot],
        nodes: Range<usize>,
        steps: u32,
    ) -> Result<usize, CudaError> {
        let mut others: Vec<usize> = stream_slots
            .iter()
            .map(|t| t.stream)
            .filter(|stream| *stream != 0)
            .collect();
        others.sort_unstable();
        others.dedup();
        queue.begin_capture()?;
        for _ in 0..steps {
            for stream in &others {
                queue.order(0, *stream)?;
            }
            for (slot, launches) in stream_slots
                .iter()
                .zip(&self.nodes)
                .take(nodes.end)
                .skip(nodes.start)
            {
                for earlier in &slot.after {
                    queue.order(*earlier, slot.stream)?;
                }
                submit(queue, slot.stream, launches)?;
            }
            for stream in &others {
                queue.order(*stream, 0)?;
            }
            submit(queue, 0, self.end_of(&nodes))?;
        }
        queue.end_capture()
    }
}
