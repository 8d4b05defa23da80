//! Reading: footer, pages that are checked, record batches.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::{pages, system_error};
use crate::data::error::DataError;
use crate::files::{self, FileError};

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

    /// Refuses pages that would need more memory than their bytes can need.
    fn check_pages(&self, mask: &ProjectionMask) -> Result<(), DataError> {
        let file = files::open(&self.path)?;
        let groups = self.metadata.metadata().row_groups().iter();
        let chunks = groups.flat_map(|group| group.columns().iter().enumerate());
        let mut chunks = chunks.filter(|(leaf, _)| mask.leaf_included(*leaf));
        chunks
            .try_for_each(|(_, chunk)| guarded(|| pages::check(&file, chunk)))
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
fn read_error(path: &Path, source: ParquetError) -> DataError {
    match system_error(source) {
        Ok(error) => FileError::new(path, "read", error).into(),
        Err(source) => DataError::Parquet {
            file: path.display().to_string(),
            source,
        },
    }
}
#[cfg(test)]
mod tests {
    use arrow_array::{ArrayRef, StringArray};

    use std::sync::Arc;

    use super::*;
    use crate::data::ParquetWriter;

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
