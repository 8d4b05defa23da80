//! How long each kernel of a step takes.

use std::time::{Duration, Instant};

use engine_core::backend::{BackendError, Buffer, Executable, Run};
use engine_core::ir::Program;

use crate::backend::WgpuBackend;
use crate::compiler::{Dispatch, Work};
use crate::executable::{Recorder, WgpuExecutable};

/// Launches of one kernel that are timed together, and how often.
const PROFILED: u32 = 128;
const PROFILED_RUNS: usize = 5;

/// Time of one launch.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchTime {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Workgroups.
    pub workgroups: u64,
    /// Time from one launch to the next in a submission of many.
    pub time: Duration,
}

impl WgpuBackend {
    /// How long each launch of a step of `program` takes, alone on the device. What the program writes is spoilt.
    ///
    /// # Errors
    /// As [`Executable::run`].
    pub fn profile(
        &self,
        program: &Program,
        run: &Run,
        resources: &mut [&mut dyn Buffer],
        inputs: &[&dyn Buffer],
    ) -> Result<Vec<LaunchTime>, BackendError> {
        let mut executable = self.executable(program, program.largest_rows(run))?;
        executable.run(run, resources, inputs)?;
        executable.profile(run)
    }
}

impl WgpuExecutable {
    /// Times each launch of a step that has run before.
    fn profile(&self, run: &Run) -> Result<Vec<LaunchTime>, BackendError> {
        let mut times = Vec::new();
        for (work, group) in self.work.iter().zip(&self.bound.groups) {
            if let (Work::Dispatch(dispatch) | Work::Gather { dispatch, .. }, Some(group)) = (work, group) {
                times.push(self.time(run, dispatch, group)?);
            }
        }
        Ok(times)
    }

    fn time(
        &self,
        run: &Run,
        dispatch: &Dispatch,
        group: &wgpu::BindGroup,
    ) -> Result<LaunchTime, BackendError> {
        let mut best = Duration::MAX;
        for _ in 0..=PROFILED_RUNS {
            let mut recorder = Recorder::new(&self.gpu);
            for _ in 0..PROFILED {
                self.launch(&mut recorder, dispatch, group, run, 0);
            }
            self.gpu.wait()?;
            let begun = Instant::now();
            recorder.submit();
            self.gpu.wait()?;
            best = best.min(begun.elapsed() / PROFILED);
        }
        let max_groups = self.gpu.limits.max_compute_workgroups_per_dimension;
        Ok(LaunchTime {
            kernel: dispatch.name,
            workgroups: dispatch
                .grid
                .size(dispatch.rows.count(run), max_groups)
                .iter()
                .product(),
            time: best,
        })
    }
}
