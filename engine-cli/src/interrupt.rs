//! Ctrl-C: the first asks the engine to stop after the step, the second ends the program at once.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use engine_api::Workspace;
use engine_api::files::remove_own_temporary_folders;

use crate::failure::ExitStatus;
use crate::terminal::Terminal;

static STOP: AtomicBool = AtomicBool::new(false);
/// The workspace whose rows go however the program ends.
static DISCARDED: OnceLock<PathBuf> = OnceLock::new();

/// Begins to listen. Without it Ctrl-C ends the program at once, which is no reason to give up.
pub(crate) fn listen(terminal: &Terminal) {
    let terminal = terminal.clone();
    let heard = ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::SeqCst) {
            leave_no_row(&terminal);
            std::process::exit(i32::from(ExitStatus::Stopped as u8));
        }
        terminal.report("stopping after this step; press Ctrl-C again to stop at once");
    });
    if let Err(error) = heard {
        tracing::debug!(%error, "Ctrl-C cannot be listened to");
    }
}

/// From now on the rows in a workspace are discarded also when the program is ended at once.
pub(crate) fn discard_at_once(workspace: &Path) {
    // There is one command, and it has one workspace.
    let _ = DISCARDED.set(workspace.to_owned());
}

/// Removes what nobody will remove when the program ends at once.
fn leave_no_row(terminal: &Terminal) {
    if let Err(error) = remove_own_temporary_folders() {
        terminal.print(&format!("error: {error}"));
    }
    if let Some(workspace) = DISCARDED.get()
        && let Err(error) = Workspace::discard_data_at(workspace)
    {
        terminal.print(&format!("error: {error}"));
    }
}

/// Whether the user asked to stop.
pub(crate) fn is_asked_for() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// The same as the return value of a progress callback.
pub(crate) fn answer() -> ControlFlow<()> {
    if is_asked_for() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}
