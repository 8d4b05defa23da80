//! Between Arrow and the core: record batches as borrowed tables, decoded columns as record batches.

#[cfg(feature = "arrow2")]
mod arrow2;
mod borrow;
mod decode;

#[cfg(feature = "arrow2")]
pub use arrow2::{Arrow2Chunk, Arrow2Error, record_batch_from_arrow2, record_batch_to_arrow2};
pub use borrow::TableBatch;
pub use decode::to_record_batch;
pub(crate) use decode::{from_micros, from_texts};
