//! Analyze: the statistics of a table.

use std::fs;
use std::io;
use std::path::Path;

use engine_core::encode::{
    EncodingTypes, PartialStats, Protection, TableKeys, TableStats, analyze_partition, analyze_private,
    explain, reduce, reduce_private,
};
use engine_core::privacy::{PrivacyLedger, SystemRandom};
use engine_core::remedy::Job;

use super::code_watch::CodeWatch;
use super::explain::{ColumnExplanation, explain_columns};
use super::parts::{PartRows, load_split, part_files, read_meta};
use super::protected_format::protect_format;
use crate::EngineError;
use crate::data::{TableBatch, TableFormat};
use crate::event::{RowCount, Stage, Watch};
use crate::files::{AtomicFolder, FileError, remove_leftovers, sync_folder, write_atomically};
use crate::model_store::{Analysis, default_format};
use crate::options::AnalyzeOptions;
use crate::stages::SplitFacts;
use crate::workspace::{Workspace, remove_folder, write_json};

/// Collects the statistics of the table that was split, training and validation rows together, under value
/// protection or a privacy budget, in `ModelStore/tgt-stats/`. What is counted before the protection stays in
/// memory, whatever happens. What a budget was spent on stands in `ModelStore/privacy-ledger.json`.
///
/// New statistics give the codes new meanings, so the encoded data and the model of older ones are removed.
///
/// # Errors
/// [`EngineError::Lacks`] when the table has not been split; [`EngineError::Encode`] names column, row and
/// value that do not suit an encoding, or what is wrong with the budget; [`EngineError::Cancelled`].
pub fn analyze(
    workspace: &Workspace,
    options: &AnalyzeOptions,
    watch: &mut Watch<'_>,
) -> Result<TableStats, EngineError> {
    Ok(analyze_explained(workspace, options, watch)?.0)
}

/// As [`analyze`], and says of every column of the model why it is encoded as it is and how much of it is protected. The
/// explanations are counted without protection and are stored nowhere.
///
/// # Errors
/// Those of [`analyze`].
pub fn analyze_explained(
    workspace: &Workspace,
    options: &AnalyzeOptions,
    watch: &mut Watch<'_>,
) -> Result<(TableStats, Vec<ColumnExplanation>), EngineError> {
    let layout = workspace.layout(Stage::Analyze)?;
    let files = part_files(&layout.table_data())?;
    let types: Option<EncodingTypes> = read_meta(layout, "encoding-types.json")?;
    let Some(types) = types.filter(|_| !files.is_empty()) else {
        return Err(workspace.lacks("table (OriginalData/tgt-data)", Job::Split));
    };
    let keys: TableKeys = read_meta(layout, "keys.json")?.unwrap_or_default();
    let facts = load_split(layout)?;
    let seed = workspace.stage_seed(options.seed)?;
    let of_table = |error| explained(facts.as_ref(), error);

    let parts = files
        .iter()
        .map(|file| Ok((file.part, PartRows::open(&file.path)?)));
    let parts = parts.collect::<Result<Vec<_>, EngineError>>()?;
    let total = parts.iter().map(|(_, rows)| rows.rows).sum();
    let mut count = RowCount::start(watch, Stage::Analyze, total)?;
    let mut partials: Vec<PartialStats> = Vec::new();
    let mut codes = CodeWatch::new(&types);
    let mut first_row = 0;
    for (part, rows) in &parts {
        for batch in rows.batches()? {
            let batch = TableBatch::encoded_as(&batch?, &types)?;
            let table = batch.table()?;
            let counted = match options.stats_budget {
                None => analyze_partition(&table, &types, *part, first_row, options.compat),
                Some(_) => analyze_private(&table, &types, *part, first_row, options.compat),
            };
            let counted = counted.map_err(of_table)?;
            match partials.last_mut() {
                Some(before) if before.part == *part => before.merge(counted).map_err(of_table)?,
                _ => partials.push(counted),
            }
            codes.add(&table);
            first_row += table.rows() as u64;
            count.add(table.rows())?;
        }
    }
    let (stats, ledger) = match &options.stats_budget {
        None => {
            let stats = reduce(&partials, &types, options.protection, options.compat, keys, seed);
            (stats.map_err(of_table)?, None)
        }
        Some(budget) => {
            let mut random = SystemRandom::default();
            let released = reduce_private(&partials, &types, budget, keys, &mut random);
            let (stats, ledger) = released.map_err(of_table)?;
            (stats, Some(ledger))
        }
    };
    let codes = codes.tell(&stats);
    let explanations = explain(
        &partials,
        &types,
        &stats,
        options.protection,
        options.compat,
        seed,
    );
    drop(partials);

    remove_leftovers(&layout.model_store())?;
    let folder = AtomicFolder::create(&layout.table_stats())?;
    write_atomically(&folder.path().join("stats.json"), stats.to_json()?.as_bytes())?;
    let mut format = match read_meta::<TableFormat>(layout, "table-format.json")? {
        Some(format) => format,
        None => default_format(&stats)?,
    };
    if ledger.is_some() || options.protection != Protection::Off {
        protect_format(&mut format, &stats);
    }
    format.save(&folder.path().join("table-format.json"))?;
    let split = facts.as_ref().map(|facts| facts.id.clone()).unwrap_or_default();
    write_json(&folder.path().join("analysis.json"), &Analysis { split, seed })?;
    remove_folder(&layout.encoded_data())?;
    remove_folder(&layout.model_data())?;
    replace_ledger(&layout.privacy_ledger(), ledger.as_ref())?;
    folder.commit()?;
    let explanations = explain_columns(&stats, &format, explanations, &codes)?;
    Ok((stats, explanations))
}

/// Puts the ledger in its place before the statistics appear: what was spent is never without an entry.
fn replace_ledger(path: &Path, ledger: Option<&PrivacyLedger>) -> Result<(), EngineError> {
    if let Some(ledger) = ledger {
        return write_json(path, ledger);
    }
    match fs::remove_file(path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(FileError::new(path, "remove", e).into()),
    }
    path.parent().map_or(Ok(()), |above| Ok(sync_folder(above)?))
}

/// An error about the parts as one about the table, where it is known how that was split.
pub(super) fn explained(facts: Option<&SplitFacts>, error: engine_core::encode::EncodeError) -> EngineError {
    match facts {
        Some(facts) => facts.explain(error),
        None => error.into(),
    }
}
