//! The progress bar: rows of a stage, or epoch, speed, loss and time left of a training.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use engine_api::{Event, Progress, Stage};
use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressState, ProgressStyle};

use crate::interrupt;
use crate::terminal::Terminal;

const ROWS: &str = "{prefix:9} {bar:24} {human_pos}/{human_len} rows  {speed} rows/s  {eta} left";
const TRAINING: &str = "{prefix:9} {bar:24} {msg}";
/// Length of the bar of a training, whose end is only known as a share.
const TICKS: u64 = 1000;

/// What is shown of a job.
pub(crate) struct ProgressReporter<'s> {
    bar: &'s ProgressBar,
    stage: Option<Stage>,
    /// Rows and seconds when this training began, which is not zero for a resumed one.
    began: (u64, f64),
}

impl<'s> ProgressReporter<'s> {
    /// Shows a job on the terminal.
    pub(crate) fn new(terminal: &'s Terminal) -> Self {
        Self {
            bar: terminal.bar(),
            stage: None,
            began: (0, 0.0),
        }
    }

    /// Takes an event; asks to stop when the user did.
    pub(crate) fn take(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        if !self.bar.is_hidden() {
            match event {
                Event::Rows { stage, done, total } => {
                    self.enter(*stage, *total, ROWS);
                    self.bar.set_position(*done);
                }
                Event::Training(progress) => self.show(progress),
                _ => {}
            }
        }
        interrupt::answer()
    }

    fn enter(&mut self, stage: Stage, length: u64, template: &str) -> bool {
        let is_new = self.stage != Some(stage);
        if is_new {
            self.stage = Some(stage);
            // Style and name come first: the others draw at once.
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar
                    .set_style(style.progress_chars("=> ").with_key("speed", write_speed));
            }
            self.bar.set_prefix(stage.name());
            self.bar.reset();
            self.bar.set_length(length);
        }
        is_new
    }

    fn show(&mut self, progress: &Progress<'_>) {
        if self.enter(Stage::Train, TICKS, TRAINING) {
            self.began = (progress.samples, progress.seconds);
        }
        self.bar.set_message(describe(progress, self.began));
        self.bar.set_position((progress.share() * TICKS as f64) as u64);
    }
}

impl Drop for ProgressReporter<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Whole rows a second; the bar's own number has decimals.
fn write_speed(state: &ProgressState, out: &mut dyn fmt::Write) {
    // There is nobody to report that a bar cannot be drawn.
    let _ = write!(out, "{}", HumanCount(state.per_sec() as u64));
}

/// `epoch 3.20  98,304 rows/s  loss 20.13  best 20.01  at most 2 minutes left`
fn describe(progress: &Progress<'_>, began: (u64, f64)) -> String {
    let mut text = format!("epoch {:.2}", progress.epoch);
    let seconds = progress.seconds - began.1;
    if seconds > 0.0 {
        let rows = (progress.samples - began.0.min(progress.samples)) as f64 / seconds;
        text += &format!("  {} rows/s", HumanCount(rows as u64));
    }
    if let Some(loss) = progress.loss {
        text += &format!("  loss {loss:.3}");
    }
    if let Some(best) = progress.best_val_loss {
        text += &format!("  best {best:.3}");
    }
    let share = progress.share();
    if share > 0.0 && share < 1.0 {
        let left = progress.seconds * (1.0 - share) / share;
        // Early stopping usually comes before.
        if let Ok(left) = Duration::try_from_secs_f64(left.ceil()) {
            text += &format!("  at most {} left", HumanDuration(left));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_is_described_with_speed_loss_and_time_left() {
        let progress = Progress {
            steps: 10,
            total_steps: 40,
            epoch: 2.5,
            samples: 12_000,
            seconds: 20.0,
            max_seconds: 1e6,
            loss: Some(20.1234),
            best_val_loss: None,
            message: None,
            is_last: false,
        };
        assert_eq!(
            describe(&progress, (2_000, 10.0)),
            "epoch 2.50  1,000 rows/s  loss 20.123  at most 60 seconds left"
        );
        let start = Progress {
            steps: 0,
            epoch: 0.0,
            samples: 0,
            seconds: 0.0,
            loss: None,
            ..progress
        };
        assert_eq!(describe(&start, (0, 0.0)), "epoch 0.00");
    }
}
