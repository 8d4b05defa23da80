//! Checkpoints that are stored while the training goes on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::checkpoint::{CheckpointSink, SinkError};
use super::progress::ProgressMessage;
use super::state::TrainState;

/// Hands checkpoints to a thread that stores them, so that a device need not wait for a disk.
///
/// A checkpoint is handed over whole, when its state comes: what is stored is at any instant what some moment of the training
/// would have stored, so a training that is killed resumes exactly, from an earlier epoch at worst. While one checkpoint is being
/// stored a newer one replaces the one that waits. Memory: at most two copies of the state.
#[derive(Debug)]
pub struct BackgroundSink {
    shared: Arc<Shared>,
    gathered: Checkpoint,
    thread: Option<JoinHandle<()>>,
}

/// What is to be stored; later calls replace earlier ones.
#[derive(Debug, Default)]
struct Checkpoint {
    best: Option<Vec<f32>>,
    messages: Option<Vec<ProgressMessage>>,
    state: Option<TrainState>,
}

impl Checkpoint {
    fn is_empty(&self) -> bool {
        self.best.is_none() && self.messages.is_none() && self.state.is_none()
    }

    /// Takes over what a newer checkpoint has.
    fn replace(&mut self, newer: Self) {
        self.best = newer.best.or(self.best.take());
        self.messages = newer.messages.or(self.messages.take());
        self.state = newer.state.or(self.state.take());
    }

    /// Stores everything, the state last.
    fn store(self, sink: &mut dyn CheckpointSink) -> Result<(), SinkError> {
        if let Some(best) = &self.best {
            sink.save_best(best)?;
        }
        if let Some(messages) = &self.messages {
            sink.save_progress(messages)?;
        }
        self.state.iter().try_for_each(|state| sink.save_state(state))
    }
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    checkpoint: Checkpoint,
    error: Option<SinkError>,
    is_over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores what comes until the end, or until something cannot be stored.
    fn store_all(&self, sink: &mut dyn CheckpointSink) {
        loop {
            let mut waiting = self.lock();
            while waiting.checkpoint.is_empty() && !waiting.is_over {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            let checkpoint = std::mem::take(&mut waiting.checkpoint);
            drop(waiting);
            if checkpoint.is_empty() {
                return;
            }
            if let Err(error) = checkpoint.store(sink) {
                self.lock().error = Some(error);
                return;
            }
        }
    }
}

impl BackgroundSink {
    /// Stores through `sink`, on a thread of its own.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(mut sink: impl CheckpointSink + Send + 'static) -> Result<Self, SinkError> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || of_thread.store_all(&mut sink))?;
        Ok(Self {
            shared,
            gathered: Checkpoint::default(),
            thread: Some(thread),
        })
    }

    /// Waits until everything is stored.
    ///
    /// # Errors
    /// What kept a checkpoint from being stored, a panic of the sink included.
    pub fn finish(mut self) -> Result<(), SinkError> {
        if self.close().is_err() {
            return Err("the thread that stores checkpoints has panicked".into());
        }
        self.shared.lock().error.take().map_or(Ok(()), Err)
    }

    /// Hands what was gathered to the thread; returns what kept an earlier checkpoint from being stored.
    fn hand_over(&mut self) -> Result<(), SinkError> {
        let gathered = std::mem::take(&mut self.gathered);
        let mut waiting = self.shared.lock();
        if let Some(error) = waiting.error.take() {
            return Err(error);
        }
        waiting.checkpoint.replace(gathered);
        drop(waiting);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn close(&mut self) -> thread::Result<()> {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
        self.thread.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for BackgroundSink {
    fn drop(&mut self) {
        // A caller that drops it without `finish` has an error of its own to report.
        let _ = self.close();
    }
}

impl CheckpointSink for BackgroundSink {
    fn save_best(&mut self, params: &[f32]) -> Result<(), SinkError> {
        self.gathered.best = Some(params.to_vec());
        Ok(())
    }

    fn save_state(&mut self, state: &TrainState) -> Result<(), SinkError> {
        self.gathered.state = Some(state.clone());
        self.hand_over()
    }

    fn save_progress(&mut self, messages: &[ProgressMessage]) -> Result<(), SinkError> {
        self.gathered.messages = Some(messages.to_vec());
        // Between epochs there are messages alone; best parameters wait for their state.
        if self.gathered.best.is_none() {
            return self.hand_over();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Waits for permission before each message is stored, and reports what was stored.
    struct Slow {
        leave: Receiver<bool>,
        stored: Sender<usize>,
    }

    impl CheckpointSink for Slow {
        fn save_best(&mut self, params: &[f32]) -> Result<(), SinkError> {
            Ok(self.stored.send(1_000 + params.len())?)
        }

        fn save_state(&mut self, _: &TrainState) -> Result<(), SinkError> {
            Ok(())
        }

        fn save_progress(&mut self, messages: &[ProgressMessage]) -> Result<(), SinkError> {
            if !self.leave.recv()? {
                return Err("disk full".into());
            }
            Ok(self.stored.send(messages.len())?)
        }
    }

    fn messages(count: usize) -> Vec<ProgressMessage> {
        let message = ProgressMessage {
            epoch: 0.0,
            is_checkpoint: 0,
            steps: 0,
            samples: 0,
            trn_loss: None,
            val_loss: None,
            total_time: 0.0,
            learn_rate: 0.0,
            dp_eps: None,
            dp_delta: None,
        };
        vec![message; count]
    }

    fn slow() -> (BackgroundSink, Sender<bool>, Receiver<usize>) {
        let ((give, leave), (stored, stored_epochs)) = (channel(), channel());
        let sink = BackgroundSink::new(Slow { leave, stored }).expect("a thread");
        (sink, give, stored_epochs)
    }

    #[test]
    fn what_comes_while_another_is_stored_replaces_what_waits() {
        let (mut sink, give, stored_epochs) = slow();
        sink.save_progress(&messages(1)).expect("handed over");
        // Until the first is taken, a second would replace it.
        while sink.shared.lock().checkpoint.messages.is_some() {
            thread::yield_now();
        }
        for count in [2, 3, 4] {
            sink.save_progress(&messages(count)).expect("handed over");
        }
        give.send(true).expect("a listener");
        give.send(true).expect("a listener");
        sink.finish().expect("all stored");
        assert_eq!(stored_epochs.iter().collect::<Vec<_>>(), [1, 4]);
    }

    #[test]
    fn a_failure_is_returned_at_the_next_call_or_at_the_end() {
        let (mut sink, give, _stored_epochs) = slow();
        sink.save_progress(&messages(1)).expect("handed over");
        give.send(false).expect("a listener");
        while sink.shared.lock().error.is_none() {
            thread::yield_now();
        }
        let error = sink.save_progress(&messages(2)).expect_err("a failure");
        assert_eq!(error.to_string(), "disk full");
        let (mut sink, give, _stored_epochs) = slow();
        sink.save_progress(&messages(1)).expect("handed over");
        give.send(false).expect("a listener");
        assert_eq!(sink.finish().expect_err("a failure").to_string(), "disk full");
    }

    #[test]
    fn a_panic_of_the_sink_is_an_error_at_the_end() {
        let (mut sink, give, stored_epochs) = slow();
        drop(stored_epochs);
        drop(give);
        sink.save_best(&[0.0]).expect("gathered");
        sink.hand_over().expect("handed over");
        assert!(sink.finish().is_err(), "nobody listens to what is stored");
        struct Broken;
        impl CheckpointSink for Broken {
            fn save_best(&mut self, _: &[f32]) -> Result<(), SinkError> {
                panic!("broken on purpose")
            }

            fn save_state(&mut self, _: &TrainState) -> Result<(), SinkError> {
                Ok(())
            }

            fn save_progress(&mut self, _: &[ProgressMessage]) -> Result<(), SinkError> {
                Ok(())
            }
        }
        let mut sink = BackgroundSink::new(Broken).expect("a thread");
        sink.save_best(&[0.0]).expect("gathered");
        sink.hand_over().expect("handed over");
        let error = sink.finish().expect_err("a panic").to_string();
        assert!(error.contains("panicked"), "{error}");
    }

    #[test]
    fn best_parameters_come_with_what_follows_them() {
        let (mut sink, give, stored_epochs) = slow();
        sink.save_best(&[0.0; 3]).expect("gathered");
        sink.save_progress(&messages(5)).expect("gathered");
        assert!(sink.shared.lock().checkpoint.is_empty(), "it waits for the state");
        sink.hand_over().expect("handed over");
        give.send(true).expect("a listener");
        sink.finish().expect("all stored");
        assert_eq!(stored_epochs.iter().collect::<Vec<_>>(), [1_003, 5]);
    }
}
