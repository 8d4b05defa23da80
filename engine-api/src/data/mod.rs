//! Tables in and out: CSV, Parquet and Arrow record batches.
//!
//! A [`TableSource`] reads a table in record batches, as often as needed, and says its [`TableFormat`]; a
//! [`TableBatch`] shows a record batch to the core without a copy; [`to_record_batch`] turns decoded columns into the
//! table's own types; a [`TableSink`] writes record batches in the table's own written forms.

mod arrow;
mod csv;
mod error;
mod note;
mod options;
mod parquet;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod written;

#[cfg(feature = "arrow2")]
pub use arrow::{Arrow2Chunk, Arrow2Error, record_batch_from_arrow2, record_batch_to_arrow2};
pub use arrow::{TableBatch, to_record_batch};
pub(crate) use arrow::{exact_cast, from_texts, is_convertible};
pub(crate) use csv::{CsvFormatter, GivenCells, RawRow, Rounding, values_of_texts, written_values};
pub use error::DataError;
pub(crate) use error::{list_names, shorten};
pub use note::{ColumnNote, NoteKind};
pub use options::ReadOptions;
pub use parquet::{ParquetTable, ParquetWriter};
pub use sink::TableSink;
pub use source::{Batches, TableSource};
pub use written::{
    BooleanWords, ColumnFormat, CsvDialect, DateForm, DateOrder, ExponentForm, ExponentUse, NumberForm, Role,
    SourceFormat, TABLE_FORMAT_VERSION, TableFormat, TimeForm, WrittenForm,
};
