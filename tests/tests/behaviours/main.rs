//! Behaviours of generation and inference, end to end through the library, and the table of them all in `docs/behaviours.md`.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod prices;
mod requests;
mod table;
