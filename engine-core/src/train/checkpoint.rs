//! Where checkpoints go.

use std::error::Error;

use super::progress::ProgressMessage;
use super::state::TrainState;

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
