//! The fields of CSV as they are written, byte for byte, so that some can be replaced and all others left alone.

use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::sync::Arc;

use super::input::CsvInput;
use crate::data::error::DataError;

/// Rows of CSV as they are written. What counts as a field or a row is what the reader of values holds for one.
pub(crate) struct RawRows {
    input: Arc<CsvInput>,
    stream: BufReader<Box<dyn Read + Send>>,
    delimiter: u8,
}

/// A row as it is written, with everything since the row before: blank lines and line ends too.
#[derive(Debug, Default)]
pub(crate) struct RawRow {
    text: Vec<u8>,
    fields: Vec<Range<usize>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a row.
    Blank,
    FieldStart,
    Bare,
    Quoted,
    /// After a quote inside quotes: the end, or the first half of a quote that is meant.
    QuoteInQuotes,
}

impl RawRows {
    /// Starts at the header.
    pub(super) fn new(input: Arc<CsvInput>, delimiter: u8) -> Result<Self, DataError> {
        let stream = BufReader::with_capacity(1 << 17, input.reader()?);
        Ok(Self {
            input,
            stream,
            delimiter,
        })
    }

    /// Reads the next row; `false` at the end, where the row holds what follows the last one.
    ///
    /// # Errors
    /// [`DataError`] when the file cannot be read.
    pub(crate) fn next(&mut self, row: &mut RawRow) -> Result<bool, DataError> {
        row.text.clear();
        row.fields.clear();
        let (mut state, mut start) = (State::Blank, 0);
        loop {
            let bytes = self.stream.fill_buf().map_err(|e| self.input.failed(e))?;
            if bytes.is_empty() {
                if state != State::Blank {
                    row.fields.push(start..row.text.len());
                }
                return Ok(state != State::Blank);
            }
            let (mut used, mut ends_row) = (0, false);
            for &byte in bytes {
                used += 1;
                let ends_line = matches!(byte, b'\n' | b'\r');
                if state == State::Blank && !ends_line {
                    start = row.text.len();
                    state = State::FieldStart;
                }
                let may_end = !matches!(state, State::Quoted | State::Blank);
                let at = row.text.len();
                row.text.push(byte);
                if may_end && (ends_line || byte == self.delimiter) {
                    row.fields.push(start..at);
                    (start, state) = (at + 1, State::FieldStart);
                    ends_row = ends_line;
                } else {
                    state = match (state, byte) {
                        (State::FieldStart | State::QuoteInQuotes, b'"') => State::Quoted,
                        (State::Quoted, b'"') => State::QuoteInQuotes,
                        (State::FieldStart | State::QuoteInQuotes, _) => State::Bare,
                        (other, _) => other,
                    };
                }
                if ends_row {
                    break;
                }
            }
            self.stream.consume(used);
            if ends_row {
                return Ok(true);
            }
        }
    }
}

impl RawRow {
    /// Number of fields.
    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Appends the row to `out` with some fields replaced.
    pub(crate) fn write<'t>(&self, out: &mut Vec<u8>, replacement: impl Fn(usize) -> Option<&'t [u8]>) {
        let mut done = 0;
        for (at, field) in self.fields.iter().enumerate() {
            let Some(new) = replacement(at) else { continue };
            out.extend_from_slice(&self.text[done..field.start]);
            out.extend_from_slice(new);
            done = field.end;
        }
        out.extend_from_slice(&self.text[done..]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn rows(text: &str) -> (Vec<Vec<String>>, String) {
        let input = CsvInput::spool(Cursor::new(text.as_bytes().to_vec()), "t").unwrap();
        let mut rows = RawRows::new(Arc::new(input), b',').unwrap();
        let (mut found, mut out, mut row) = (Vec::new(), Vec::new(), RawRow::default());
        loop {
            let more = rows.next(&mut row).unwrap();
            row.write(&mut out, |at| (at == 1).then_some(&b"*"[..]));
            if !more {
                return (found, String::from_utf8(out).unwrap());
            }
            let field = |f: &Range<usize>| String::from_utf8(row.text[f.clone()].to_vec()).unwrap();
            found.push(row.fields.iter().map(field).collect());
        }
    }

    #[test]
    fn fields_stay_as_they_are_written() {
        let text = "a,\"b\"\r\n\r\n\"x \"\"y\"\", z\n\",,3\r\n  1, ,\"\"\n";
        let (found, patched) = rows(text);
        assert_eq!(found[0], ["a", "\"b\""]);
        assert_eq!(found[1], ["\"x \"\"y\"\", z\n\"", "", "3"]);
        assert_eq!(found[2], ["  1", " ", "\"\""]);
        assert_eq!(found.len(), 3);
        assert_eq!(patched, "a,*\r\n\r\n\"x \"\"y\"\", z\n\",*,3\r\n  1,*,\"\"\n");
        assert_eq!(rows("a,b\n1,2").1, "a,*\n1,*");
        assert_eq!(rows("a,b\n1,2\r\n\r\n").1, "a,*\n1,*\r\n\r\n");
    }
}
