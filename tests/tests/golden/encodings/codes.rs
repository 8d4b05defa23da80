//! Codes of every cell but those that a random draw fills.

use engine_core::encode::{self, EncodingType, TableStats};
use engine_core::schema::CodeTable;

use super::exceptions::{self, Compared, Exception};
use super::runs::{Run, SEED};
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::files;
use crate::plan::Plan;
use crate::tables::table;

/// Adds the comparison of a run.
pub(crate) fn plan(plan: &mut Plan, run: &'static Run) {
    let (stats, recorded) = (run.file("tgt-stats.json"), run.file("codes.parquet"));
    let wanted = ["input.parquet", stats.as_str(), recorded.as_str()];
    plan.compare(&run.file("codes"), &wanted, |case| codes(case, run));
}

/// Whether the parts of a null are drawn at random.
fn is_imputed(encoding: EncodingType) -> bool {
    matches!(
        encoding,
        EncodingType::NumericDigit | EncodingType::Character | EncodingType::Datetime | EncodingType::LatLong
    )
}

fn codes(case: &Case, run: &Run) -> Outcome {
    let stats = run.recorded_stats(case)?;
    let input = files::parquet(&case.path("input.parquet"))?;
    let codes = encode::encode(&table(&input)?, &stats, SEED, 0)?;
    let recorded = files::codes(&case.path(&run.file("codes.parquet")))?;
    compare(
        &stats,
        &codes,
        &recorded,
        &exceptions::of(|c| c == Compared::Codes),
    )
}

/// Compares codes with recorded ones; `meant` are columns that must differ.
pub(crate) fn compare(
    stats: &TableStats,
    codes: &CodeTable,
    recorded: &[(String, Vec<u32>)],
    meant: &[&Exception],
) -> Outcome {
    let subs = stats.sub_columns();
    let mut report = Report::default();
    let names: Vec<&str> = subs.iter().map(|s| s.name.as_str()).collect();
    let wanted: Vec<&str> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    report.equal("sub-columns", &names, &wanted);
    for column in stats.model_columns() {
        let flag = column.sub_columns.clone().find(|&s| subs[s].name.sub() == "nan");
        let flag = flag.filter(|_| is_imputed(column.encoding));
        let cells = |of: &dyn Fn(usize, usize) -> u32| {
            let cells = column
                .sub_columns
                .clone()
                .flat_map(|s| (0..codes.rows()).map(move |row| (s, row)));
            let drawn = |s: usize, row: usize| flag.is_some_and(|f| f != s && of(f, row) == 1);
            // A drawn cell counts as none.
            cells
                .map(|(s, row)| (!drawn(s, row)).then(|| of(s, row)))
                .collect::<Vec<_>>()
        };
        let ours = cells(&|s, row| codes.get(row, s));
        let theirs = cells(&|s, row| recorded[s].1[row]);
        let exception = meant.iter().find(|e| e.column == column.name);
        report.same(&column.name, &ours, &theirs, exception.map(|e| e.reason));
    }
    report.finish()
}
