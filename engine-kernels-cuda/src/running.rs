//! How the steps of a run get to the device: CUDA graphs that are launched, rows fetched ahead, sums over devices.

use std::ops::Range;

use engine_core::backend::Run;
use engine_core::ir::ResourceId;

use crate::bindings::Bindings;
use crate::buffer::CudaBuffer;
use crate::driver::DevicePtr;
use crate::error::CudaError;
use crate::executable::{CudaExecutable, StepSegment};
use crate::fused_nodes::FusedNode;
use crate::kernels::{Bound, Launches, fetch_rows, next_step};
use crate::memory::Memory;
use crate::shard::Shard;
use crate::step_graphs::{StepGraphs, submit};
use crate::steps;
use crate::streaming::FETCH_STREAM;

/// Steps of one graph where a run is long enough.
const STEPS_CAPTURED: u32 = 8;

/// What launches are made for.
pub(crate) struct Context<'a> {
    pub(crate) run: &'a Run,
    pub(crate) shard: Shard,
    pub(crate) values: &'a [DevicePtr],
    pub(crate) resources: &'a [&'a CudaBuffer],
}

impl Context<'_> {
    fn f32(&self, resource: ResourceId) -> Option<(DevicePtr, usize)> {
        self.resources[resource.index()].f32()
    }
}

impl CudaExecutable {
    /// Puts the scalars of all steps on the device.
    pub(crate) fn begin(&mut self, run: &Run, shard: Shard) -> Result<(), CudaError> {
        if run.steps as usize > self.max_steps {
            self.max_steps = (run.steps as usize).next_power_of_two();
            self.steps = Memory::new(&self.driver, steps::table_bytes(self.max_steps))?;
            self.forget();
        }
        steps::table(run, shard, self.optimizer.as_ref(), &mut self.table);
        // SAFETY: the memory is large enough for all steps of the run, and nothing runs.
        unsafe { self.queue.upload(self.steps.address(), &self.table) }
    }

    fn forget(&mut self) {
        self.graphs = None;
        self.queue.clear_graphs();
    }

    /// Allocates the rings into which rows are fetched ahead.
    pub(crate) fn make_rings(&mut self, shard: Shard, resources: &[&CudaBuffer]) -> Result<(), CudaError> {
        let bytes = |(at, node): (usize, &FusedNode)| {
            let table = resources[node.kernel.gathers()?.table.index()].table()?;
            let is_fetched = self.fetch_ahead && table.is_streamed();
            is_fetched.then_some((at, shard.rows as usize * table.stride as usize))
        };
        let nodes: Vec<(usize, usize)> = self.nodes.iter().enumerate().filter_map(bytes).collect();
        self.rings.fit(&self.driver, &nodes, STEPS_CAPTURED)
    }

    fn bound<'a>(&'a self, cx: &'a Context<'_>, node: usize) -> Bound<'a> {
        Bound {
            program: &self.program,
            shard: cx.shard,
            values: cx.values,
            resources: cx.resources,
            steps: self.steps.address(),
            fault: self.fault.address(),
            inputs: &self.nodes[node].inputs,
            outputs: &self.nodes[node].outputs,
            ring: self.rings.of(node),
        }
    }

    /// The launches of some nodes.
    pub(crate) fn launches(&self, cx: &Context<'_>, nodes: Range<usize>) -> Launches {
        let mut launches = Launches::default();
        for node in nodes {
            self.nodes[node]
                .kernel
                .launch(&self.bound(cx, node), &mut launches);
        }
        launches
    }

    /// Runs all steps, by captured graphs where there are several.
    pub(crate) fn run_launches(&mut self, cx: &Context<'_>, bindings: Bindings) -> Result<(), CudaError> {
        let mut graphs = match self.graphs.take() {
            Some(graphs) if graphs.bindings == bindings => graphs,
            _ => {
                self.forget();
                let mut end = Launches::default();
                next_step(self.steps.address(), &mut end);
                let launches = |node| self.launches(cx, node..node + 1).0;
                let nodes = (0..self.nodes.len()).map(launches).collect();
                StepGraphs::new(bindings, nodes, end.0)
            }
        };
        if self.segments.len() > 1 && cx.run.steps > 1 {
            // All at once: capturing a graph allocates memory, for which the driver may wait until a sum that waits for others has ended.
            for (segment, StepSegment { nodes, .. }) in self.segments.iter().enumerate() {
                graphs.segment(self.queue.as_mut(), &self.stream_slots, segment, nodes.clone())?;
            }
        }
        self.run_groups(cx, &mut graphs)?;
        self.sum_traces(cx)?;
        self.graphs = Some(graphs);
        Ok(())
    }

    /// Runs the steps, as many at a time as rows are fetched ahead.
    fn run_groups(&mut self, cx: &Context<'_>, graphs: &mut StepGraphs) -> Result<(), CudaError> {
        let steps = cx.run.steps;
        let Some(half) = self.rings.half() else {
            return self.run_steps(cx, graphs, steps);
        };
        self.queue.order(0, FETCH_STREAM)?;
        self.fetch(cx, 0..half.min(steps))?;
        for first in (0..steps).step_by(half as usize) {
            let end = steps.min(first + half);
            self.queue.order(FETCH_STREAM, 0)?;
            if end < steps {
                // The half that is filled next was read by the steps before these.
                self.queue.order(0, FETCH_STREAM)?;
                self.fetch(cx, end..steps.min(end + half))?;
            }
            self.run_steps(cx, graphs, end - first)?;
        }
        Ok(())
    }

    /// Fetches the rows of some steps into the rings.
    fn fetch(&mut self, cx: &Context<'_>, steps: Range<u32>) -> Result<(), CudaError> {
        let mut launches = Launches::default();
        for (node, _) in self.rings.all() {
            if let Some(op) = self.nodes[node].kernel.gathers() {
                fetch_rows(op, &self.bound(cx, node), steps.clone(), &mut launches);
            }
        }
        submit(self.queue.as_mut(), FETCH_STREAM, &launches.0)
    }

    /// Runs the next `count` steps.
    fn run_steps(&mut self, cx: &Context<'_>, graphs: &mut StepGraphs, count: u32) -> Result<(), CudaError> {
        let group = self.rings.half().unwrap_or(STEPS_CAPTURED);
        let several = if self.segments.len() == 1 {
            count / group
        } else {
            0
        };
        if several > 0 {
            let graph = graphs.multi_step(self.queue.as_mut(), &self.stream_slots, group)?;
            for _ in 0..several {
                // SAFETY: the bindings are those of the graph, and their memory is alive.
                unsafe { self.queue.launch_graph(graph)? };
            }
        }
        for _ in several * group..count {
            self.run_step(cx, graphs)?;
        }
        Ok(())
    }

    /// Runs one step, with sums over devices where it has some.
    fn run_step(&mut self, cx: &Context<'_>, graphs: &mut StepGraphs) -> Result<(), CudaError> {
        for (segment, StepSegment { nodes, sums }) in self.segments.iter().enumerate() {
            let queue = self.queue.as_mut();
            if cx.run.steps == 1 {
                graphs.submit(queue, nodes.clone())?;
            } else if let Some(graph) = graphs.segment(queue, &self.stream_slots, segment, nodes.clone())? {
                // SAFETY: the bindings are those of the graph, and their memory is alive.
                unsafe { queue.launch_graph(graph)? };
            }
            for (address, len) in sums.iter().filter_map(|resource| cx.f32(*resource)) {
                // SAFETY: the resource has that length, and is bound until the run has ended with a wait.
                unsafe { queue.sum_over_ranks(address, len)? };
            }
        }
        Ok(())
    }

    /// Sums the traces, of which each device has the segment of its own rows.
    fn sum_traces(&mut self, cx: &Context<'_>) -> Result<(), CudaError> {
        for (address, len) in self.traces.iter().filter_map(|trace| cx.f32(*trace)) {
            // SAFETY: as above; each step has written its element.
            unsafe {
                self.queue
                    .sum_over_ranks(address, len.min(cx.run.steps as usize))?
            };
        }
        Ok(())
    }
}
