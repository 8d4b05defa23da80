//! Codes of every cell but those that a random draw fills.

use engine_core::encode::{self, EncodingType, TableStats};
use engine_core::schema::CodeTable;

use super::exceptions::{self, Compared};
use super::runs::{Run, SEED};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::files;
use crate::tables::table;

/// Adds the comparison of a run.
pub(crate) fn add_tests(tests: &mut CaseTests, run: &'static Run) {
    let (stats, recorded) = (run.file("tgt-stats.json"), run.file("codes.parquet"));
    let wanted = ["input.parquet", stats.as_str(), recorded.as_str()];
    tests.compare(&run.file("codes"), &wanted, |case| codes(case, run));
}

/// Whether the parts of a null say nothing: they are drawn at random, or taken from another subject.
fn has_empty_parts(encoding: EncodingType) -> bool {
    matches!(
        encoding,
        EncodingType::NUMERIC_DIGIT
            | EncodingType::CHARACTER
            | EncodingType::DATETIME
            | EncodingType::DATETIME_RELATIVE
            | EncodingType::LAT_LONG
    )
}

fn codes(case: &Case, run: &Run) -> Outcome {
    let stats = run.recorded_stats(case)?;
    let input = files::parquet(&case.path("input.parquet"))?;
    let codes = encode::encode(&table(&input)?, &stats, SEED, 0)?;
    let recorded = files::codes(&case.path(&run.file("codes.parquet")))?;
    compare(&stats, &codes, &recorded, Compared::Codes)
}

/// Compares codes with recorded ones; `compared` says which exceptions there are.
pub(crate) fn compare(
    stats: &TableStats,
    codes: &CodeTable,
    recorded: &[(String, Vec<u32>)],
    compared: Compared,
) -> Outcome {
    let subs = stats.sub_columns();
    let mut report = Report::default();
    let names: Vec<&str> = subs.iter().map(|s| s.name.as_str()).collect();
    let wanted: Vec<&str> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    report.equal("sub-columns", &names, &wanted);
    let rows = recorded.first().map_or(0, |(_, codes)| codes.len());
    report.equal("rows", &codes.rows(), &rows);
    if names != wanted || codes.rows() != rows {
        return report.finish();
    }
    for column in stats.model_columns() {
        let flag = column.sub_columns.clone().find(|&s| subs[s].name.sub() == "nan");
        let flag = flag.filter(|_| has_empty_parts(column.encoding));
        let mut differ = Vec::new();
        for s in column.sub_columns {
            let is_flag = flag.is_none_or(|flag| flag == s);
            let is_null = |row: usize| flag.is_some_and(|flag| recorded[flag].1[row] == 1);
            for (row, theirs) in recorded[s].1.iter().enumerate() {
                let ours = codes.get(row, s);
                if ours != *theirs && (is_flag || !is_null(row)) {
                    differ.push((subs[s].name.sub(), row, ours, *theirs));
                }
            }
        }
        let exception = exceptions::find(column.encoding, compared);
        let what = ": (sub-column, row, our code, mostlyai-engine's)";
        exceptions::check(&mut report, (&column.name, what), &differ, &Vec::new(), exception);
    }
    report.finish()
}
