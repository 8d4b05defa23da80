//! Writing a synthetic table as the original was written.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::csv::{CsvFormatter, GivenCells, Rounding};
use super::error::DataError;
use super::parquet::ParquetWriter;
use super::source::PathFormat;
use super::written::TableFormat;
use crate::files::{AtomicFile, FileError};

/// A table being written batch by batch: `.csv`, `.csv.gz` or `.parquet` by its ending, or CSV to standard output for
/// `-`. A file appears only when [`TableSink::finish`] succeeds; a dropped sink leaves nothing behind.
pub struct TableSink {
    schema: SchemaRef,
    rows: u64,
    target: Target,
}

enum Target {
    Csv(Box<CsvTarget>),
    Parquet(Box<ParquetWriter>),
}

struct CsvTarget {
    path: PathBuf,
    formatter: CsvFormatter,
    stream: CsvStream,
}

enum CsvStream {
    Plain(AtomicFile),
    Gzip(Box<GzEncoder<AtomicFile>>),
    Pipe(Box<dyn Write + Send>),
}

impl TableSink {
    /// Starts a table with the output columns of `format`.
    ///
    /// # Errors
    /// [`DataError::UnknownFormat`] when the path names no format, [`FileError`] when it cannot be written.
    pub fn create(path: &Path, format: &TableFormat) -> Result<Self, DataError> {
        if path == Path::new("-") {
            return Self::to_pipe(Box::new(io::stdout()), "standard output", format);
        }
        let stream = match PathFormat::of(path)? {
            PathFormat::Parquet => {
                let schema = format.output_schema();
                let writer = ParquetWriter::create(path, Arc::clone(&schema))?;
                return Ok(Self {
                    schema,
                    rows: 0,
                    target: Target::Parquet(Box::new(writer)),
                });
            }
            PathFormat::Csv => CsvStream::Plain(AtomicFile::create(path)?),
            PathFormat::CsvGzip => {
                let file = AtomicFile::create(path)?;
                CsvStream::Gzip(Box::new(GzEncoder::new(file, Compression::default())))
            }
        };
        Self::csv(path.to_owned(), stream, format)
    }

    /// Starts a table as CSV into any stream; `name` is for messages.
    ///
    /// # Errors
    /// [`FileError`] when the header cannot be written.
    pub fn to_pipe(
        stream: Box<dyn Write + Send>,
        name: &str,
        format: &TableFormat,
    ) -> Result<Self, DataError> {
        Self::csv(PathBuf::from(name), CsvStream::Pipe(stream), format)
    }

    fn csv(path: PathBuf, stream: CsvStream, format: &TableFormat) -> Result<Self, DataError> {
        let mut target = CsvTarget {
            path,
            formatter: CsvFormatter::new(format),
            stream,
        };
        let header = target.formatter.header();
        target
            .stream
            .write_all(&header)
            .map_err(|e| FileError::new(&target.path, "write", e))?;
        Ok(Self {
            schema: format.output_schema(),
            rows: 0,
            target: Target::Csv(Box::new(target)),
        })
    }

    /// The same sink, for which this is what becomes of decimals that the form of a column of CSV has no place for.
    pub(crate) fn rounding(mut self, rounding: Rounding) -> Self {
        if let Target::Csv(target) = &mut self.target {
            target.formatter.set_rounding(rounding);
        }
        self
    }

    /// Schema of the batches that [`Self::write`] takes.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// [`DataError::Mismatch`] when it has other columns, [`FileError`], for instance when the disk is full.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        self.write_around(batch, &[])
    }

    /// [`Self::write`], with the cells of each column that are not drawn but given.
    pub(crate) fn write_around(
        &mut self,
        batch: &RecordBatch,
        given: &[Option<GivenCells>],
    ) -> Result<(), DataError> {
        self.check(batch)?;
        self.rows += batch.num_rows() as u64;
        match &mut self.target {
            Target::Parquet(writer) => {
                // The batch may say less about nulls, or more about its fields, than the file's schema.
                let columns = batch.columns().to_vec();
                let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows);
                writer.write(&batch.map_err(|source| DataError::Convert {
                    column: "*".to_owned(),
                    data_type: "the schema of the file".to_owned(),
                    source,
                })?)
            }
            Target::Csv(target) => {
                let CsvTarget {
                    path,
                    formatter,
                    stream,
                } = &mut **target;
                let failed = |e| FileError::new(&*path, "write", e);
                formatter.format(batch, given, |text| Ok(stream.write_all(text).map_err(failed)?))
            }
        }
    }

    fn check(&self, batch: &RecordBatch) -> Result<(), DataError> {
        let mismatch = |column: &str, problem| {
            Err(DataError::Mismatch {
                column: column.to_owned(),
                problem,
            })
        };
        let given = batch.schema_ref().fields();
        for (at, expected) in self.schema.fields().iter().enumerate() {
            match given.get(at) {
                Some(field) if field.name() != expected.name() => {
                    return mismatch(field.name(), "another column is expected in its place");
                }
                Some(field) if field.data_type() != expected.data_type() => {
                    return mismatch(field.name(), "it has another type");
                }
                Some(_) => {}
                None => return mismatch(expected.name(), "it is missing"),
            }
        }
        match given.get(self.schema.fields().len()) {
            Some(superfluous) => mismatch(superfluous.name(), "the format has no such column"),
            None => Ok(()),
        }
    }

    /// Writes what is left, puts the file into place, and returns the number of rows.
    ///
    /// # Errors
    /// [`FileError`], for instance when the disk is full; nothing is left behind then.
    pub fn finish(self) -> Result<u64, DataError> {
        match self.target {
            Target::Parquet(writer) => writer.finish(),
            Target::Csv(target) => {
                let CsvTarget { path, stream, .. } = *target;
                let failed = |e| FileError::new(&path, "write", e);
                match stream {
                    CsvStream::Plain(file) => file.commit()?,
                    CsvStream::Gzip(encoder) => encoder.finish().map_err(failed)?.commit()?,
                    CsvStream::Pipe(mut stream) => stream.flush().map_err(failed)?,
                }
                Ok(self.rows)
            }
        }
    }
}

impl CsvStream {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Pipe(stream) => stream.write_all(bytes),
        }
    }
}
