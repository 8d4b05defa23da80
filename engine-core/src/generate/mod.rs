//! Generation: from parameters to tables of codes, drawn column by column and streamed batch by batch.

mod batching;
mod error;
mod generator;
mod order;
mod replay;
mod rules;

pub use batching::{BatchDevice, batch_heuristic, batch_sizes};
pub use error::GenerateError;
pub use generator::{Chunks, GenerateOptions, Generator};
pub use order::GenerationOrder;
pub use replay::{Replay, ReplayInputs, replay};
pub use rules::rare_codes;

#[cfg(test)]
mod tests;
