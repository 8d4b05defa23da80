//! Between Arrow and the core: record batches as borrowed tables, decoded columns as record batches.

#[cfg(feature = "arrow2")]
mod arrow2;
mod borrow;
mod decode;
mod exact;

#[cfg(feature = "arrow2")]
pub use arrow2::{Arrow2Chunk, Arrow2Error, record_batch_from_arrow2, record_batch_to_arrow2};
pub use borrow::TableBatch;
pub(crate) use decode::from_texts;
pub use decode::to_record_batch;
pub(crate) use exact::{decimals_of_texts, exact_cast, is_convertible, whole};
