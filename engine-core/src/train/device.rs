//! The device side of training: compiled programs over data, parameters and moments that stay on the device.

use super::error::TrainError;
use super::heuristics::TrainPlan;
use super::programs::{TrainData, TrainPrograms};
use crate::backend::{Backend, BackendError, HostData, Run};
use crate::device_buffers::{Compiled, DeviceBuffers};

/// Steps that a run has at most.
const TRACE_LEN: usize = 256;

/// Parameters and moments at the start.
pub(super) struct Weights {
    pub(super) params: Vec<f32>,
    pub(super) first_moments: Vec<f32>,
    pub(super) second_moments: Vec<f32>,
}

/// An optimiser step: in one program, or micro-batches and then the update.
enum Step {
    Whole(Compiled),
    Accumulated { gradient: Compiled, update: Compiled },
}

pub(super) struct TrainDevice {
    step: Step,
    validation: Compiled,
    buffers: DeviceBuffers,
    plan: TrainPlan,
    validation_rows: usize,
    trace_len: usize,
}

impl TrainDevice {
    /// Compiles the programs and uploads everything.
    pub(super) fn new(
        backend: &dyn Backend,
        programs: &TrainPrograms,
        plan: TrainPlan,
        (training, validation): (&TrainData, &TrainData),
        weights: Weights,
    ) -> Result<Self, TrainError> {
        let step = if plan.micro_batches == 1 {
            Step::Whole(Compiled::new(
                backend,
                &programs.training_step()?,
                plan.batch_size,
            )?)
        } else {
            let (gradient, update) = (programs.gradient(plan.micro_batches as u32)?, programs.update()?);
            Step::Accumulated {
                gradient: Compiled::new(backend, &gradient, plan.batch_size)?,
                update: Compiled::new(backend, &update, 1)?,
            }
        };
        let program = programs.validation()?;
        let mut compiled = Compiled::new(backend, &program, plan.validation_batch_size)?;
        let trace_len = TRACE_LEN.max(plan.micro_batches);
        let mut buffers = DeviceBuffers::default();
        for (name, data) in &training.resources {
            buffers.upload(backend, *name, data.clone())?;
        }
        for (name, data) in &validation.resources {
            // Both losses may call their data alike.
            let of_validation = format!("validation.{name}");
            compiled = compiled.renamed(name, &of_validation);
            buffers.upload(backend, of_validation, data.clone())?;
        }
        for (name, data) in [
            ("params.grads", HostData::F32(vec![0.0; weights.params.len()])),
            ("params", HostData::F32(weights.params)),
            ("first_moments", HostData::F32(weights.first_moments)),
            ("second_moments", HostData::F32(weights.second_moments)),
            ("trace", HostData::F32(vec![0.0; trace_len])),
        ] {
            buffers.upload(backend, name, data)?;
        }
        Ok(Self {
            step,
            validation: compiled,
            buffers,
            plan,
            validation_rows: validation.rows,
            trace_len,
        })
    }

    /// Optimiser steps that [`Self::steps`] takes at most at once.
    pub(super) fn longest_run(&self) -> u64 {
        (self.trace_len / self.plan.micro_batches) as u64
    }

    /// Makes `count` optimiser steps from number `first` on; gives the sum of the losses of each step's rows.
    pub(super) fn steps(
        &mut self,
        seed: u64,
        first: u64,
        count: u64,
        learning_rate: f64,
    ) -> Result<Vec<f64>, BackendError> {
        let micro_batches = self.plan.micro_batches;
        let run = Run {
            seed,
            first_step: first as u32,
            steps: count as u32,
            learning_rate: learning_rate as f32,
            ..Run::evaluate(self.plan.batch_size as u32)
        };
        match &mut self.step {
            Step::Whole(program) => {
                program.run(&run, &mut self.buffers, &[])?;
                self.trace(count as usize)
            }
            Step::Accumulated { gradient, update } => {
                let mut losses = Vec::with_capacity(count as usize);
                for step in first..first + count {
                    let micro = Run {
                        first_step: (step * micro_batches as u64) as u32,
                        steps: micro_batches as u32,
                        ..run
                    };
                    gradient.run(&micro, &mut self.buffers, &[])?;
                    let single = Run {
                        first_step: step as u32,
                        steps: 1,
                        rows: 1,
                        ..run
                    };
                    update.run(&single, &mut self.buffers, &[])?;
                    let trace = self.buffers.read_f32("trace")?;
                    losses.push(trace[..micro_batches].iter().map(|l| f64::from(*l)).sum());
                }
                Ok(losses)
            }
        }
    }

    /// The mean loss of a row of the validation table. Orders are the same in every epoch.
    pub(super) fn validate(&mut self, seed: u64) -> Result<f64, BackendError> {
        let (size, rows) = (self.plan.validation_batch_size, self.validation_rows);
        let (full, rest) = (rows / size, rows % size);
        let mut sum = 0.0;
        let mut batch = 0;
        while batch < full {
            let steps = (full - batch).min(self.trace_len);
            sum += self.validation_run(seed, batch, steps, size)?;
            batch += steps;
        }
        if rest > 0 {
            sum += self.validation_run(seed, full, 1, rest)?;
        }
        Ok(sum / rows as f64)
    }

    fn validation_run(
        &mut self,
        seed: u64,
        batch: usize,
        steps: usize,
        rows: usize,
    ) -> Result<f64, BackendError> {
        let run = Run {
            seed,
            first_row: (batch * self.plan.validation_batch_size) as u64,
            first_step: batch as u32,
            steps: steps as u32,
            ..Run::evaluate(rows as u32)
        };
        self.validation.run(&run, &mut self.buffers, &[])?;
        Ok(self.trace(steps)?.iter().sum())
    }

    fn trace(&self, steps: usize) -> Result<Vec<f64>, BackendError> {
        let trace = self.buffers.read_f32("trace")?;
        Ok(trace[..steps].iter().map(|l| f64::from(*l)).collect())
    }

    /// Copies the parameters to the host.
    pub(super) fn params(&self) -> Result<Vec<f32>, BackendError> {
        self.buffers.read_f32("params")
    }

    /// Copies parameters and moments to the host.
    pub(super) fn weights(&self) -> Result<Weights, BackendError> {
        Ok(Weights {
            params: self.params()?,
            first_moments: self.buffers.read_f32("first_moments")?,
            second_moments: self.buffers.read_f32("second_moments")?,
        })
    }
}
