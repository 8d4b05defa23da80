//! The headers of Parquet pages, looked at before the pages are read: a reader allocates as many bytes as a header names, and a
//! damaged one names any number. Headers are structs in Thrift's compact protocol.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use parquet::basic::CompressionCodec;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;

/// Bytes that a page may always unpack to.
const ALWAYS: u64 = 1 << 16;
/// Structs and lists inside each other; headers have three.
const MAX_DEPTH: usize = 8;

/// Types of the compact protocol.
mod kind {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
}

/// Checks that no page of a column chunk claims to unpack to more than its codec can make of its bytes.
///
/// # Errors
/// When a page does, when a header cannot be read, or when the file cannot.
pub(super) fn check(file: &File, chunk: &ColumnChunkMetaData) -> Result<(), ParquetError> {
    let Some(max) = max_ratio(chunk.compression_codec()) else {
        return Ok(());
    };
    let (start, length) = chunk.byte_range();
    let end = start.saturating_add(length);
    let mut reader = BufReader::with_capacity(512, file);
    let mut at = start;
    while at < end {
        reader.seek(SeekFrom::Start(at))?;
        let mut header = Header {
            reader: (&mut reader).take(end - at),
            read: 0,
        };
        let (unpacked, packed) = header.sizes()?;
        let allowed = packed.saturating_mul(max).saturating_add(ALWAYS);
        if unpacked > allowed {
            let text = format!("a page of {packed} bytes claims to unpack to {unpacked}");
            return Err(ParquetError::General(text));
        }
        at = at.saturating_add(header.read).saturating_add(packed);
    }
    Ok(())
}

/// How many bytes a codec can make of one; `None` where the reader allocates nothing before it has the bytes.
fn max_ratio(codec: CompressionCodec) -> Option<u64> {
    match codec {
        CompressionCodec::UNCOMPRESSED => None,
        // A copy of 64 bytes takes three.
        CompressionCodec::SNAPPY => Some(22),
        // A length grows by 255 with each byte.
        CompressionCodec::LZ4 | CompressionCodec::LZ4_RAW => Some(256),
        // A copy of 258 bytes takes two bits.
        CompressionCodec::GZIP => Some(1_032),
        // A block of 128 KiB of one byte takes four.
        _ => Some(1 << 15),
    }
}

/// A header while it is read.
struct Header<R> {
    reader: R,
    /// Bytes so far.
    read: u64,
}

impl<R: Read> Header<R> {
    /// The unpacked and the packed size of a page, its second and its third field.
    fn sizes(&mut self) -> io::Result<(u64, u64)> {
        let (mut unpacked, mut packed) = (None, None);
        self.fields(0, |id, value| match id {
            2 => unpacked = Some(value),
            3 => packed = Some(value),
            _ => {}
        })?;
        let size = |value: Option<i64>| value.and_then(|v| u64::try_from(v).ok()).ok_or_else(damaged);
        Ok((size(unpacked)?, size(packed)?))
    }

    /// Reads a struct to its end and returns its whole numbers with the numbers of their fields.
    fn fields(&mut self, depth: usize, mut number: impl FnMut(i64, i64)) -> io::Result<()> {
        let mut id = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            id = match i64::from(head >> 4) {
                0 => self.signed()?,
                step => id + step,
            };
            match head & 0x0F {
                // Booleans of fields are in their type.
                kind::TRUE | kind::FALSE => {}
                kind::I16..=kind::I64 => number(id, self.signed()?),
                other => self.skip(other, depth)?,
            }
        }
    }

    /// Passes over a value that is no field's boolean.
    fn skip(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        if depth >= MAX_DEPTH {
            return Err(damaged());
        }
        match kind {
            kind::TRUE | kind::FALSE | kind::BYTE => self.pass(1),
            kind::I16..=kind::I64 => self.varint().map(drop),
            kind::DOUBLE => self.pass(8),
            kind::BINARY => {
                let length = self.varint()?;
                self.pass(length)
            }
            kind::LIST | kind::SET => {
                let head = self.byte()?;
                let length = match head >> 4 {
                    15 => self.varint()?,
                    short => u64::from(short),
                };
                (0..length).try_for_each(|_| self.skip(head & 0x0F, depth + 1))
            }
            kind::MAP => {
                let length = self.varint()?;
                let kinds = if length > 0 { self.byte()? } else { 0 };
                (0..length).try_for_each(|_| {
                    self.skip(kinds >> 4, depth + 1)?;
                    self.skip(kinds & 0x0F, depth + 1)
                })
            }
            kind::STRUCT => self.fields(depth + 1, |_, _| {}),
            _ => Err(damaged()),
        }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn pass(&mut self, length: u64) -> io::Result<()> {
        let passed = io::copy(&mut self.reader.by_ref().take(length), &mut io::sink())?;
        self.read += passed;
        if passed == length { Ok(()) } else { Err(damaged()) }
    }

    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(damaged())
    }

    /// Zigzag: the sign is the lowest bit.
    fn signed(&mut self) -> io::Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the header of a page is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(bytes: &[u8]) -> io::Result<((u64, u64), u64)> {
        let mut header = Header {
            reader: bytes,
            read: 0,
        };
        header.sizes().map(|sizes| (sizes, header.read))
    }

    #[test]
    fn sizes_are_found_among_all_other_fields() {
        let mut header = vec![
            0x15, 0x00, // 1: data page
            0x15, 0xC8, 0x01, // 2: 100
            0x15, 0x50, // 3: 40
            0x2C, // 5: the header of a data page
            0x15, 0x0A, 0x11, // 1: 5 values; 2: true
            0x18, 0x03, b'a', b'b', b'c', // 3: bytes
            0x19, 0x25, 0x02, 0x04, // 4: two numbers
            0x1B, 0x01, 0x85, 0x01, b'x', 0x02, // 5: a map
            0x17, 0, 0, 0, 0, 0, 0, 0, 0, // 6: a double
            0x00, 0x00,
        ];
        let length = header.len() as u64;
        header.extend([9; 5]);
        assert_eq!(sizes(&header).unwrap(), ((100, 40), length));
        // Cut anywhere it is damaged.
        for cut in 0..length as usize {
            assert!(sizes(&header[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn impossible_headers_are_refused() {
        assert!(sizes(&[0x25, 0x02, 0x15, 0x01, 0x00]).is_err(), "a negative size");
        assert!(sizes(&[0x15, 0x02, 0x00]).is_err(), "no size");
        assert!(sizes(&[0x1D]).is_err(), "an unknown type");
        assert!(sizes(&[0x1C; 40]).is_err(), "structs in structs");
        assert!(sizes(&[0x15, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]).is_err());
    }
}
