//! Analyze: the statistics of a table.

use std::path::Path;

use engine_core::encode::{
    self, EncodingTypes, PartialStats, Protection, TableKeys, TableStats, analyze_partition, analyze_private,
    reduce, reduce_private,
};
use engine_core::privacy::{PrivacyLedger, SystemRandom};
use engine_core::remedy::Job;
use engine_core::target_name;

use super::code_detector::CodeDetector;
use super::explain::{ColumnExplanation, explain_columns, explain_statistics};
use super::parts::{PartRows, load_split, part_files, read_meta};
use super::protected_format::protect_format;
use crate::EngineError;
use crate::data::{TableBatch, TableFormat};
use crate::event::{ProgressCallback, RowCount, Stage};
use crate::files::{AtomicFolder, remove_file, remove_folder, write_atomically};
use crate::identity::{Identity, current_split, current_statistics, has_current_model};
use crate::model_store::{Analysis, default_format, load_format, load_stats};
use crate::options::AnalyzeOptions;
use crate::stages::SplitRecord;
use crate::workspace::{Marker, Workspace, write_json};

/// Collects the statistics of the table that was split, training and validation rows together, under value
/// protection or a privacy budget, in `ModelStore/tgt-stats/`. What is counted before the protection stays in
/// memory, whatever happens. What a budget was spent on is recorded in `ModelStore/privacy-ledger.json`.
///
/// New statistics give the codes new meanings, so the encoded data and the model of older ones are removed.
///
/// # Errors
/// [`EngineError::ModelExists`] over a model, unless `options.force`; [`EngineError::Lacks`] when the table has not been split;
/// [`EngineError::DoesNotBelong`] when its split was interrupted; [`EngineError::Encode`] names column, row and value that do not
/// suit an encoding, or what is wrong with the budget; [`EngineError::Cancelled`].
pub fn analyze(
    workspace: &Workspace,
    options: &AnalyzeOptions,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<TableStats, EngineError> {
    Ok(analyze_explained(workspace, options, on_progress)?.0)
}

/// As [`analyze`], and says of every column of the model why it is encoded as it is and how much of it is protected. The
/// explanations are counted without protection and are stored nowhere.
///
/// # Errors
/// Those of [`analyze`].
pub fn analyze_explained(
    workspace: &Workspace,
    options: &AnalyzeOptions,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<(TableStats, Vec<ColumnExplanation>), EngineError> {
    let layout = workspace.layout(Stage::Analyze)?;
    if !options.force && has_current_model(workspace) {
        return Err(EngineError::ModelExists {
            path: workspace.path().to_owned(),
        });
    }
    let seed = workspace.stage_seed(options.seed)?;
    let analysis = Analysis {
        id: Some(Identity::draw()?),
        split: None,
        seed,
        is_protected: options.protection != Protection::Off,
        compat: options.compat,
        is_private: options.stats_budget.is_some(),
    };
    let counted = Counted::of(workspace, &analysis, on_progress)?;
    let of_table = |error| explained(counted.record.as_ref(), error);
    let (partials, types, keys) = (&counted.partials, &counted.types, counted.keys.clone());
    let (stats, ledger) = match &options.stats_budget {
        None => {
            let stats = reduce(partials, types, options.protection, options.compat, keys, seed);
            (stats.map_err(of_table)?, None)
        }
        Some(budget) => {
            let mut random = SystemRandom::default();
            let released = reduce_private(partials, types, budget, keys, &mut random);
            let (stats, ledger) = released.map_err(of_table)?;
            (stats, Some(ledger))
        }
    };
    let analysis = Analysis {
        split: counted.record.as_ref().map(|record| record.id),
        ..analysis
    };
    let mut format = match read_meta::<TableFormat>(layout, "table-format.json")? {
        Some(format) => format,
        None => default_format(&stats)?,
    };
    if analysis.is_private || analysis.is_protected {
        protect_format(&mut format, &stats);
    }
    if analysis.is_private {
        format.keep_types_of_metadata();
    }
    let explanations = counted.explain(&stats, &format, options.protection, &analysis)?;
    store(workspace, &stats, &format, &analysis, ledger.as_ref())?;
    Ok((stats, explanations))
}

/// Explains the statistics of a workspace or of a packed model, and changes nothing. Where the table is there it is counted anew,
/// without protection; otherwise only what follows from the statistics is said.
///
/// # Errors
/// [`EngineError::Lacks`] without statistics; [`EngineError::DoesNotBelong`] when they are those of an older table;
/// [`EngineError::Cancelled`].
pub fn explain(
    workspace: &Workspace,
    on_progress: &mut ProgressCallback<'_>,
) -> Result<Vec<ColumnExplanation>, EngineError> {
    let stats = load_stats(workspace)?;
    current_statistics(workspace)?;
    let format = load_format(workspace, &stats)?;
    let analysis = Analysis::load(workspace)?;
    let rows_of = |analysis: &Analysis| {
        let split = workspace.layout(Stage::Analyze).ok().map(load_split);
        let split = split.transpose().ok().flatten().flatten();
        analysis.split.is_some() && split.map(|record| record.id) == analysis.split
    };
    let Some(analysis) = analysis.filter(rows_of) else {
        return Ok(explain_statistics(&stats, &format));
    };
    let protection = match analysis.is_protected {
        true => Protection::On,
        false => Protection::Off,
    };
    Counted::of(workspace, &analysis, on_progress)?.explain(&stats, &format, protection, &analysis)
}

/// What was counted in the table.
struct Counted {
    partials: Vec<PartialStats>,
    types: EncodingTypes,
    keys: TableKeys,
    record: Option<SplitRecord>,
    codes: CodeDetector,
}

impl Counted {
    fn of(
        workspace: &Workspace,
        analysis: &Analysis,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<Self, EngineError> {
        let layout = workspace.layout(Stage::Analyze)?;
        let files = part_files(&layout.table_data())?;
        let types: Option<EncodingTypes> = read_meta(layout, "encoding-types.json")?;
        let Some(types) = types.filter(|_| !files.is_empty()) else {
            return Err(workspace.lacks(
                concat!("table (OriginalData/", target_name!("-data"), ")"),
                Job::Split,
            ));
        };
        let record = current_split(workspace)?;
        let of_table = |error| explained(record.as_ref(), error);
        let parts = files
            .iter()
            .map(|file| Ok((file.part, PartRows::open(&file.path)?)));
        let parts = parts.collect::<Result<Vec<_>, EngineError>>()?;
        let total = parts.iter().map(|(_, rows)| rows.rows).sum();
        let mut count = RowCount::start(on_progress, Stage::Analyze, total)?;
        let mut partials: Vec<PartialStats> = Vec::new();
        let mut codes = CodeDetector::new(&types);
        let mut first_row = 0;
        for (part, rows) in &parts {
            for batch in rows.batches()? {
                let batch = TableBatch::encoded_as(&batch?, &types)?;
                let table = batch.table()?;
                let counted = match analysis.is_private {
                    false => analyze_partition(&table, &types, *part, first_row, analysis.compat),
                    true => analyze_private(&table, &types, *part, first_row, analysis.compat),
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
        Ok(Self {
            partials,
            keys: read_meta(layout, "keys.json")?.unwrap_or_default(),
            types,
            record,
            codes,
        })
    }

    fn explain(
        &self,
        stats: &TableStats,
        format: &TableFormat,
        protection: Protection,
        analysis: &Analysis,
    ) -> Result<Vec<ColumnExplanation>, EngineError> {
        let codes = self.codes.log_codes(stats);
        let (partials, types) = (&self.partials, &self.types);
        let explanations =
            encode::explain(partials, types, stats, protection, analysis.compat, analysis.seed);
        Ok(explain_columns(stats, format, explanations, &codes)?)
    }
}

/// Puts statistics into the workspace. The older ones, and what was made from them, are out of date before they are touched.
fn store(
    workspace: &Workspace,
    stats: &TableStats,
    format: &TableFormat,
    analysis: &Analysis,
    ledger: Option<&PrivacyLedger>,
) -> Result<(), EngineError> {
    let layout = workspace.layout(Stage::Analyze)?;
    let folder = AtomicFolder::create(&layout.table_stats())?;
    write_atomically(&folder.path().join("stats.json"), stats.to_json()?.as_bytes())?;
    format.save(&folder.path().join("table-format.json"))?;
    write_json(&folder.path().join("analysis.json"), analysis)?;
    let marker = workspace.marker()?.unwrap_or_else(|| Marker::new(None));
    workspace.set_marker(&Marker {
        split: analysis.split,
        statistics: analysis.id,
        ..marker
    })?;
    replace_ledger(&layout.privacy_ledger(), ledger)?;
    folder.commit()?;
    remove_folder(&layout.encoded_data())?;
    Ok(remove_folder(&layout.model_data())?)
}

/// Puts the ledger in its place before the statistics appear: what was spent is never without an entry.
fn replace_ledger(path: &Path, ledger: Option<&PrivacyLedger>) -> Result<(), EngineError> {
    if let Some(ledger) = ledger {
        return write_json(path, ledger);
    }
    Ok(remove_file(path)?)
}

/// An error about the parts as one about the table, where it is known how that was split.
pub(super) fn explained(
    record: Option<&SplitRecord>,
    error: engine_core::encode::EncodeError,
) -> EngineError {
    match record {
        Some(record) => record.explain(error),
        None => error.into(),
    }
}
