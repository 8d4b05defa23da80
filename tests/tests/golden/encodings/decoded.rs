//! Values of the table's own codes, and of random ones.

use engine_core::encode::{self, BinOffsets, EncodingType, TableStats};
use engine_core::schema::{CodeColumn, CodeTable, DecodedColumn};
use serde_json::Value;

use super::exceptions::{self, Compared};
use super::runs::Run;
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::files;
use crate::tables::{as_json, same_cell};

/// How far positions inside a bin may be off.
const BINNED: f64 = 1e-12;

/// Adds the comparisons of a run.
pub(crate) fn add_tests(tests: &mut CaseTests, run: &'static Run) {
    for (name, codes, values, compared) in [
        ("decoded", "codes.parquet", "decoded.json", Compared::Decoded),
        (
            "random-decoded",
            "random-codes.parquet",
            "random-decoded.json",
            Compared::RandomDecoded,
        ),
    ] {
        // Values were recorded for one of the runs.
        if tests.case().has(&run.file(values)) {
            let (stats, codes, values) = (run.file("tgt-stats.json"), run.file(codes), run.file(values));
            let wanted = [stats.clone(), codes.clone(), values.clone()];
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            tests.compare(&run.file(name), &wanted, move |case| {
                decoded(case, run, &codes, &values, compared)
            });
        }
    }
}

fn decoded(case: &Case, run: &Run, codes: &str, values: &str, compared: Compared) -> Outcome {
    let stats = run.recorded_stats(case)?;
    let codes = recorded_codes(&stats, files::codes(&case.path(codes))?)?;
    let decoded = encode::decode(&codes, &stats, BinOffsets::Constant(0.5))?;
    let wanted = files::json(&case.path(values))?;
    compare(&stats, &decoded, &wanted, compared)
}

/// Recorded codes as a table.
pub(crate) fn recorded_codes(stats: &TableStats, recorded: Vec<(String, Vec<u32>)>) -> Outcome<CodeTable> {
    let rows = recorded.first().map_or(0, |(_, codes)| codes.len());
    let columns = stats
        .sub_columns()
        .into_iter()
        .zip(recorded)
        .map(|(sub, (name, codes))| {
            let is_named = sub.name.as_str() == name;
            is_named.then(|| CodeColumn::from_codes(sub.cardinality, codes.into_iter()))
        });
    let columns = columns
        .collect::<Option<Vec<_>>>()
        .ok_or("the codes are of other sub-columns")?;
    Ok(CodeTable::new(columns, rows).ok_or("columns of unequal length")?)
}

/// Compares decoded columns with recorded values; `compared` says which exceptions there are.
pub(crate) fn compare(
    stats: &TableStats,
    decoded: &[DecodedColumn],
    recorded: &Value,
    compared: Compared,
) -> Outcome {
    let mut report = Report::default();
    for column in decoded {
        let encoding = stats.columns[&column.name].encoding_type();
        let is_binned = encoding == EncodingType::NUMERIC_BINNED;
        let (ours, wanted) = (as_json(column)?, files::list(recorded, &column.name)?);
        let same = |ours: &Value, wanted: &Value| {
            let close = match (ours.as_f64(), wanted.as_f64()) {
                (Some(ours), Some(wanted)) => is_binned && (ours - wanted).abs() <= BINNED * wanted.abs(),
                _ => false,
            };
            close || same_cell(ours, wanted)
        };
        // Cells that agree are left out, so that a message shows those that do not.
        let cells = ours
            .iter()
            .zip(wanted)
            .enumerate()
            .filter(|(_, (ours, wanted))| !same(ours, wanted));
        let cells: Vec<(usize, (&Value, &Value))> = cells.collect();
        report.equal(&format!("{}: rows", column.name), &ours.len(), &wanted.len());
        let exception = exceptions::find(encoding, compared);
        let what = ": row, (our value, mostlyai-engine's)";
        exceptions::check(&mut report, (&column.name, what), &cells, &Vec::new(), exception);
    }
    report.finish()
}
