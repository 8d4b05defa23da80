//! Blocks of tokenised rows, checked for their number of fields and for UTF-8.

use std::io::Read;
use std::sync::Arc;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};

use super::input::CsvInput;
use crate::data::error::{DataError, check_names};

/// A block ends early once its text is this large, so that no column's text passes 32-bit offsets.
const BLOCK_BYTES: usize = 64 << 20;
/// A block ends early once it has so many fields, so that thousands of columns do not take more memory than tens.
const BLOCK_FIELDS: usize = 1 << 21;

/// Rows of fields: the unquoted text of all fields in a row and its ends.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    /// End of each field in `bytes`, row by row.
    ends: Vec<usize>,
    /// Place of the input after which each row starts, in bytes.
    starts: Vec<u64>,
    columns: usize,
}

impl Block {
    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.starts.len()
    }

    /// Place of the input after which a row starts, in bytes; [`CsvInput::line_at`] knows its line.
    pub(super) fn start(&self, row: usize) -> u64 {
        self.starts[row]
    }

    /// The fields of one column, by row.
    pub(super) fn column(&self, column: usize) -> impl Iterator<Item = &[u8]> {
        (0..self.rows()).map(move |row| self.field(row, column))
    }

    fn field(&self, row: usize, column: usize) -> &[u8] {
        let at = row * self.columns + column;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    fn clear(&mut self, columns: usize) {
        self.bytes.clear();
        self.ends.clear();
        self.starts.clear();
        self.columns = columns;
    }

    fn push(&mut self, record: &ByteRecord, start: u64) {
        let base = self.bytes.len();
        self.bytes.extend_from_slice(record.as_slice());
        let mut end = base;
        self.ends.extend(record.iter().map(|field| {
            end += field.len();
            end
        }));
        self.starts.push(start);
    }

    /// First field, by row and column, that is not UTF-8.
    fn first_not_utf8(&self) -> Option<(usize, usize)> {
        let all_valid = simdutf8::basic::from_utf8(&self.bytes).is_ok_and(|text| {
            // Two invalid fields could together make a character.
            text.is_ascii() || self.ends.iter().all(|&end| text.is_char_boundary(end))
        });
        if all_valid {
            return None;
        }
        (0..self.rows())
            .flat_map(|row| (0..self.columns).map(move |column| (row, column)))
            .find(|&(row, column)| std::str::from_utf8(self.field(row, column)).is_err())
    }
}

/// Reads an input in blocks.
pub(super) struct BlockReader {
    input: Arc<CsvInput>,
    reader: Reader<Box<dyn Read + Send>>,
    record: ByteRecord,
    delimiter: u8,
    names: Vec<String>,
}

impl BlockReader {
    /// Reads the header; columns without a name or with the same one are errors.
    pub(super) fn new(input: Arc<CsvInput>, delimiter: u8) -> Result<Self, DataError> {
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 17)
            .from_reader(input.reader()?);
        let mut opened = Self {
            input,
            reader,
            record: ByteRecord::new(),
            delimiter,
            names: Vec::new(),
        };
        if !opened.read_record()? {
            return Err(DataError::EmptyFile {
                file: opened.input.name.clone(),
            });
        }
        opened.names = header_names(&opened.record, &opened.input.name)?;
        Ok(opened)
    }

    /// Names of the columns.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Fills `block` with at most `rows` rows; without any at the end of the input.
    pub(super) fn read_block(&mut self, rows: usize, block: &mut Block) -> Result<(), DataError> {
        block.clear(self.names.len());
        let rows = rows.min(BLOCK_FIELDS.div_ceil(self.names.len().max(1)));
        while block.rows() < rows && block.bytes.len() < BLOCK_BYTES && self.read_record()? {
            let start = self.record.position().map_or(0, csv::Position::byte);
            if self.record.len() != self.names.len() {
                return Err(DataError::FieldCount {
                    file: self.input.name.clone(),
                    line: self.input.line_at(start)?,
                    found: self.record.len(),
                    expected: self.names.len(),
                    delimiter: self.delimiter as char,
                });
            }
            block.push(&self.record, start);
        }
        match block.first_not_utf8() {
            None => Ok(()),
            Some((row, column)) => Err(DataError::NotUtf8 {
                file: self.input.name.clone(),
                line: self.input.line_at(block.start(row))?,
                column: self.names[column].clone(),
            }),
        }
    }

    fn read_record(&mut self) -> Result<bool, DataError> {
        self.reader
            .read_byte_record(&mut self.record)
            .map_err(|error| match error.into_kind() {
                ErrorKind::Io(error) => self.input.failed(error),
                // Byte records of any width know no other error.
                other => self.input.failed(std::io::Error::other(format!("{other:?}"))),
            })
    }
}

fn header_names(header: &ByteRecord, file: &str) -> Result<Vec<String>, DataError> {
    let names: Result<Vec<String>, DataError> = header
        .iter()
        .enumerate()
        .map(|(at, field)| match std::str::from_utf8(field) {
            Ok(name) => Ok(name.to_owned()),
            Err(_) => Err(DataError::NotUtf8 {
                file: file.to_owned(),
                line: 1,
                column: (at + 1).to_string(),
            }),
        })
        .collect();
    let names = names?;
    check_names(file, names.iter().map(String::as_str))?;
    Ok(names)
}
