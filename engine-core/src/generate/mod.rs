//! Generation: from parameters to tables of codes, drawn column by column and streamed batch by batch.

mod batching;
mod cells;
mod error;
mod generator;
mod loaded;
mod order;
mod replay;
mod rules;

pub use batching::{BatchDevice, batch_heuristic, batch_sizes};
pub use cells::Cells;
pub use error::GenerateError;
pub use generator::{Chunks, GenerateOptions, Generator};
pub use loaded::{DrawSite, Drawn, LoadedModel, Plan};
pub use order::GenerationOrder;
pub use replay::{Replay, ReplayInputs, replay};
pub use rules::rare_codes;

#[cfg(test)]
mod tests;
