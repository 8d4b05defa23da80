//! The training loop.

use std::collections::VecDeque;
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::device::{TrainDevice, Weights};
use super::heuristics::Plan;
use super::progress::{Progress, ProgressMessage, rounded};
use super::schedule::Plateau;
use super::state::{Counters, StateError, StopReason, TrainState};
use super::stopping::EarlyStopping;
use crate::argn::{FlatModel, ModelError, initialise};
use crate::backend::{Backend, BackendError};
use crate::schema::CodeTable;

/// Steps run on the device about this long before the host looks at them; so long may a request to stop have to wait.
const CHUNK_SECONDS: f64 = 0.03;
/// A message is added at least so often.
const MESSAGE_SECONDS: f64 = 300.0;

/// What a training is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainOptions {
    /// Seed of start values, order of rows, column orders and dropout.
    pub seed: u64,
    /// Sizes of batches and the learning rate, see [`Plan::choose`].
    pub plan: Plan,
    /// Epochs at most, at least 0. Fractions are legal; at 0 the start values are stored.
    pub max_epochs: f64,
    /// Minutes at most, at least 0, those before a resumption included.
    pub max_minutes: f64,
    /// Whether each batch draws its own column order, so that rows can later be generated in any order.
    pub flexible: bool,
}

impl TrainOptions {
    /// The usual limits (100 epochs, 10 days) and any column order.
    pub fn new(seed: u64, plan: Plan) -> Self {
        Self {
            seed,
            plan,
            max_epochs: 100.0,
            max_minutes: 14_400.0,
            flexible: true,
        }
    }
}

/// What a training starts from.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// Start values from the seed.
    Fresh,
    /// Parameters of a trained model; everything else is fresh.
    Reuse {
        /// As many as the model has.
        params: Vec<f32>,
    },
    /// A state of the same training. Its seed, plan and kind of column order are kept, only the limits of the options count.
    Resume {
        /// The state, `Box`ed for its size.
        state: Box<TrainState>,
    },
}

/// Why a checkpoint could not be stored.
pub type SinkError = Box<dyn Error + Send + Sync>;

/// Where checkpoints go. Each call replaces what was stored before, and must have stored all or nothing when it returns.
///
/// The order of calls makes a training resumable at any instant: the best parameters first, then the messages, and last the
/// state, which vouches for both.
pub trait CheckpointSink {
    /// Stores the parameters of the model.
    ///
    /// # Errors
    /// Whatever keeps them from being stored.
    fn save_best(&mut self, params: &[f32]) -> Result<(), SinkError>;

    /// Stores what resuming needs.
    ///
    /// # Errors
    /// Whatever keeps it from being stored.
    fn save_state(&mut self, state: &TrainState) -> Result<(), SinkError>;

    /// Stores all messages so far.
    ///
    /// # Errors
    /// Whatever keeps them from being stored.
    fn save_progress(&mut self, messages: &[ProgressMessage]) -> Result<(), SinkError>;
}

/// Why a training fails.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A table has no rows.
    #[error(
        "the {table} table has no rows; training needs at least one row to train on and one to validate on"
    )]
    NoRows {
        /// `training` or `validation`.
        table: &'static str,
    },
    /// A table does not have the model's sub-columns.
    #[error(
        "the {table} table has {got} sub-columns, the model {expected}; encode the table with the model's statistics"
    )]
    SubColumns {
        /// `training` or `validation`.
        table: &'static str,
        /// Sub-columns of the model.
        expected: usize,
        /// Sub-columns of the table.
        got: usize,
    },
    /// A code lies outside its cardinality.
    #[error(
        "the {table} table holds code {code} in sub-column {sub_column}, whose cardinality is {cardinality}; encode the table \
         with the model's statistics"
    )]
    CodeOutOfRange {
        /// `training` or `validation`.
        table: &'static str,
        /// Name of the sub-column.
        sub_column: String,
        /// The code.
        code: u32,
        /// Number of codes.
        cardinality: usize,
    },
    /// A limit is no number or below zero.
    #[error("{name} is {value}; give a number of at least 0")]
    Limit {
        /// `max_epochs` or `max_minutes`.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// The parameters to start from are those of another model.
    #[error(
        "the model has {expected} parameters, {got} were given to start from; train again with state reset"
    )]
    ParameterCount {
        /// Parameters of the model.
        expected: usize,
        /// Parameters given.
        got: usize,
    },
    /// The state belongs to another training.
    #[error(transparent)]
    State(#[from] StateError),
    /// The validation loss is not finite and no model was stored before.
    #[error(
        "after {steps} steps the validation loss is not a finite number, at a learning rate of {learning_rate}; no model was \
         stored, train again with a smaller batch size"
    )]
    Diverged {
        /// Optimiser steps so far.
        steps: u64,
        /// Learning rate.
        learning_rate: f64,
    },
    /// The model cannot be built as a program.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The device fails.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A checkpoint cannot be stored.
    #[error("a checkpoint could not be stored: {source}")]
    Sink {
        /// What the sink says.
        source: SinkError,
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

/// A training: model, tables of codes and options.
#[derive(Debug, Clone)]
pub struct Training<'a> {
    /// Where programs run.
    pub backend: &'a dyn Backend,
    /// The model.
    pub model: &'a FlatModel,
    /// Rows to train on.
    pub training: Arc<CodeTable>,
    /// Rows to validate on.
    pub validation: Arc<CodeTable>,
    /// What is asked for.
    pub options: TrainOptions,
}

impl Training<'_> {
    /// Trains until the validation loss no longer falls, a limit is reached, or `events` answers `Break`. The sink holds the
    /// model with the least validation loss; when no epoch was completed, that of the last moment.
    ///
    /// A validation loss that is not finite ends the training: the best model before that is kept ([`StopReason::Diverged`]).
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
        let last_step = self.last_step(&counters.plan);
        let max_seconds = self.options.max_minutes * 60.0;
        if let Some(reason) = already_over(&counters, last_step, max_seconds) {
            return Ok(report(counters, reason, true));
        }
        counters.finished = None;
        let weights = Weights {
            params: state.params,
            first_moments: state.first_moments,
            second_moments: state.second_moments,
        };
        let tables = (&self.training, &self.validation);
        let kind = (counters.plan, counters.flexible);
        let device = TrainDevice::new(self.backend, self.model, kind, tables, weights)?;
        Session {
            device,
            before: counters.seconds,
            started: Instant::now(),
            last_step,
            max_seconds,
            chunk: 1,
            recent: RecentLoss::new(&counters),
            saved_steps: None,
            counters,
            sink,
            events,
        }
        .run()
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
        for (table, codes) in [("training", &self.training), ("validation", &self.validation)] {
            self.check_table(table, codes)?;
        }
        Ok(())
    }

    fn check_table(&self, table: &'static str, codes: &CodeTable) -> Result<(), TrainError> {
        let (expected, got) = (self.model.sub_columns().len(), codes.columns().len());
        if expected != got {
            return Err(TrainError::SubColumns { table, expected, got });
        }
        if codes.rows() == 0 {
            return Err(TrainError::NoRows { table });
        }
        for (column, (name, cardinality)) in codes.columns().iter().zip(self.model.sub_columns()) {
            if let Some(code) = column.max().filter(|c| *c as usize >= *cardinality) {
                let (sub_column, cardinality) = (name.to_string(), *cardinality);
                return Err(TrainError::CodeOutOfRange {
                    table,
                    sub_column,
                    code,
                    cardinality,
                });
            }
        }
        Ok(())
    }

    fn first_state(&self, start: Start) -> Result<TrainState, TrainError> {
        let layout = self.model.layout();
        let params = match start {
            Start::Resume { state } => {
                state.check(layout.len(), self.training.rows(), self.validation.rows())?;
                return Ok(*state);
            }
            Start::Reuse { params } if params.len() == layout.len() => params,
            Start::Reuse { params } => {
                let (expected, got) = (layout.len(), params.len());
                return Err(TrainError::ParameterCount { expected, got });
            }
            Start::Fresh => initialise(layout, self.options.seed),
        };
        let TrainOptions {
            seed, plan, flexible, ..
        } = self.options;
        let counters = Counters {
            seed,
            plan,
            flexible,
            training_rows: self.training.rows(),
            validation_rows: self.validation.rows(),
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

    /// The step after which the epochs asked for are over, as far as 32-bit step numbers reach.
    fn last_step(&self, plan: &Plan) -> u64 {
        // Products such as 0.1 * 30 lie just above the whole number that is meant.
        let steps = (self.options.max_epochs * plan.steps_per_epoch as f64 - 1e-9).ceil();
        (steps.max(0.0) as u64).min(u64::from(u32::MAX) / plan.micro_batches as u64)
    }
}

/// Why a state needs no further step, if so.
fn already_over(counters: &Counters, last_step: u64, max_seconds: f64) -> Option<StopReason> {
    match counters.finished {
        Some(reason @ (StopReason::EarlyStopping | StopReason::Diverged)) => Some(reason),
        Some(_) if counters.steps >= last_step => Some(StopReason::MaxEpochs),
        Some(_) if counters.seconds >= max_seconds => Some(StopReason::MaxMinutes),
        _ => None,
    }
}

fn report(counters: Counters, reason: StopReason, was_over: bool) -> TrainReport {
    TrainReport {
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

fn stored(result: Result<(), SinkError>) -> Result<(), TrainError> {
    result.map_err(|source| TrainError::Sink { source })
}

/// Losses of the last steps, over about as many rows as a validation has.
struct RecentLoss {
    steps: VecDeque<f64>,
    rows_per_step: usize,
    longest: usize,
}

impl RecentLoss {
    fn new(counters: &Counters) -> Self {
        let rows_per_step = counters.plan.rows_per_step();
        Self {
            steps: VecDeque::new(),
            rows_per_step,
            longest: (counters.validation_rows / rows_per_step).max(1),
        }
    }

    fn push(&mut self, loss: f64) {
        if self.steps.len() == self.longest {
            self.steps.pop_front();
        }
        self.steps.push_back(loss);
    }

    fn mean(&self) -> f64 {
        self.steps.iter().sum::<f64>() / (self.steps.len() * self.rows_per_step) as f64
    }
}

/// A training while it runs.
struct Session<'a> {
    device: TrainDevice,
    counters: Counters,
    before: f64,
    started: Instant,
    last_step: u64,
    max_seconds: f64,
    chunk: u64,
    recent: RecentLoss,
    /// Step of the state that is stored.
    saved_steps: Option<u64>,
    sink: &'a mut dyn CheckpointSink,
    events: &'a mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
}

impl Session<'_> {
    fn run(mut self) -> Result<TrainReport, TrainError> {
        let mut reason = self.limit();
        if self.tell(None, false, false).is_break() {
            reason = reason.or(Some(StopReason::Cancelled));
        }
        while reason.is_none() {
            let loss = self.advance()?;
            let messages = self.counters.messages.len();
            if self.counters.steps % self.counters.plan.steps_per_epoch as u64 == 0 {
                reason = self.end_epoch()?;
            } else {
                reason = self.limit();
                self.message_between()?;
            }
            let added = self.counters.messages.len() > messages;
            if self.tell(Some(loss), added, false).is_break() {
                reason = reason.or(Some(StopReason::Cancelled));
            }
        }
        let reason = reason.unwrap_or(StopReason::MaxEpochs);
        let messages = self.counters.messages.len();
        self.finish(reason)?;
        let added = self.counters.messages.len() > messages;
        // The training is over whatever the answer is.
        let _ = self.tell(None, added, true);
        tracing::info!(?reason, steps = self.counters.steps, "training ended");
        Ok(report(self.counters, reason, false))
    }

    /// Makes some steps, up to the end of the epoch at most; gives the mean loss of their rows.
    fn advance(&mut self) -> Result<f64, TrainError> {
        let counters = &mut self.counters;
        let (first, per_epoch) = (counters.steps, counters.plan.steps_per_epoch as u64);
        let epoch_end = (first / per_epoch + 1) * per_epoch;
        let count = self.chunk.min(epoch_end.min(self.last_step) - first);
        let begun = Instant::now();
        let losses = self
            .device
            .steps(counters.seed, first, count, counters.schedule.learning_rate)?;
        let rows = counters.plan.rows_per_step() as u64;
        for loss in &losses {
            counters.epoch_loss += loss;
            self.recent.push(*loss);
        }
        counters.steps += count;
        counters.samples += count * rows;
        counters.epoch_samples += count * rows;
        self.chunk = next_chunk(count, begun.elapsed()).min(self.device.longest_run());
        self.counters.seconds = self.before + self.started.elapsed().as_secs_f64();
        Ok(losses.iter().sum::<f64>() / (count * rows) as f64)
    }

    fn limit(&self) -> Option<StopReason> {
        if self.counters.steps >= self.last_step {
            Some(StopReason::MaxEpochs)
        } else {
            (self.counters.seconds >= self.max_seconds).then_some(StopReason::MaxMinutes)
        }
    }

    /// Validates, adapts the learning rate, stores. Everything that decides about the next epoch is in the state before it is
    /// stored, so that a resumed training decides alike.
    fn end_epoch(&mut self) -> Result<Option<StopReason>, TrainError> {
        let val_loss = self.device.validate(self.counters.seed)?;
        let learning_rate = self.counters.schedule.learning_rate;
        let improved = val_loss.is_finite() && self.counters.stopping.observe(val_loss);
        if !val_loss.is_finite() && self.counters.stopping.best.is_none() {
            return Err(self.diverged());
        }
        self.counters.seconds = self.before + self.started.elapsed().as_secs_f64();
        self.counters.schedule.observe(val_loss);
        let trn_loss = self.counters.epoch_loss / self.counters.epoch_samples as f64;
        self.add_message(trn_loss, Some(val_loss), improved, learning_rate);
        (self.counters.epoch_loss, self.counters.epoch_samples) = (0.0, 0);
        tracing::info!(
            epoch = self.counters.epoch(),
            trn_loss,
            val_loss,
            learning_rate,
            improved,
            "epoch"
        );
        let reason = if !val_loss.is_finite() {
            Some(StopReason::Diverged)
        } else if self.counters.stopping.is_over() {
            Some(StopReason::EarlyStopping)
        } else {
            self.limit()
        };
        self.counters.finished = reason;
        self.save(improved)?;
        Ok(reason)
    }

    /// Adds a message after the very first step, and when the last one is old.
    fn message_between(&mut self) -> Result<(), TrainError> {
        let is_due = match self.counters.messages.last() {
            None => true,
            Some(last) => self.counters.seconds - last.total_time > MESSAGE_SECONDS,
        };
        if is_due {
            let (loss, rate) = (self.recent.mean(), self.counters.schedule.learning_rate);
            self.add_message(loss, None, false, rate);
            stored(self.sink.save_progress(&self.counters.messages))?;
        }
        Ok(())
    }

    /// Stores the model of this moment when none was stored before, and the state with the reason of the end.
    fn finish(&mut self, reason: StopReason) -> Result<(), TrainError> {
        let counters = &mut self.counters;
        let is_stored = self.saved_steps == Some(counters.steps)
            && (counters.finished == Some(reason) || reason == StopReason::Cancelled);
        counters.finished = Some(reason);
        if counters.stopping.best.is_some() {
            return if is_stored { Ok(()) } else { self.save(false) };
        }
        let val_loss = if reason == StopReason::MaxMinutes {
            None
        } else {
            let val_loss = self.device.validate(counters.seed)?;
            if !val_loss.is_finite() {
                return Err(self.diverged());
            }
            Some(val_loss)
        };
        let trn_loss = self.counters.epoch_loss / self.counters.epoch_samples as f64;
        self.counters.seconds = self.before + self.started.elapsed().as_secs_f64();
        self.add_message(trn_loss, val_loss, true, self.counters.schedule.learning_rate);
        self.save(true)
    }

    fn save(&mut self, with_model: bool) -> Result<(), TrainError> {
        let weights = self.device.weights()?;
        if with_model {
            stored(self.sink.save_best(&weights.params))?;
        }
        stored(self.sink.save_progress(&self.counters.messages))?;
        let state = TrainState {
            counters: self.counters.clone(),
            params: weights.params,
            first_moments: weights.first_moments,
            second_moments: weights.second_moments,
        };
        stored(self.sink.save_state(&state))?;
        self.saved_steps = Some(self.counters.steps);
        Ok(())
    }

    fn add_message(&mut self, trn_loss: f64, val_loss: Option<f64>, is_checkpoint: bool, learning_rate: f64) {
        let counters = &mut self.counters;
        counters.messages.push(ProgressMessage {
            epoch: rounded(counters.epoch(), 2).unwrap_or(0.0),
            is_checkpoint: u8::from(is_checkpoint),
            steps: counters.steps,
            samples: counters.samples,
            trn_loss: rounded(trn_loss, 4),
            val_loss: val_loss.and_then(|loss| rounded(loss, 4)),
            total_time: rounded(counters.seconds, 1).unwrap_or(0.0),
            learn_rate: rounded(learning_rate, 6).unwrap_or(0.0),
            dp_eps: None,
            dp_delta: None,
        });
    }

    fn diverged(&self) -> TrainError {
        TrainError::Diverged {
            steps: self.counters.steps,
            learning_rate: self.counters.schedule.learning_rate,
        }
    }

    fn tell(&mut self, loss: Option<f64>, with_message: bool, is_last: bool) -> ControlFlow<()> {
        let counters = &self.counters;
        (self.events)(&Progress {
            steps: counters.steps,
            total_steps: self.last_step,
            epoch: counters.epoch(),
            samples: counters.samples,
            seconds: counters.seconds,
            max_seconds: self.max_seconds,
            loss,
            best_val_loss: counters.stopping.best,
            message: counters.messages.last().filter(|_| with_message),
            is_last,
        })
    }
}

/// Steps that take about [`CHUNK_SECONDS`], at most twice as many as before.
fn next_chunk(count: u64, took: Duration) -> u64 {
    let per_step = took.as_secs_f64() / count as f64;
    let fitting = (CHUNK_SECONDS / per_step.max(1e-9)) as u64;
    fitting.clamp(1, 2 * count)
}
