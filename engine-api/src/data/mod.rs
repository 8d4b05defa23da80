//! Tables in and out: CSV, Parquet and Arrow record batches.
//!
//! A [`TableSource`] reads a table in record batches, as often as needed, and says its [`TableFormat`]; a
//! [`TableBatch`] shows a record batch to the core without a copy; [`to_record_batch`] turns decoded columns into the
//! table's own types; a [`TableSink`] writes record batches in the table's own written forms.

#[cfg(feature = "arrow2")]
mod arrow2_interchange;
mod bridge;
mod csv;
mod date_form;
mod error;
mod iso;
mod number;
mod parquet;
mod parquet_pages;
mod sink;
mod source;
mod table_format;
#[cfg(test)]
mod tests;

#[cfg(feature = "arrow2")]
pub use arrow2_interchange::{Arrow2Chunk, Arrow2Error, record_batch_from_arrow2, record_batch_to_arrow2};
pub(crate) use bridge::from_texts;
pub use bridge::{TableBatch, to_record_batch};
pub(crate) use csv::{CsvFormatter, RawRow};
pub use date_form::{DateForm, DateOrder};
pub use error::DataError;
pub(crate) use error::{list_names, shorten};
pub use parquet::{ParquetTable, ParquetWriter};
pub use sink::TableSink;
pub use source::{Batches, ReadOptions, TableSource};
pub use table_format::{
    BooleanWords, ColumnFormat, CsvDialect, ExponentForm, ExponentUse, NumberForm, Role, SourceFormat,
    TABLE_FORMAT_VERSION, TableFormat, TimeForm, WrittenForm,
};
