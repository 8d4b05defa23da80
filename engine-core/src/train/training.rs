//! A training as callers see it.

use std::ops::ControlFlow;

use super::checkpoint::CheckpointSink;
use super::device::{TrainDevice, Weights};
use super::error::TrainError;
use super::heuristics::TrainPlan;
use super::programs::{TrainData, TrainPrograms};
use super::progress::{Progress, ProgressMessage};
use super::schedule::Plateau;
use super::session::{Limits, Session};
use super::state::{Counters, StateError, StopReason, TrainState};
use super::stopping::EarlyStopping;
use crate::backend::Backend;
use crate::ir::initialise;

/// Options of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainOptions {
    /// Seed of initial weights, order of rows, column orders and dropout.
    pub seed: u64,
    /// Sizes of batches and the learning rate, see [`TrainPlan::choose`].
    pub plan: TrainPlan,
    /// Epochs at most, at least 0. Fractions are legal; at 0 the initial weights are stored.
    pub max_epochs: f64,
    /// Minutes at most, at least 0, those before a resumption included.
    pub max_minutes: f64,
}

impl TrainOptions {
    /// The usual limits: 100 epochs, 10 days.
    pub fn new(seed: u64, plan: TrainPlan) -> Self {
        Self {
            seed,
            plan,
            max_epochs: 100.0,
            max_minutes: 14_400.0,
        }
    }
}

/// What a training starts from.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// Initial weights from the seed.
    Fresh,
    /// Parameters of a trained model; everything else is fresh.
    Reuse {
        /// As many as the model has.
        params: Vec<f32>,
    },
    /// A state of the same training. Its seed and plan are kept, only the limits of the options count; the programs must be built for that plan.
    Resume {
        /// The state, `Box`ed for its size.
        state: Box<TrainState>,
    },
}

/// How a training ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainReport {
    /// Why it ended.
    pub reason: StopReason,
    /// Whether there was nothing to do: a resumed training that was already over.
    pub was_over: bool,
    /// Optimiser steps divided by those of an epoch.
    pub epoch: f64,
    /// Optimiser steps.
    pub steps: u64,
    /// Rows seen.
    pub samples: u64,
    /// Seconds of training, those before a resumption included.
    pub seconds: f64,
    /// Validation loss of the stored model, where an epoch was completed.
    pub best_val_loss: Option<f64>,
    /// All messages.
    pub messages: Vec<ProgressMessage>,
}

impl TrainReport {
    pub(super) fn new(counters: Counters, reason: StopReason, was_over: bool) -> Self {
        Self {
            reason,
            was_over,
            epoch: counters.epoch(),
            steps: counters.steps,
            samples: counters.samples,
            seconds: counters.seconds,
            best_val_loss: counters.stopping.best,
            messages: counters.messages,
        }
    }
}

/// A training: programs, the data that they read, and options.
#[derive(Debug, Clone)]
pub struct Training<'a> {
    /// Where programs run.
    pub backend: &'a dyn Backend,
    /// What a model supplies.
    pub programs: TrainPrograms,
    /// Rows to train on.
    pub training: TrainData,
    /// Rows to validate on.
    pub validation: TrainData,
    /// The options.
    pub options: TrainOptions,
}

impl Training<'_> {
    /// Trains until the validation loss no longer falls, a limit is reached, or `events` answers `Break`. The sink holds the
    /// model with the least validation loss; when no epoch was completed, that of the last moment.
    ///
    /// A validation loss or a parameter that is not finite ends the training: the best model before that is kept ([`StopReason::Diverged`]).
    /// Resuming a training that is over does nothing.
    ///
    /// # Errors
    /// [`TrainError`] says what is wrong with the inputs, the device or the sink.
    pub fn run(
        &self,
        start: Start,
        sink: &mut dyn CheckpointSink,
        events: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<TrainReport, TrainError> {
        self.check()?;
        let state = self.first_state(start)?;
        let mut counters = state.counters;
        self.check_programs(&counters)?;
        let limits = Limits {
            last_step: self.last_step(&counters.plan),
            max_seconds: self.options.max_minutes * 60.0,
        };
        if let Some(reason) = already_over(&counters, limits) {
            return Ok(TrainReport::new(counters, reason, true));
        }
        counters.finished = None;
        let weights = Weights {
            params: state.params,
            first_moments: state.first_moments,
            second_moments: state.second_moments,
        };
        let data = (&self.training, &self.validation);
        let device = TrainDevice::new(self.backend, &self.programs, counters.plan, data, weights)?;
        Session::new(device, counters, limits, sink, events).run()
    }

    fn check(&self) -> Result<(), TrainError> {
        let TrainOptions {
            max_epochs,
            max_minutes,
            ..
        } = self.options;
        for (name, value) in [("max_epochs", max_epochs), ("max_minutes", max_minutes)] {
            if value.is_nan() || value < 0.0 {
                return Err(TrainError::Limit { name, value });
            }
        }
        for (table, data) in [("training", &self.training), ("validation", &self.validation)] {
            if data.rows == 0 {
                return Err(TrainError::NoRows { table });
            }
        }
        Ok(())
    }

    /// Programs are built before the plan of a resumed training is read here; both must be of the same training.
    fn check_programs(&self, counters: &Counters) -> Result<(), TrainError> {
        let got = self.programs.micro_batches_per_epoch;
        let expected = counters.plan.micro_batches_per_epoch();
        if expected != got {
            return Err(TrainError::OtherPlan { expected, got });
        }
        if counters.order != self.programs.order {
            return Err(StateError::OtherOrder.into());
        }
        Ok(())
    }

    fn first_state(&self, start: Start) -> Result<TrainState, TrainError> {
        let layout = &self.programs.layout;
        let params = match start {
            Start::Resume { state } => {
                state.check(layout.len(), self.training.rows, self.validation.rows)?;
                return Ok(*state);
            }
            Start::Reuse { params } if params.len() == layout.len() => params,
            Start::Reuse { params } => {
                let (expected, got) = (layout.len(), params.len());
                return Err(TrainError::ParameterCount { expected, got });
            }
            Start::Fresh => initialise(layout, self.options.seed),
        };
        let TrainOptions { seed, plan, .. } = self.options;
        let counters = Counters {
            seed,
            plan,
            order: self.programs.order,
            training_rows: self.training.rows,
            validation_rows: self.validation.rows,
            steps: 0,
            samples: 0,
            seconds: 0.0,
            epoch_loss: 0.0,
            epoch_samples: 0,
            schedule: Plateau::new(plan.learning_rate),
            stopping: EarlyStopping::default(),
            messages: Vec::new(),
            finished: None,
        };
        Ok(TrainState {
            counters,
            params,
            first_moments: vec![0.0; layout.len()],
            second_moments: vec![0.0; layout.len()],
        })
    }

    /// The step after which the requested epochs are over, as far as 32-bit step numbers reach.
    fn last_step(&self, plan: &TrainPlan) -> u64 {
        // Products such as 0.1 * 30 lie just above the whole number that is meant.
        let steps = (self.options.max_epochs * plan.steps_per_epoch as f64 - 1e-9).ceil();
        (steps.max(0.0) as u64).min(u64::from(u32::MAX) / plan.micro_batches as u64)
    }
}

/// Why a stored state needs no further step, if so.
fn already_over(counters: &Counters, limits: Limits) -> Option<StopReason> {
    match counters.finished? {
        reason @ (StopReason::EarlyStopping | StopReason::Diverged) => Some(reason),
        _ => limits.reached(counters),
    }
}
