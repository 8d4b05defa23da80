//! How long each launch of a step takes.

use std::time::{Duration, Instant};

use engine_core::backend::{BackendError, Buffer, Run};

use crate::backend::LaunchTime;
use crate::buffer::CudaBuffer;
use crate::checks;
use crate::error::CudaError;
use crate::executable::CudaExecutable;
use crate::kernels::OwnedLaunch;
use crate::recorded::submit;
use crate::running::Context;
use crate::share::Share;

/// Launches in a recording that times one, and how often it is replayed.
const PROFILED: u32 = 64;
const PROFILED_RUNS: usize = 5;

impl CudaExecutable {
    /// Times each launch of a step: many of it are recorded, and the recording is replayed.
    pub(crate) fn profile(
        &mut self,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<Vec<LaunchTime>, BackendError> {
        checks::check_counts(&self.program, resources.len(), inputs.len())?;
        let buffers = checks::buffers(&self.program, resources)?;
        let share = Share::whole(run);
        let inputs = self.bind(run, share, &buffers, &checks::inputs(&self.program, inputs)?)?;
        let values = self.values(&inputs);
        self.begin(run, share)?;
        let resources: Vec<&CudaBuffer> = buffers.iter().map(|b| &**b).collect();
        let cx = Context {
            run,
            share,
            values: &values,
            resources: &resources,
        };
        let launches = self.launches(&cx, 0..self.stages.len());
        submit(self.queue.as_mut(), 0, &launches.0)?;
        launches.0.iter().map(|launch| Ok(self.time(launch)?)).collect()
    }

    fn time(&mut self, launch: &OwnedLaunch) -> Result<LaunchTime, CudaError> {
        let queue = self.queue.as_mut();
        queue.begin_recording()?;
        for _ in 0..PROFILED {
            submit(queue, 0, std::slice::from_ref(launch))?;
        }
        let recording = queue.end_recording()?;
        let mut best = Duration::MAX;
        for _ in 0..PROFILED_RUNS {
            queue.synchronize()?;
            let begun = Instant::now();
            // SAFETY: the bound buffers live until the wait.
            unsafe { queue.replay(recording)? };
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
