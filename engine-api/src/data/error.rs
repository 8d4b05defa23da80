//! What can be wrong with a table or its file, each in one sentence that says where and what to do.

use std::collections::HashMap;

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;
use thiserror::Error;

use crate::files::FileError;

/// Longest part of a user's value that a message shows, in characters.
const SHOWN_CHARS: usize = 40;

/// Why a table could not be read or written. `file` is the path as given, `standard input`, or the name of a table in
/// memory; lines and rows count from 1, lines with the header.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The name of a file does not say its format.
    #[error(
        "{file}: its ending names no known format; use .csv, .csv.gz or .parquet, or - for CSV through a pipe"
    )]
    UnknownFormat {
        /// The file.
        file: String,
    },
    /// There is nothing in the file.
    #[error("{file}: the file is empty; give a table with a header and at least one row")]
    EmptyFile {
        /// The file.
        file: String,
    },
    /// There are columns but no rows.
    #[error("{file}: there is a header but no row below it; give a table with at least one row")]
    NoRows {
        /// The file.
        file: String,
    },
    /// There are no columns.
    #[error("{file}: the table has no columns; give a table with at least one")]
    NoColumns {
        /// The table.
        file: String,
    },
    /// No column is left of the table.
    #[error("{file}: every column is excluded; keep at least one")]
    AllExcluded {
        /// The table.
        file: String,
    },
    /// A column has no name.
    #[error("{file}: column {position} has no name; name it in the header")]
    EmptyColumnName {
        /// The file.
        file: String,
        /// Place of the column, from 1.
        position: usize,
    },
    /// Two columns have one name.
    #[error("{file}: columns {first} and {second} are both called {column:?}; rename one of the two")]
    DuplicateColumn {
        /// The file.
        file: String,
        /// The name.
        column: String,
        /// Place of the first, from 1.
        first: usize,
        /// Place of the second, from 1.
        second: usize,
    },
    /// A row has more or fewer fields than the header.
    #[error(
        "{file}, line {line}: the row has {found} {}, the header has {expected}; correct the line (is a quote or the \
         delimiter {delimiter:?} missing or superfluous?)",
        if *found == 1 { "field" } else { "fields" }
    )]
    FieldCount {
        /// The file.
        file: String,
        /// Line on which the row starts.
        line: u64,
        /// Fields of the row.
        found: usize,
        /// Columns of the header.
        expected: usize,
        /// The delimiter that was given or found.
        delimiter: char,
    },
    /// Bytes are not text in UTF-8.
    #[error(
        "{file}, line {line}, column {column:?}: the bytes are not UTF-8 text; save the file in the encoding UTF-8"
    )]
    NotUtf8 {
        /// The file.
        file: String,
        /// Line on which the row starts.
        line: u64,
        /// Name of the column, or its place when the header is what cannot be read.
        column: String,
    },
    /// The delimiter cannot delimit.
    #[error(
        "{delimiter:?} cannot be a delimiter; give one ASCII character that is not a quote or a line end"
    )]
    Delimiter {
        /// The character given.
        delimiter: char,
    },
    /// A number that is not finite.
    #[error(
        "{file}, {place} {row}, column {column:?}: {value:?} is not a finite number; correct or empty the value, or \
         exclude the column"
    )]
    Infinite {
        /// The file.
        file: String,
        /// `line` in a text file, else `row`.
        place: &'static str,
        /// Number of the line or row.
        row: u64,
        /// Name of the column.
        column: String,
        /// The value, shortened.
        value: String,
    },
    /// A value is written in another form than the model's table has.
    #[error(
        "{file}, row {row}, column {column:?}: {value:?} is {found}, and the model has learnt {expected}; write it so, or empty it"
    )]
    Form {
        /// The file.
        file: String,
        /// Number of the row, from 1 below the header.
        row: u64,
        /// Name of the column.
        column: String,
        /// The value, shortened.
        value: String,
        /// The form of the value.
        found: String,
        /// The form of the model's column.
        expected: String,
    },
    /// A text file is not what it was when it was first read.
    #[error(
        "{file}, line {line}, column {column:?}: {value:?} was not there when the file was first read; let nothing \
         write to the file meanwhile and run again"
    )]
    Changed {
        /// The file.
        file: String,
        /// Number of the line.
        line: u64,
        /// Name of the column.
        column: String,
        /// The value, shortened.
        value: String,
    },
    /// Compressed data cannot be unpacked.
    #[error("{file}: the gzip data is cut short or damaged; make or fetch the file anew")]
    Gzip {
        /// The file.
        file: String,
    },
    /// A Parquet file cannot be read.
    #[error(
        "{file}: this is no Parquet file, or it is cut short or damaged; make or fetch it anew ({source})"
    )]
    Parquet {
        /// The file.
        file: String,
        /// The reader's reason.
        source: ParquetError,
    },
    /// A Parquet file cannot be written.
    #[error(
        "{file}: the table cannot be written as Parquet; write CSV, or exclude the column that is named ({source})"
    )]
    ParquetWrite {
        /// The file.
        file: String,
        /// The writer's reason.
        source: ParquetError,
    },
    /// A column has a type that no encoding takes.
    #[error(
        "{file}, column {column:?}: columns of the type {data_type} are not supported; exclude the column or make it \
         text, a number, a date or a boolean"
    )]
    UnsupportedType {
        /// The file.
        file: String,
        /// Name of the column.
        column: String,
        /// The Arrow type.
        data_type: String,
    },
    /// Values of a column do not fit the type that is needed.
    #[error(
        "column {column:?}: the values do not convert to {data_type}; exclude the column or change its type ({source})"
    )]
    Convert {
        /// Name of the column.
        column: String,
        /// The Arrow type that was wanted.
        data_type: String,
        /// Arrow's reason.
        source: ArrowError,
    },
    /// A name is not one of the table's columns.
    #[error("{table}: there is no column {column:?}; the columns are {known}")]
    UnknownColumn {
        /// The table, or the model.
        table: String,
        /// The name given.
        column: String,
        /// The columns there are, shortened.
        known: String,
    },
    /// Columns do not form the table that was requested.
    #[error("column {column:?} does not fit the table's format: {problem}; give the columns of the format")]
    Mismatch {
        /// Name of the column.
        column: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Columns do not form a table.
    #[error(transparent)]
    Table(#[from] engine_core::schema::TableError),
    /// A record batch has another schema than the table.
    #[error("{file}: record batch {batch} has another schema than the first; give batches of one schema")]
    BatchSchema {
        /// Name of the table.
        file: String,
        /// Number of the batch, from 1.
        batch: usize,
    },
    /// The stored format of a table cannot be read.
    #[error("{file}: this is not a table format of ours; make the workspace anew ({source})")]
    FormatJson {
        /// The file.
        file: String,
        /// The reader's reason.
        source: serde_json::Error,
    },
    /// The stored format of a table was written by a newer version.
    #[error(
        "{file}: the format has version {found}, this program reads up to {supported}; use a newer version of it"
    )]
    FormatVersion {
        /// The file.
        file: String,
        /// Version in the file.
        found: u32,
        /// Newest version that is understood.
        supported: u32,
    },
}

impl DataError {
    /// Whether the reader of a pipe has gone away, which for a command is success.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::File(FileError::Closed { .. }))
    }
}

/// The beginning of a user's value, fit for a message.
pub(crate) fn shorten(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Names of columns for a message, at most ten of them.
pub(crate) fn list_names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 10;
    let more = names.len().saturating_sub(SHOWN);
    let mut listed = names
        .take(SHOWN)
        .map(|n| shorten(n.as_bytes()))
        .collect::<Vec<_>>()
        .join(", ");
    if more > 0 {
        listed.push_str(&format!(" and {more} more"));
    }
    listed
}

/// Whether every column has a name of its own.
pub(crate) fn check_names<'a>(file: &str, names: impl Iterator<Item = &'a str>) -> Result<(), DataError> {
    let mut places = HashMap::new();
    for (name, position) in names.zip(1..) {
        let file = file.to_owned();
        if name.is_empty() {
            return Err(DataError::EmptyColumnName { file, position });
        }
        if let Some(first) = places.insert(name, position) {
            let column = shorten(name.as_bytes());
            return Err(DataError::DuplicateColumn {
                file,
                column,
                first,
                second: position,
            });
        }
    }
    if places.is_empty() {
        return Err(DataError::NoColumns {
            file: file.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_shortened_by_characters() {
        assert_eq!(shorten("ä".repeat(40).as_bytes()), "ä".repeat(40));
        assert_eq!(shorten("ä".repeat(41).as_bytes()), "ä".repeat(40) + "…");
        assert_eq!(shorten(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn many_names_are_counted() {
        let names: Vec<String> = (0..12).map(|i| format!("c{i}")).collect();
        let listed = list_names(names.iter().map(String::as_str));
        assert_eq!(listed, "c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 2 more");
        assert_eq!(list_names(["a", "b"].into_iter()), "a, b");
    }
}
