//! The command line as a user meets it: what it writes, says and returns. One program, since each would link everything again.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod argn;
mod asked_tables;
mod bad_input;
mod explain;
mod flags;
mod inference;
#[cfg(unix)]
mod interrupt;
#[cfg(unix)]
mod kill_points;
mod null_words;
mod pipes;
mod record;
mod repeatable;
mod resume;
#[cfg(unix)]
mod trust;
mod typed_tables;
#[cfg(feature = "wgpu")]
mod wgpu;
