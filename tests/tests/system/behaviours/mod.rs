//! Behaviours of generation and inference, end to end through the library, and the table of them all in `docs/behaviours.md`.

mod prices;
mod requests;
mod table;
