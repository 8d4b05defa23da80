//! What a job reports while it runs, and how it is cancelled.

use std::fmt;
use std::ops::ControlFlow;

use engine_core::train::Progress;

use crate::EngineError;

/// The stages of a job, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Assigns rows to training and validation.
    Split,
    /// Collects the statistics of the columns.
    Analyze,
    /// Turns values into codes.
    Encode,
    /// Trains the model.
    Train,
    /// Draws rows.
    Generate,
}

impl Stage {
    /// Its name, which is also that of the command.
    pub fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Analyze => "analyze",
            Self::Encode => "encode",
            Self::Train => "train",
            Self::Generate => "generate",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Rows that a stage has done; comes at its start, after each batch, and at its end.
    Rows {
        /// The stage, any but training.
        stage: Stage,
        /// Rows done.
        done: u64,
        /// Rows to be done.
        total: u64,
    },
    /// How far the training is.
    Training(&'a Progress<'a>),
}

/// A progress callback, called as a job goes on. `Break` cancels the job: a training stores its model and ends well, every other stage ends with
/// [`EngineError::Cancelled`] and leaves nothing half-written.
pub type ProgressCallback<'w> = dyn FnMut(&Event<'_>) -> ControlFlow<()> + 'w;

/// A callback that ignores all events and never cancels.
pub fn silent(_: &Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Counts the rows of a stage.
pub(crate) struct RowCount<'a, 'w> {
    on_progress: &'a mut ProgressCallback<'w>,
    stage: Stage,
    done: u64,
    total: u64,
}

impl<'a, 'w> RowCount<'a, 'w> {
    /// Signals that a stage of `total` rows begins.
    pub(crate) fn start(
        on_progress: &'a mut ProgressCallback<'w>,
        stage: Stage,
        total: u64,
    ) -> Result<Self, EngineError> {
        let mut count = Self {
            on_progress,
            stage,
            done: 0,
            total,
        };
        count.add(0)?;
        Ok(count)
    }

    /// Signals that `rows` more rows are done.
    pub(crate) fn add(&mut self, rows: usize) -> Result<(), EngineError> {
        let Self { stage, total, .. } = *self;
        self.done += rows as u64;
        let event = Event::Rows {
            stage,
            done: self.done,
            total,
        };
        match (self.on_progress)(&event) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(EngineError::Cancelled { stage }),
        }
    }
}
