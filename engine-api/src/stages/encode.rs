//! Encode: from the rows of a table to codes.

use engine_core::encode::{self, EncodingTypes, SubColumn, TableStats};
use engine_core::random::{Permutation, Purpose, Stream};
use engine_core::remedy::Job;
use engine_core::schema::CodeTable;
use engine_core::target_name;

use super::analyze::explained;
use super::codes::{empty_codes, write_codes};
use super::parts::{PartRows, part_files};
use crate::EngineError;
use crate::data::TableBatch;
use crate::event::{ProgressCallback, RowCount, Stage};
use crate::files::AtomicFolder;
use crate::identity::{CODES_FILE, CodesRecord, Identity, current_split, current_statistics};
use crate::model_store::load_stats;
use crate::options::EncodeOptions;
use crate::stages::SplitRecord;
use crate::workspace::{Workspace, write_json};

/// Turns the rows of the table that was split into codes with the statistics of the workspace, in
/// `OriginalData/encoded-data/`. In each part the rows are shuffled, so that nothing can be inferred from their order. Memory
/// grows with the codes of a part only.
///
/// # Errors
/// [`EngineError::Lacks`] when the table has not been split or analyzed; [`EngineError::Encode`] names the column that is
/// missing or does not suit its encoding; [`EngineError::Cancelled`].
pub fn encode(
    workspace: &Workspace,
    options: &EncodeOptions,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<(), EngineError> {
    let layout = workspace.layout(Stage::Encode)?;
    let files = part_files(&layout.table_data())?;
    if files.is_empty() {
        return Err(workspace.lacks(
            concat!("table (OriginalData/", target_name!("-data"), ")"),
            Job::Split,
        ));
    }
    let stats = load_stats(workspace)?;
    let sub_columns = stats.sub_columns();
    let seed = workspace.stage_seed(options.seed)?;
    let record = current_split(workspace)?;
    let statistics = current_statistics(workspace)?;

    let parts = files.iter().map(|file| Ok((file, PartRows::open(&file.path)?)));
    let parts = parts.collect::<Result<Vec<_>, EngineError>>()?;
    let total = parts.iter().map(|(_, rows)| rows.rows).sum();
    let mut count = RowCount::start(on_progress, Stage::Encode, total)?;
    let folder = AtomicFolder::create_private(&layout.encoded_data())?;
    let mut encoder = Encoder {
        stats: &stats,
        sub_columns: &sub_columns,
        types: encoding_types(&stats),
        record: record.as_ref(),
        seed,
        first_row: 0,
    };
    for (index, (file, rows)) in parts.iter().enumerate() {
        let codes = encoder.part(rows, &mut count)?;
        // An empty file would say nothing.
        if codes.rows() > 0 {
            let stream = Stream::new(seed, Purpose::EncodedOrder, index as u32);
            let shuffle = Permutation::new(stream, 0, codes.rows() as u64);
            let name = file.path.file_name().unwrap_or_default();
            write_codes(&folder.path().join(name), &codes, &sub_columns, |row| {
                shuffle.get(row as u64) as usize
            })?;
        }
    }
    let split = record.as_ref().map(|record| record.id);
    let id = match (split, statistics) {
        (Some(split), Some(statistics)) => Identity::derived(&[split, statistics], seed),
        _ => Identity::draw()?,
    };
    let made_from = CodesRecord {
        id,
        split,
        statistics,
    };
    write_json(&folder.path().join(CODES_FILE), &made_from)?;
    Ok(folder.commit()?)
}

/// The encodings that statistics were made for.
fn encoding_types(stats: &TableStats) -> EncodingTypes {
    let columns = stats.columns.iter();
    columns
        .map(|(name, column)| (name.clone(), column.encoding_type()))
        .collect()
}

struct Encoder<'a> {
    stats: &'a TableStats,
    sub_columns: &'a [SubColumn],
    types: EncodingTypes,
    record: Option<&'a SplitRecord>,
    seed: u64,
    /// Rows of the parts before.
    first_row: u64,
}

impl Encoder<'_> {
    fn part(&mut self, rows: &PartRows, count: &mut RowCount<'_, '_>) -> Result<CodeTable, EngineError> {
        let unequal = |got| encode::EncodeError::UnequalColumns {
            expected: self.sub_columns.len(),
            got,
        };
        let mut all = empty_codes(self.sub_columns, rows.rows)?;
        for batch in rows.batches()? {
            let batch = TableBatch::encoded_as(&batch?, &self.types)?;
            let table = batch.table()?;
            let codes = encode::encode(&table, self.stats, self.seed, self.first_row);
            let codes = codes.map_err(|error| explained(self.record, error))?;
            if !all.append(&codes) {
                return Err(unequal(codes.columns().len()).into());
            }
            self.first_row += table.rows() as u64;
            count.add(table.rows())?;
        }
        Ok(all)
    }
}
