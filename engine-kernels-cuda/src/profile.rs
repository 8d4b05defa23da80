//! How long each launch of a step takes.

use std::time::{Duration, Instant};

use engine_core::backend::{BackendError, Buffer, Run};

use crate::backend::LaunchTime;
use crate::buffer::CudaBuffer;
use crate::checks;
use crate::error::CudaError;
use crate::executable::CudaExecutable;
use crate::kernels::OwnedLaunch;
use crate::running::Context;
use crate::shard::Shard;
use crate::step_graphs::submit;

/// Launches in a graph that times one, and how often it is launched.
const PROFILED: u32 = 64;
const PROFILED_RUNS: usize = 5;

impl CudaExecutable {
    /// Times each launch of a step: many of it are captured in a graph, and the graph is launched.
    pub(crate) fn profile(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<Vec<LaunchTime>, BackendError> {
        checks::check_counts(&self.program, resources.len(), inputs.len())?;
        let buffers = checks::buffers(&self.program, resources)?;
        let shard = Shard::whole(run);
        let inputs = self.bind(run, shard, &buffers, &checks::inputs(&self.program, inputs)?)?;
        let values = self.values(&inputs);
        self.begin(run, shard)?;
        let resources: Vec<&CudaBuffer> = buffers.iter().map(|b| &**b).collect();
        let cx = Context {
            run,
            shard,
            values: &values,
            resources: &resources,
        };
        let launches = self.launches(&cx, 0..self.nodes.len());
        submit(self.queue.as_mut(), 0, &launches.0)?;
        launches.0.iter().map(|launch| Ok(self.time(launch)?)).collect()
    }

    fn time(&mut self, launch: &OwnedLaunch) -> Result<LaunchTime, CudaError> {
        let queue = self.queue.as_mut();
        queue.begin_capture()?;
        for _ in 0..PROFILED {
            submit(queue, 0, std::slice::from_ref(launch))?;
        }
        let graph = queue.end_capture()?;
        let mut best = Duration::MAX;
        for _ in 0..PROFILED_RUNS {
            queue.synchronize()?;
            let begun = Instant::now();
            // SAFETY: the bound buffers live until the wait.
            unsafe { queue.launch_graph(graph)? };
            queue.synchronize()?;
            best = best.min(begun.elapsed() / PROFILED);
        }
        Ok(LaunchTime {
            kernel: launch.kernel,
            blocks: launch.grid.iter().map(|g| u64::from(*g)).product(),
            threads: launch.block,
            time: best,
        })
    }
}
