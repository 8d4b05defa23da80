//! Rows of subjects, each by itself: statistics of their columns, codes, and values.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;
use engine_core::encode::{
    self, BinOffsets, Compat, EncodingTypes, Protection, SplitPart, TableKeys, TableStats, decode_subjects,
};
use serde_json::Value;

use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::encodings::exceptions::Compared;
use crate::encodings::{compare_codes, compare_values, recorded_codes};
use crate::files;
use crate::tables::table;

/// Nothing is drawn: there is no protection, and cells of nulls are not compared.
const SEED: u64 = 1;

/// Adds the comparisons.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    let base = ["tgt.parquet", "setup.json", "tgt-stats.json"];
    tests.compare("rows/statistics", &base, statistics);
    tests.compare("rows/codes", &[&base[..], &["tgt-codes.parquet"]].concat(), codes);
    let decoded_files = [&base[..], &["tgt-codes.parquet", "tgt-decoded.json"]].concat();
    tests.compare("rows/decoded", &decoded_files, decoded);
}

/// The rows of the target, and whose each is: subjects are numbered as they appear in the context, where there is one.
struct Target {
    rows: RecordBatch,
    subjects: Vec<u32>,
    types: EncodingTypes,
}

impl Target {
    fn load(case: &Case) -> Outcome<Self> {
        let setup = files::json(&case.path("setup.json"))?;
        let rows = files::parquet(&case.path("tgt.parquet"))?;
        let mut numbers: HashMap<Option<String>, u32> = HashMap::new();
        let mut number = |key: Option<String>| {
            let next = numbers.len() as u32;
            *numbers.entry(key).or_insert(next)
        };
        if case.has("ctx.parquet") {
            let context = files::parquet(&case.path("ctx.parquet"))?;
            keys(&context, files::text(&setup, "ctx_primary_key")?)?
                .into_iter()
                .for_each(|key| {
                    number(key);
                });
        }
        let subjects = keys(&rows, files::text(&setup, "tgt_context_key")?)?
            .into_iter()
            .map(number)
            .collect();
        let types = serde_json::from_value(setup["tgt_encoding_types"].clone())?;
        Ok(Self {
            rows,
            subjects,
            types,
        })
    }

    /// Rows of subjects whose first row has a null of a kind that `recorded` codes show, and the other rows.
    fn after_null(&self, recorded: &[(String, Vec<u32>)]) -> (Vec<usize>, Vec<usize>) {
        let mut starts_null: HashMap<u32, bool> = HashMap::new();
        for (row, &subject) in self.subjects.iter().enumerate() {
            let is_null = recorded
                .iter()
                .any(|(name, codes)| name.ends_with("__nan") && codes[row] == 1);
            starts_null.entry(subject).or_insert(is_null);
        }
        (0..self.subjects.len()).partition(|&row| starts_null[&self.subjects[row]])
    }

    /// The rows of one part of the split: every fifth subject is validated on.
    fn part(&self, part: SplitPart) -> Outcome<(RecordBatch, Vec<u32>)> {
        let is_in = |subject: &u32| (subject % 5 == 4) == (part == SplitPart::Validation);
        let mask = BooleanArray::from(self.subjects.iter().map(is_in).collect::<Vec<_>>());
        let subjects = self.subjects.iter().copied().filter(is_in).collect();
        Ok((filter_record_batch(&self.rows, &mask)?, subjects))
    }
}

/// Keys as text.
fn keys(rows: &RecordBatch, column: &str) -> Outcome<Vec<Option<String>>> {
    let keys = rows.column_by_name(column).ok_or("the table has no keys")?;
    let keys = cast(keys, &DataType::LargeUtf8)?;
    Ok(keys
        .as_string::<i64>()
        .iter()
        .map(|key| key.map(str::to_owned))
        .collect())
}

fn recorded_stats(case: &Case) -> Outcome<TableStats> {
    Ok(TableStats::from_json(
        &files::json(&case.path("tgt-stats.json"))?.to_string(),
    )?)
}

fn statistics(case: &Case) -> Outcome {
    let target = Target::load(case)?;
    let mut partials = Vec::new();
    for part in [SplitPart::Training, SplitPart::Validation] {
        let (rows, subjects) = target.part(part)?;
        let table = table(&rows)?.with_subjects(&subjects)?;
        partials.push(encode::analyze_partition(
            &table,
            &target.types,
            part,
            0,
            Compat::MostlyAi,
        )?);
    }
    let stats = encode::reduce(
        &partials,
        &target.types,
        Protection::Off,
        Compat::MostlyAi,
        TableKeys::default(),
        SEED,
    )?;
    let ours: Value = serde_json::from_str(&stats.to_json()?)?;
    let recorded = files::json(&case.path("tgt-stats.json"))?;
    let mut report = Report::default();
    for (name, wanted) in files::object(&recorded, "columns")? {
        // As text, because the order of codes and cardinalities counts.
        report.equal(name, &ours["columns"][name].to_string(), &wanted.to_string());
    }
    report.finish()
}

fn codes(case: &Case) -> Outcome {
    let (target, stats) = (Target::load(case)?, recorded_stats(case)?);
    let codes = encode::encode(
        &table(&target.rows)?.with_subjects(&target.subjects)?,
        &stats,
        SEED,
        0,
    )?;
    let recorded = files::codes(&case.path("tgt-codes.parquet"))?;
    let (after_null, others) = target.after_null(&recorded);
    for (rows, compared) in [(others, Compared::Codes), (after_null, Compared::CodesAfterNull)] {
        if rows.is_empty() {
            continue;
        }
        let of_rows = |codes: &Vec<u32>| rows.iter().map(|&row| codes[row]).collect();
        let recorded: Vec<(String, Vec<u32>)> = recorded
            .iter()
            .map(|(name, codes)| (name.clone(), of_rows(codes)))
            .collect();
        compare_codes(&stats, &codes.gather(&rows), &recorded, compared)?;
    }
    Ok(())
}

fn decoded(case: &Case) -> Outcome {
    let (target, stats) = (Target::load(case)?, recorded_stats(case)?);
    let codes = recorded_codes(&stats, files::codes(&case.path("tgt-codes.parquet"))?)?;
    let decoded = decode_subjects(&codes, &stats, BinOffsets::Constant(0.5), &target.subjects)?;
    compare_values(
        &stats,
        &decoded,
        &files::json(&case.path("tgt-decoded.json"))?,
        Compared::Decoded,
    )
}
