//! Programs that show embedding the library; each is one file in `src/bin`.

use std::error::Error;
use std::path::{Path, PathBuf};

use engine_api::data::{ReadOptions, TableSource};

/// The census table that ships with the project.
pub fn census() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/census.csv.gz")
}

/// Its first record batches, of at most `rows` rows together.
///
/// # Errors
/// When the table cannot be read.
pub fn census_rows(rows: usize) -> Result<arrow::array::RecordBatch, Box<dyn Error>> {
    let source = TableSource::open(
        &census(),
        &ReadOptions {
            batch_rows: rows,
            ..ReadOptions::default()
        },
    )?;
    let first = source.batches()?.next().ok_or("the table has rows")??;
    Ok(first.slice(0, rows.min(first.num_rows())))
}
