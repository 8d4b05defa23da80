//! Where the text comes from: a file, a compressed file, or a pipe, all of which can be read again and again.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use crate::data::error::DataError;
use crate::files::{self, FileError};

/// Text up to this size is kept in memory between the passes.
const KEPT_BYTES: u64 = 16 << 20;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A text that can be read from its start any number of times.
#[derive(Debug)]
pub(super) struct CsvInput {
    /// How messages call it.
    pub(super) name: String,
    origin: InputOrigin,
}

#[derive(Debug)]
enum InputOrigin {
    Memory(Arc<[u8]>),
    File {
        path: PathBuf,
        gzip: bool,
    },
    /// A pipe that did not fit in memory: an unnamed file that vanishes with the process.
    Spooled {
        file: Arc<File>,
        gzip: bool,
    },
}

type Bytes = Box<dyn Read + Send>;

impl CsvInput {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        if path == Path::new("-") {
            return Self::spool(io::stdin().lock(), "standard input");
        }
        let name = path.display().to_string();
        let mut file = files::open(path)?;
        let (start, gzip) = sniff_gzip(&mut file).map_err(|e| FileError::new(path, "read", e))?;
        let regular = file.metadata().is_ok_and(|m| m.is_file());
        if !regular {
            return Self::spool(Cursor::new(start).chain(file), &name);
        }
        let origin = InputOrigin::File {
            path: path.to_owned(),
            gzip,
        };
        Self { name, origin }.keep_if_small(Cursor::new(start).chain(file), gzip)
    }

    /// Takes a stream that can be read only once.
    pub(super) fn spool(mut stream: impl Read, name: &str) -> Result<Self, DataError> {
        let failed = |e| DataError::File(FileError::new(name, "read", e));
        let (start, gzip) = sniff_gzip(&mut stream).map_err(failed)?;
        let mut stream = Cursor::new(start).chain(stream);
        let mut kept = Vec::new();
        (&mut stream)
            .take(KEPT_BYTES + 1)
            .read_to_end(&mut kept)
            .map_err(failed)?;
        let fits = kept.len() as u64 <= KEPT_BYTES;
        let name = name.to_owned();
        if fits && !gzip {
            return Ok(Self {
                name,
                origin: InputOrigin::Memory(without_mark(kept).into()),
            });
        }
        let spooled = (|| {
            let mut file = tempfile::tempfile()?;
            io::copy(&mut Cursor::new(&kept).chain(stream), &mut file)?;
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        })();
        let file = spooled.map_err(|e| FileError::new(std::env::temp_dir(), "write to", e))?;
        Ok(Self {
            name,
            origin: InputOrigin::Spooled {
                file: Arc::new(file),
                gzip,
            },
        })
    }

    /// Keeps the text in memory when it is small, so that the second pass neither unpacks it again nor can find it
    /// changed.
    fn keep_if_small(self, stream: Chain<Cursor<Vec<u8>>, File>, gzip: bool) -> Result<Self, DataError> {
        let mut kept = Vec::new();
        let mut stream: Take<Bytes> = unpacked(stream, gzip).take(KEPT_BYTES + 1);
        stream.read_to_end(&mut kept).map_err(|e| self.failed(e))?;
        if kept.len() as u64 > KEPT_BYTES {
            return Ok(self);
        }
        Ok(Self {
            name: self.name,
            origin: InputOrigin::Memory(without_mark(kept).into()),
        })
    }

    /// The text from its start, without a byte order mark.
    pub(super) fn reader(&self) -> Result<Bytes, DataError> {
        let mut stream: Bytes = match &self.origin {
            InputOrigin::Memory(bytes) => return Ok(Box::new(Cursor::new(Arc::clone(bytes)))),
            InputOrigin::File { path, gzip } => unpacked(files::open(path)?, *gzip),
            InputOrigin::Spooled { file, gzip } => unpacked(
                FromStart {
                    file: Arc::clone(file),
                    position: 0,
                },
                *gzip,
            ),
        };
        let mut start = Vec::new();
        (&mut stream)
            .take(BYTE_ORDER_MARK.len() as u64)
            .read_to_end(&mut start)
            .map_err(|e| self.failed(e))?;
        Ok(Box::new(Cursor::new(without_mark(start)).chain(stream)))
    }

    /// Line of the first row after `start` bytes of the text. It reads the text again, which only messages are worth.
    pub(super) fn line_at(&self, start: u64) -> Result<u64, DataError> {
        let mut stream = BufReader::new(self.reader()?);
        let mut line = 1;
        let mut left = start;
        loop {
            let bytes = stream.fill_buf().map_err(|e| self.failed(e))?;
            let before = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let blank = bytes[before..]
                .iter()
                .take_while(|b| matches!(b, b'\n' | b'\r'))
                .count();
            let passed = before + blank;
            line += memchr::memchr_iter(b'\n', &bytes[..passed]).count() as u64;
            if bytes.is_empty() || passed < bytes.len() {
                return Ok(line);
            }
            left -= before as u64;
            stream.consume(passed);
        }
    }

    /// Puts the input's name to an error of a read.
    pub(super) fn failed(&self, error: io::Error) -> DataError {
        let gzip = match self.origin {
            InputOrigin::Memory(_) => false,
            InputOrigin::File { gzip, .. } | InputOrigin::Spooled { gzip, .. } => gzip,
        };
        let damaged = matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
        );
        if gzip && damaged {
            return DataError::Gzip {
                file: self.name.clone(),
            };
        }
        FileError::new(&self.name, "read", error).into()
    }
}

fn sniff_gzip(stream: &mut impl Read) -> io::Result<(Vec<u8>, bool)> {
    let mut start = Vec::new();
    stream.take(2).read_to_end(&mut start)?;
    let gzip = start == GZIP_MAGIC;
    Ok((start, gzip))
}

fn unpacked(stream: impl Read + Send + 'static, gzip: bool) -> Bytes {
    if gzip {
        Box::new(MultiGzDecoder::new(stream))
    } else {
        Box::new(stream)
    }
}

fn without_mark(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    bytes
}

/// Reads a shared file from its start, with a position of its own.
struct FromStart {
    file: Arc<File>,
    position: u64,
}

impl Read for FromStart {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&*self.file, buffer, self.position)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}
