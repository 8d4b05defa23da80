//! Between Arrow and the core: record batches as borrowed tables, decoded columns as record batches.

mod borrow;
mod decode;

pub use borrow::TableBatch;
pub use decode::to_record_batch;
