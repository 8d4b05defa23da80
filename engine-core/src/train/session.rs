//! The training loop.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::checkpoint::{CheckpointSink, SinkError};
use super::device::{TrainDevice, Weights};
use super::error::TrainError;
use super::progress::{Progress, ProgressMessage, rounded};
use super::state::{Counters, StopReason, TrainState};
use super::training::TrainReport;

/// Steps run on the device about this long before the host looks at them; so long may a request to stop have to wait.
const CHUNK_SECONDS: f64 = 0.03;
/// A message is added at least so often.
const MESSAGE_SECONDS: f64 = 300.0;

/// Where a training ends at the latest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) last_step: u64,
    pub(super) max_seconds: f64,
}

impl Limits {
    pub(super) fn reached(&self, counters: &Counters) -> Option<StopReason> {
        if counters.steps >= self.last_step {
            Some(StopReason::MaxEpochs)
        } else {
            (counters.seconds >= self.max_seconds).then_some(StopReason::MaxMinutes)
        }
    }
}

fn all_finite(values: &[f32]) -> bool {
    values.iter().all(|v| v.is_finite())
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
pub(super) struct Session<'a> {
    device: TrainDevice,
    counters: Counters,
    limits: Limits,
    /// Seconds of training before this session.
    before: f64,
    started: Instant,
    /// Steps of the next run.
    chunk: u64,
    recent: RecentLoss,
    /// Step of the state that is stored.
    saved_steps: Option<u64>,
    sink: &'a mut dyn CheckpointSink,
    events: &'a mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        device: TrainDevice,
        counters: Counters,
        limits: Limits,
        sink: &'a mut dyn CheckpointSink,
        events: &'a mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Self {
        Self {
            device,
            limits,
            before: counters.seconds,
            started: Instant::now(),
            chunk: 1,
            recent: RecentLoss::new(&counters),
            saved_steps: None,
            counters,
            sink,
            events,
        }
    }

    /// Trains to the end.
    pub(super) fn run(mut self) -> Result<TrainReport, TrainError> {
        let mut reason = self.limits.reached(&self.counters);
        if self.report_progress(None, false, false).is_break() {
            reason = reason.or(Some(StopReason::Cancelled));
        }
        while reason.is_none() {
            let loss = self.advance()?;
            let messages = self.counters.messages.len();
            let steps_per_epoch = self.counters.plan.steps_per_epoch as u64;
            if self.counters.steps.is_multiple_of(steps_per_epoch) {
                reason = self.end_epoch()?;
            } else {
                reason = self.limits.reached(&self.counters);
                self.message_between()?;
            }
            let added = self.counters.messages.len() > messages;
            if self.report_progress(Some(loss), added, false).is_break() {
                reason = reason.or(Some(StopReason::Cancelled));
            }
        }
        let reason = reason.unwrap_or(StopReason::MaxEpochs);
        let messages = self.counters.messages.len();
        self.finish(reason)?;
        let added = self.counters.messages.len() > messages;
        // The training is over whatever the answer is.
        let _ = self.report_progress(None, added, true);
        tracing::info!(?reason, steps = self.counters.steps, "training ended");
        Ok(TrainReport::new(self.counters, reason, false))
    }

    /// Makes some steps, up to the end of the epoch at most; gives the mean loss of their rows.
    fn advance(&mut self) -> Result<f64, TrainError> {
        let counters = &mut self.counters;
        let (first, per_epoch) = (counters.steps, counters.plan.steps_per_epoch as u64);
        let epoch_end = (first / per_epoch + 1) * per_epoch;
        let count = self.chunk.min(epoch_end.min(self.limits.last_step) - first);
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

    /// Validates, adapts the learning rate, stores. Everything that decides about the next epoch is in the state before it is
    /// stored, so that a resumed training decides alike.
    fn end_epoch(&mut self) -> Result<Option<StopReason>, TrainError> {
        let val_loss = self.device.validate(self.counters.seed)?;
        let weights = self.device.weights()?;
        let learning_rate = self.counters.schedule.learning_rate;
        let is_finite = val_loss.is_finite() && all_finite(&weights.params);
        if !is_finite && self.counters.stopping.best.is_none() {
            return Err(self.diverged());
        }
        let improved = is_finite && self.counters.stopping.observe(val_loss);
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
        let reason = if !is_finite {
            Some(StopReason::Diverged)
        } else if self.counters.stopping.is_over() {
            Some(StopReason::EarlyStopping)
        } else {
            self.limits.reached(&self.counters)
        };
        self.counters.finished = reason;
        self.save(weights, improved)?;
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
        let has_model = counters.stopping.best.is_some();
        if has_model && is_stored {
            return Ok(());
        }
        let weights = self.device.weights()?;
        if has_model {
            return self.save(weights, false);
        }
        let val_loss = match reason {
            StopReason::MaxMinutes => None,
            _ => Some(self.device.validate(self.counters.seed)?),
        };
        if !all_finite(&weights.params) || val_loss.is_some_and(|loss| !loss.is_finite()) {
            return Err(self.diverged());
        }
        let trn_loss = self.counters.epoch_loss / self.counters.epoch_samples as f64;
        self.counters.seconds = self.before + self.started.elapsed().as_secs_f64();
        self.add_message(trn_loss, val_loss, true, self.counters.schedule.learning_rate);
        self.save(weights, true)
    }

    fn save(&mut self, weights: Weights, with_model: bool) -> Result<(), TrainError> {
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

    fn report_progress(&mut self, loss: Option<f64>, with_message: bool, is_last: bool) -> ControlFlow<()> {
        let counters = &self.counters;
        (self.events)(&Progress {
            steps: counters.steps,
            total_steps: self.limits.last_step,
            epoch: counters.epoch(),
            samples: counters.samples,
            seconds: counters.seconds,
            max_seconds: self.limits.max_seconds,
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
