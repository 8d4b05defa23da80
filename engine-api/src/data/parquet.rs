//! Parquet files as record batches, both ways.

use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;

use super::error::DataError;
use super::parquet_pages;
use crate::files::{self, AtomicFile, FileError};

/// Cells of a row group, which a writer holds in memory before they are on the disk, and how many rows that is at least and
/// at most.
const ROW_GROUP_CELLS: usize = 1 << 24;
const ROW_GROUP_ROWS: std::ops::RangeInclusive<usize> = 1 << 13..=1 << 17;

/// A Parquet file whose footer has been read.
#[derive(Debug, Clone)]
pub struct ParquetTable {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

impl ParquetTable {
    /// Reads the footer. Columns of every type are taken here.
    ///
    /// # Errors
    /// [`FileError`] when the file cannot be read, [`DataError::EmptyFile`] and [`DataError::Parquet`] when it is not
    /// Parquet.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = files::open(path)?;
        if file.metadata().is_ok_and(|m| m.is_file() && m.len() == 0) {
            return Err(DataError::EmptyFile {
                file: path.display().to_string(),
            });
        }
        let metadata = guarded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()));
        let metadata = metadata.map_err(|source| read_error(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            metadata,
        })
    }

    /// Schema of the whole file.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.metadata.metadata().file_metadata().num_rows().max(0) as u64
    }

    /// Refuses pages that would need more memory than their bytes can ask for.
    fn check_pages(&self, mask: &ProjectionMask) -> Result<(), DataError> {
        let file = files::open(&self.path)?;
        let groups = self.metadata.metadata().row_groups().iter();
        let chunks = groups.flat_map(|group| group.columns().iter().enumerate());
        let mut chunks = chunks.filter(|(leaf, _)| mask.leaf_included(*leaf));
        chunks
            .try_for_each(|(_, chunk)| guarded(|| parquet_pages::check(&file, chunk)))
            .map_err(|source| read_error(&self.path, source))
    }

    /// Reads the columns at `columns` (places in the schema, rising) in batches of at most `batch_rows` rows.
    ///
    /// # Errors
    /// [`FileError`] and [`DataError::Parquet`], here or with a batch.
    pub fn batches(
        &self,
        columns: &[usize],
        batch_rows: usize,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, DataError>> + Send + use<>, DataError> {
        let file: File = files::open(&self.path)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        self.check_pages(&mask)?;
        let builder = builder.with_projection(mask).with_batch_size(batch_rows);
        let reader: ParquetRecordBatchReader =
            guarded(|| builder.build()).map_err(|source| read_error(&self.path, source))?;
        Ok(ParquetBatches {
            path: self.path.clone(),
            reader: Some(reader),
        })
    }
}

/// The record batches of a file.
struct ParquetBatches {
    path: PathBuf,
    /// Nothing after an error: the reader may be in any state then.
    reader: Option<ParquetRecordBatchReader>,
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        let next = guarded(|| {
            let batch = reader.next().transpose();
            batch.map_err(|error| match error {
                ArrowError::ParquetError(said) => ParquetError::General(said),
                other => ParquetError::ArrowError(other.to_string()),
            })
        });
        if next.is_err() {
            self.reader = None;
        }
        next.map_err(|error| read_error(&self.path, error)).transpose()
    }
}

/// Calls the reader, which panics in places where pages or the footer of a damaged file contradict each other. What it has
/// worked on must not be used after an error.
fn guarded<T>(call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let contradiction = || ParquetError::General("its parts contradict each other".to_owned());
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(contradiction()))
}

/// Writes record batches of one schema, with their Arrow types, to a Parquet file that appears when it is finished. The columns of
/// a row group are encoded beside each other, on all threads.
pub struct ParquetWriter {
    path: PathBuf,
    schema: SchemaRef,
    file: SerializedFileWriter<AtomicFile>,
    groups: ArrowRowGroupWriterFactory,
    /// Writers of the columns of the row group under way.
    columns: Vec<ArrowColumnWriter>,
    /// Rows of it, and of a whole one.
    group_rows: usize,
    most_group_rows: usize,
    rows: u64,
}

impl ParquetWriter {
    /// Starts a file.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be written, [`DataError::ParquetWrite`] when Parquet has no such type.
    pub fn create(path: &Path, schema: SchemaRef) -> Result<Self, DataError> {
        let failed = |e| write_error(path, e);
        let file = AtomicFile::create(path)?;
        let columns = schema.fields().len().max(1);
        let rows = (ROW_GROUP_CELLS / columns).clamp(*ROW_GROUP_ROWS.start(), *ROW_GROUP_ROWS.end());
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(rows))
            .build();
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).map_err(failed)?;
        let (file, groups) = writer.into_serialized_writer().map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            schema,
            columns: groups.create_column_writers(0).map_err(failed)?,
            file,
            groups,
            group_rows: 0,
            most_group_rows: rows,
            rows: 0,
        })
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// [`FileError`], for instance when the disk is full, and [`DataError::ParquetWrite`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        let mut first = 0;
        while first < batch.num_rows() {
            let rows = (self.most_group_rows - self.group_rows).min(batch.num_rows() - first);
            self.encode(&batch.slice(first, rows))
                .map_err(|e| write_error(&self.path, e))?;
            first += rows;
            self.group_rows += rows;
            self.rows += rows as u64;
            if self.group_rows == self.most_group_rows {
                self.end_group()?;
            }
        }
        Ok(())
    }

    /// Adds rows to the row group under way.
    fn encode(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        let fields = self.schema.fields();
        let columns = fields.par_iter().zip(batch.columns());
        let leaves = columns.map(|(field, array)| compute_leaves(field, array));
        let leaves: Vec<Vec<ArrowLeafColumn>> = leaves.collect::<Result<_, _>>()?;
        let leaves: Vec<&ArrowLeafColumn> = leaves.iter().flatten().collect();
        let columns = self.columns.par_iter_mut().zip(leaves);
        columns.try_for_each(|(writer, leaf)| writer.write(leaf))
    }

    /// Puts the row group under way into the file, and begins another.
    fn end_group(&mut self) -> Result<(), DataError> {
        self.append_group().map_err(|e| write_error(&self.path, e))
    }

    fn append_group(&mut self) -> Result<(), ParquetError> {
        let next = self
            .groups
            .create_column_writers(self.file.flushed_row_groups().len() + 1)?;
        let columns = std::mem::replace(&mut self.columns, next);
        let chunks = columns.into_par_iter().map(ArrowColumnWriter::close);
        let chunks: Vec<ArrowColumnChunk> = chunks.collect::<Result<_, _>>()?;
        let mut group = self.file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close()?;
        self.group_rows = 0;
        Ok(())
    }

    /// Writes the footer, puts the file into place, and returns the number of rows.
    ///
    /// # Errors
    /// As [`Self::write`]; nothing is left behind then.
    pub fn finish(mut self) -> Result<u64, DataError> {
        if self.group_rows > 0 {
            self.end_group()?;
        }
        let mut file = self.file.into_inner().map_err(|e| write_error(&self.path, e))?;
        file.flush().map_err(|e| FileError::new(&self.path, "write", e))?;
        file.commit()?;
        Ok(self.rows)
    }
}

fn read_error(path: &Path, source: ParquetError) -> DataError {
    match system_error(source) {
        Ok(error) => FileError::new(path, "read", error).into(),
        Err(source) => DataError::Parquet {
            file: path.display().to_string(),
            source,
        },
    }
}

fn write_error(path: &Path, source: ParquetError) -> DataError {
    match system_error(source) {
        Ok(error) => FileError::new(path, "write", error).into(),
        Err(source) => DataError::ParquetWrite {
            file: path.display().to_string(),
            source,
        },
    }
}

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

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn a_panic_of_the_reader_is_an_error_of_the_file() {
        // Definition levels that run past their page do this.
        let error = guarded(|| -> Result<(), ParquetError> { panic!("offset + len out of bounds") });
        let error = read_error(Path::new("t.parquet"), error.unwrap_err());
        assert_eq!(
            error.to_string(),
            "t.parquet: this is no Parquet file, or it is cut short or damaged; make or fetch it anew (Parquet error: its \
             parts contradict each other)"
        );
        assert_eq!(guarded(|| Ok(5)).unwrap(), 5);
    }

    #[test]
    fn a_page_that_claims_to_unpack_to_more_than_it_can_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        // A megabyte of texts in the first page, so that its size takes four bytes.
        let texts = (0..3_000).map(|i| format!("{:a>700}", i));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let mut writer = ParquetWriter::create(&path, batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        let read = || -> Result<usize, DataError> {
            let batches = ParquetTable::open(&path)?.batches(&[0], 1_000)?;
            batches.map(|batch| batch.map(|b| b.num_rows())).sum()
        };
        assert_eq!(read().unwrap(), 3_000);

        let table = ParquetTable::open(&path).unwrap();
        let (start, _) = table.metadata.metadata().row_group(0).column(0).byte_range();
        let mut bytes = std::fs::read(&path).unwrap();
        let header = &mut bytes[start as usize..];
        // Two fields of whole numbers, the type and the size.
        assert_eq!((header[0], header[2]), (0x15, 0x15));
        assert!(header[3..6].iter().all(|b| b & 0x80 != 0) && header[6] & 0x80 == 0);
        header[6] = 0x7F;
        std::fs::write(&path, bytes).unwrap();
        let error = read().unwrap_err().to_string();
        assert!(error.contains("claims to unpack to 13"), "{error}");
    }
}
