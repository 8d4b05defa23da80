//! Between Arrow and the core: record batches as borrowed tables, decoded columns as record batches.

mod borrow;
mod decode;

pub use borrow::TableBatch;
pub(crate) use decode::from_texts;
pub use decode::to_record_batch;
