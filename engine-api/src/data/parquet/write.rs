//! Writing: the columns of a row group beside each other.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;

use super::system_error;
use crate::data::error::DataError;
use crate::files::{AtomicFile, FileError};

/// Cells of a row group, which a writer holds in memory before they are on the disk, and how many rows that is at least and
/// at most.
const ROW_GROUP_CELLS: usize = 1 << 24;
const ROW_GROUP_ROWS: std::ops::RangeInclusive<usize> = 1 << 13..=1 << 17;
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
        let has_date64 = schema.fields().iter().any(|f| f.data_type() == &DataType::Date64);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // Date64 as a date, not as a number. Elements of lists would get another name.
            .set_coerce_types(has_date64)
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
                self.end_group().map_err(|e| write_error(&self.path, e))?;
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
    fn end_group(&mut self) -> Result<(), ParquetError> {
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
            self.end_group().map_err(|e| write_error(&self.path, e))?;
        }
        let mut file = self.file.into_inner().map_err(|e| write_error(&self.path, e))?;
        file.flush().map_err(|e| FileError::new(&self.path, "write", e))?;
        file.commit()?;
        Ok(self.rows)
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
