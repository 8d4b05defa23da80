//! Parquet files as record batches, both ways.

mod pages;
mod read;
mod write;

use std::io;

use parquet::errors::ParquetError;

pub use read::ParquetTable;
pub use write::ParquetWriter;

/// The error of the system that Parquet has wrapped, when it is one.
fn system_error(error: ParquetError) -> Result<io::Error, ParquetError> {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            // The end of the file where more was expected means that it is cut.
            Ok(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ParquetError::External(error)),
            Ok(error) => Ok(*error),
            Err(inner) => Err(ParquetError::External(inner)),
        },
        other => Err(other),
    }
}
