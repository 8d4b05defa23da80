//! Tables in and out: CSV, Parquet and Arrow record batches.

mod error;
mod table_format;

pub use error::DataError;
pub use table_format::{
    BooleanWords, ColumnFormat, CsvDialect, ExponentForm, ExponentUse, NumberForm, Role, SourceFormat,
    TABLE_FORMAT_VERSION, TableFormat, TimeForm, WrittenForm,
};
