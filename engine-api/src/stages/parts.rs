//! The files that a table is split into.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use engine_core::encode::{EncodeError, SplitPart};
use engine_core::random::{Permutation, Purpose, Stream};
use engine_core::remedy::Job;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::data::ParquetTable;
use crate::files::FileError;
use crate::identity::{Identity, TableDigest};
use crate::{EngineError, WorkspaceLayout};

/// Name of the file that says how a table was split.
pub(super) const SPLIT_FILE: &str = "split.json";
/// Cells that are looked at at once, and how many rows that is at least and at most. Tables of up to so many rows are
/// analyzed in one piece for each purpose, as the peer does it.
const CHUNK_CELLS: usize = 1 << 22;
const CHUNK_ROWS: std::ops::RangeInclusive<usize> = 1 << 14..=1 << 18;

/// A part of the table, or of its codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartFile {
    pub(super) part: SplitPart,
    pub(super) path: PathBuf,
}

/// Name of part number `index`.
pub(super) fn part_name(index: usize, part: SplitPart) -> String {
    let purpose = match part {
        SplitPart::Training => "trn",
        SplitPart::Validation => "val",
    };
    format!("part.{index:06}-{purpose}.parquet")
}

/// The parts in a folder by name; none when there is no such folder.
pub(super) fn part_files(folder: &Path) -> Result<Vec<PartFile>, EngineError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(FileError::new(folder, "read", e).into()),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| FileError::new(folder, "read", e))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let id = name
            .strip_prefix("part.")
            .and_then(|n| n.strip_suffix(".parquet"));
        let part = match id.and_then(|id| id.split_once('-')) {
            Some((_, "trn")) => SplitPart::Training,
            Some((_, "val")) => SplitPart::Validation,
            _ => continue,
        };
        files.push(PartFile { part, path });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The record batches of a part, about equally long, and their number of rows.
pub(super) struct PartRows {
    pub(super) rows: u64,
    table: ParquetTable,
}

impl PartRows {
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let table = ParquetTable::open(path)?;
        Ok(Self {
            rows: table.rows(),
            table,
        })
    }

    pub(super) fn batches(
        &self,
    ) -> Result<impl Iterator<Item = Result<arrow_array::RecordBatch, crate::data::DataError>>, EngineError>
    {
        let width = self.table.schema().fields().len();
        let columns: Vec<usize> = (0..width).collect();
        let max = (CHUNK_CELLS / width.max(1)).clamp(*CHUNK_ROWS.start(), *CHUNK_ROWS.end());
        let rows = usize::try_from(self.rows).unwrap_or(usize::MAX);
        let chunks = rows.div_ceil(max).max(1);
        Ok(self.table.batches(&columns, rows.div_ceil(chunks).max(1))?)
    }
}

/// How a table was split: enough to say which row of the table a row of a part is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SplitRecord {
    /// Identity of this split.
    pub(crate) id: Identity,
    /// Statistics that it is to be encoded with although they are those of another table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reuses: Option<Identity>,
    /// Identifies the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<TableDigest>,
    /// Seed of the assignment.
    pub(crate) seed: u64,
    /// What messages call the table.
    pub(crate) table: String,
    /// Rows of the table.
    pub(crate) rows: u64,
    /// Those to train on.
    pub(crate) training_rows: u64,
    /// Files for either purpose.
    pub(crate) partitions: usize,
}

impl SplitRecord {
    /// Which file each row goes to: 0 is the first training part, 1 the first validation part, 2 the second training
    /// part and so on, as the files are sorted by name.
    pub(super) fn slots(&self) -> impl Fn(u64) -> usize {
        let stream = Stream::new(self.seed, Purpose::Split, 0);
        let permutation = Permutation::new(stream, 0, self.rows);
        let (training, partitions) = (self.training_rows, self.partitions as u64);
        move |row| {
            let place = permutation.get(row);
            match place.checked_sub(training) {
                None => 2 * (place % partitions) as usize,
                Some(place) => 2 * (place % partitions) as usize + 1,
            }
        }
    }

    /// The row of the table that stands at `place` when all parts are put behind one another.
    fn row_of_table(&self, place: u64) -> u64 {
        let slot_of = self.slots();
        let mut lengths = vec![0u64; 2 * self.partitions];
        (0..self.rows).for_each(|row| lengths[slot_of(row)] += 1);
        let mut left = place;
        for (slot, length) in lengths.into_iter().enumerate() {
            if left < length {
                let mut of_slot = (0..self.rows).filter(|row| slot_of(*row) == slot);
                return of_slot
                    .nth(usize::try_from(left).unwrap_or(usize::MAX))
                    .unwrap_or(place);
            }
            left -= length;
        }
        place
    }

    /// Puts the table's name and its own row number into an error about the parts.
    pub(super) fn explain(&self, mut source: EncodeError) -> EngineError {
        if let EncodeError::Infinite { row, .. }
        | EncodeError::ParseFailures { row, .. }
        | EncodeError::ShortYear { row, .. } = &mut source
        {
            *row = self.row_of_table(*row);
        }
        EngineError::Encode {
            table: self.table.clone(),
            source,
        }
    }
}

/// How the table of a workspace was split; `None` when it is not there.
pub(crate) fn load_split(layout: &WorkspaceLayout) -> Result<Option<SplitRecord>, EngineError> {
    read_meta(layout, SPLIT_FILE)
}

/// Reads a JSON file of the table's meta data; `None` when there is none.
pub(super) fn read_meta<T: DeserializeOwned>(
    layout: &WorkspaceLayout,
    name: &str,
) -> Result<Option<T>, EngineError> {
    let path = layout.table_meta().join(name);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(FileError::new(path, "read", e).into()),
    };
    let value = serde_json::from_str(&text).map_err(|e| EngineError::Corrupt {
        path,
        reason: format!("the file cannot be read ({e})"),
        made_by: Job::Split,
    })?;
    Ok(Some(value))
}
