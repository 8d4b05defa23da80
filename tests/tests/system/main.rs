//! The engine as a whole: its structure, what it does through the library, and that no secret of a table is in a model. One program, since each
//! would link everything again.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

mod architecture;
mod behaviours;
mod canaries;
mod canaries_encodings;
