//! How the steps of a run get to the device: recordings that are replayed, rows fetched ahead, sums over devices.

use std::ops::Range;

use engine_core::backend::Run;
use engine_core::ir::ResourceId;

use crate::bindings::Bindings;
use crate::buffer::CudaBuffer;
use crate::driver::DevicePtr;
use crate::error::CudaError;
use crate::executable::{CudaExecutable, Part};
use crate::kernels::{Bound, Launches, fetch_rows, next_step};
use crate::memory::Memory;
use crate::recorded::{Recorded, submit};
use crate::share::Share;
use crate::stages::Stage;
use crate::steps;
use crate::streaming::FETCH_LANE;

/// Steps that one recording holds where a run is long enough.
const STEPS_RECORDED: u32 = 8;

/// What launches are made for.
pub(crate) struct Context<'a> {
    pub(crate) run: &'a Run,
    pub(crate) share: Share,
    pub(crate) values: &'a [DevicePtr],
    pub(crate) resources: &'a [&'a CudaBuffer],
}

impl Context<'_> {
    fn numbers(&self, resource: ResourceId) -> Option<(DevicePtr, usize)> {
        self.resources[resource.index()].numbers()
    }
}

impl CudaExecutable {
    /// Puts the scalars of all steps on the device.
    pub(crate) fn begin(&mut self, run: &Run, share: Share) -> Result<(), CudaError> {
        if run.steps as usize > self.most_steps {
            self.most_steps = (run.steps as usize).next_power_of_two();
            self.steps = Memory::new(&self.driver, steps::table_bytes(self.most_steps))?;
            self.forget();
        }
        steps::table(run, share, self.optimizer.as_ref(), &mut self.table);
        // SAFETY: the memory has room for all steps of the run, and nothing runs.
        unsafe { self.queue.upload(self.steps.address(), &self.table) }
    }

    fn forget(&mut self) {
        self.recorded = None;
        self.queue.clear_recordings();
    }

    /// Makes room for rows that are fetched ahead.
    pub(crate) fn make_rings(&mut self, share: Share, resources: &[&CudaBuffer]) -> Result<(), CudaError> {
        let bytes = |(at, stage): (usize, &Stage)| {
            let table = resources[stage.kernel.gathers()?.table.index()].table()?;
            let is_fetched = self.fetch_ahead && table.is_streamed();
            is_fetched.then_some((at, share.rows as usize * table.stride as usize))
        };
        let stages: Vec<(usize, usize)> = self.stages.iter().enumerate().filter_map(bytes).collect();
        self.rings.fit(&self.driver, &stages, STEPS_RECORDED)
    }

    fn bound<'a>(&'a self, cx: &'a Context<'_>, stage: usize) -> Bound<'a> {
        Bound {
            program: &self.program,
            share: cx.share,
            values: cx.values,
            resources: cx.resources,
            steps: self.steps.address(),
            fault: self.fault.address(),
            inputs: &self.stages[stage].inputs,
            outputs: &self.stages[stage].outputs,
            ring: self.rings.of(stage),
        }
    }

    /// The launches of some stages.
    pub(crate) fn launches(&self, cx: &Context<'_>, stages: Range<usize>) -> Launches {
        let mut launches = Launches::default();
        for stage in stages {
            self.stages[stage]
                .kernel
                .launch(&self.bound(cx, stage), &mut launches);
        }
        launches
    }

    /// Runs all steps by launches, recorded ones where there are several.
    pub(crate) fn run_launches(&mut self, cx: &Context<'_>, bindings: Bindings) -> Result<(), CudaError> {
        let mut recorded = match self.recorded.take() {
            Some(recorded) if recorded.bindings == bindings => recorded,
            _ => {
                self.forget();
                let mut end = Launches::default();
                next_step(self.steps.address(), &mut end);
                let launches = |stage| self.launches(cx, stage..stage + 1).0;
                let stages = (0..self.stages.len()).map(launches).collect();
                Recorded::new(bindings, stages, end.0)
            }
        };
        if self.parts.len() > 1 && cx.run.steps > 1 {
            // All at once: to make a recording takes memory, for which the driver may wait until a sum that waits for others has ended.
            for (part, Part { stages, .. }) in self.parts.iter().enumerate() {
                recorded.part(self.queue.as_mut(), &self.turns, part, stages.clone())?;
            }
        }
        self.run_groups(cx, &mut recorded)?;
        self.sum_traces(cx)?;
        self.recorded = Some(recorded);
        Ok(())
    }

    /// Runs the steps, as many at a time as rows are fetched ahead.
    fn run_groups(&mut self, cx: &Context<'_>, recorded: &mut Recorded) -> Result<(), CudaError> {
        let steps = cx.run.steps;
        let Some(half) = self.rings.half() else {
            return self.run_steps(cx, recorded, steps);
        };
        self.queue.order(0, FETCH_LANE)?;
        self.fetch(cx, 0..half.min(steps))?;
        for first in (0..steps).step_by(half as usize) {
            let end = steps.min(first + half);
            self.queue.order(FETCH_LANE, 0)?;
            if end < steps {
                // The half that is filled next was read by the steps before these.
                self.queue.order(0, FETCH_LANE)?;
                self.fetch(cx, end..steps.min(end + half))?;
            }
            self.run_steps(cx, recorded, end - first)?;
        }
        Ok(())
    }

    /// Fetches the rows of some steps into the rings.
    fn fetch(&mut self, cx: &Context<'_>, steps: Range<u32>) -> Result<(), CudaError> {
        let mut launches = Launches::default();
        for (stage, _) in self.rings.all() {
            if let Some(op) = self.stages[stage].kernel.gathers() {
                fetch_rows(op, &self.bound(cx, stage), steps.clone(), &mut launches);
            }
        }
        submit(self.queue.as_mut(), FETCH_LANE, &launches.0)
    }

    /// Runs the next `count` steps.
    fn run_steps(&mut self, cx: &Context<'_>, recorded: &mut Recorded, count: u32) -> Result<(), CudaError> {
        let group = self.rings.half().unwrap_or(STEPS_RECORDED);
        let several = if self.parts.len() == 1 { count / group } else { 0 };
        if several > 0 {
            let recording = recorded.several(self.queue.as_mut(), &self.turns, group)?;
            for _ in 0..several {
                // SAFETY: the bindings are those of the recording, and their memory is alive.
                unsafe { self.queue.replay(recording)? };
            }
        }
        for _ in several * group..count {
            self.run_step(cx, recorded)?;
        }
        Ok(())
    }

    /// Runs one step, with sums over devices where it has some.
    fn run_step(&mut self, cx: &Context<'_>, recorded: &mut Recorded) -> Result<(), CudaError> {
        for (part, Part { stages, sums }) in self.parts.iter().enumerate() {
            let queue = self.queue.as_mut();
            if cx.run.steps == 1 {
                recorded.submit(queue, stages.clone())?;
            } else if let Some(recording) = recorded.part(queue, &self.turns, part, stages.clone())? {
                // SAFETY: the bindings are those of the recording, and their memory is alive.
                unsafe { queue.replay(recording)? };
            }
            for (address, len) in sums.iter().filter_map(|resource| cx.numbers(*resource)) {
                // SAFETY: the resource holds so many numbers, and is bound until the run has ended with a wait.
                unsafe { queue.sum_over_ranks(address, len)? };
            }
        }
        Ok(())
    }

    /// Sums what the devices have recorded of their rows.
    fn sum_traces(&mut self, cx: &Context<'_>) -> Result<(), CudaError> {
        for (address, len) in self.traces.iter().filter_map(|trace| cx.numbers(*trace)) {
            // SAFETY: as above; each step has written its number.
            unsafe {
                self.queue
                    .sum_over_ranks(address, len.min(cx.run.steps as usize))?
            };
        }
        Ok(())
    }
}
