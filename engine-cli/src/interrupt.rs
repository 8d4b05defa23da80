//! Ctrl-C: the first asks the engine to stop after the step, the second ends the program at once.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::ExitStatus;
use crate::screen::Screen;

static STOP: AtomicBool = AtomicBool::new(false);

/// Begins to listen. Without it Ctrl-C ends the program at once, which is no reason to give up.
pub(crate) fn listen(screen: &Screen) {
    let screen = screen.clone();
    let heard = ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(ExitStatus::Stopped as u8));
        }
        screen.tell("stopping after this step; press Ctrl-C again to stop at once");
    });
    if let Err(error) = heard {
        tracing::debug!(%error, "Ctrl-C cannot be listened to");
    }
}

/// Whether the user asked to stop.
pub(crate) fn is_asked_for() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// The same as the answer to an event of the engine.
pub(crate) fn answer() -> ControlFlow<()> {
    if is_asked_for() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}
