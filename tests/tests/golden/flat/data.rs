//! From the table to codes: split counts, encodings, statistics, codes.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use engine_core::encode::{
    self, Compat, EncodingType, EncodingTypes, Protection, SplitPart, TableKeys, TableStats, default_encoding,
};
use engine_core::schema::CodeTable;
use serde_json::Value;

use super::loaded::sub_columns;
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::files;
use crate::tables::table;

/// No column of these tables has nulls or rare values to draw for, so the seed decides nothing.
const SEED: u64 = 1;

/// Adds the comparisons.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    let base = [
        "input.parquet",
        "encoding-types.json",
        "split.json",
        "meta.json",
        "orders.json",
    ];
    let with = |more: &'static [&'static str]| [&base[..], more].concat();
    tests.compare("split/counts", &with(&[]), split_counts);
    tests.compare("split/encoding-types", &with(&[]), encoding_types);
    tests.compare("statistics", &with(&["tgt-stats.json"]), statistics);
    tests.compare("cardinalities", &with(&["tgt-stats.json"]), cardinalities);
    tests.compare("codes", &with(&["tgt-stats.json", "codes.parquet"]), codes);
    for part in ["trn", "val"] {
        let file: &'static str = if part == "trn" {
            "encoded-trn.parquet"
        } else {
            "encoded-val.parquet"
        };
        let files = [&with(&["tgt-stats.json"])[..], &[file]].concat();
        let name = format!("codes/encoded-{part}");
        tests.compare(&name, &files, move |case| encoded(case, part, file));
    }
}

fn types(case: &Case) -> Outcome<EncodingTypes> {
    let types = files::json(&case.path("encoding-types.json"))?;
    Ok(serde_json::from_value(types)?)
}

/// The rows of one part of the split, in the order of the input.
fn part_of(case: &Case, part: SplitPart) -> Outcome<RecordBatch> {
    let input = files::parquet(&case.path("input.parquet"))?;
    let meta = files::json(&case.path("meta.json"))?;
    let every = files::number(&meta, "validation_every")? as usize;
    let is_validation = |row: usize| row % every == every - 1;
    let wanted = (0..input.num_rows()).map(|row| is_validation(row) == (part == SplitPart::Validation));
    Ok(filter_record_batch(
        &input,
        &BooleanArray::from(wanted.collect::<Vec<_>>()),
    )?)
}

fn analysed(case: &Case) -> Outcome<TableStats> {
    let types = types(case)?;
    let mut partials = Vec::new();
    for part in [SplitPart::Training, SplitPart::Validation] {
        let rows = part_of(case, part)?;
        partials.push(encode::analyze_partition(
            &table(&rows)?,
            &types,
            part,
            0,
            Compat::MostlyAi,
        )?);
    }
    Ok(encode::reduce(
        &partials,
        &types,
        Protection::Off,
        Compat::MostlyAi,
        TableKeys::default(),
        SEED,
    )?)
}

fn recorded_stats(case: &Case) -> Outcome<TableStats> {
    let stats = files::json(&case.path("tgt-stats.json"))?;
    Ok(TableStats::from_json(&stats.to_string())?)
}

fn split_counts(case: &Case) -> Outcome {
    let split = files::json(&case.path("split.json"))?;
    let stats = analysed(case)?;
    let mut report = Report::default();
    let count = |key| files::number(&split, key).map(|n| n as u64);
    report.equal(
        "training rows",
        &stats.no_of_training_records,
        &count("training_rows")?,
    );
    report.equal(
        "validation rows",
        &stats.no_of_validation_records,
        &count("validation_rows")?,
    );
    report.finish()
}

/// Columns with a requested encoding come first, all others have the default of their values.
fn encoding_types(case: &Case) -> Outcome {
    let meta = files::json(&case.path("meta.json"))?;
    let asked: EncodingTypes = serde_json::from_value(meta["encoding_types_asked_for"].clone())?;
    let input = files::parquet(&case.path("input.parquet"))?;
    let table = table(&input)?;
    let others = table.columns().iter().filter(|c| !asked.contains_key(c.name));
    let defaults = others.map(|c| (c.name.to_owned(), default_encoding(&c.values)));
    let ours: Vec<(String, EncodingType)> = asked.clone().into_iter().chain(defaults).collect();
    let recorded: Vec<(String, EncodingType)> = types(case)?.into_iter().collect();
    let mut report = Report::default();
    report.equal("encodings in order", &ours, &recorded);
    report.finish()
}

fn statistics(case: &Case) -> Outcome {
    let ours: Value = serde_json::from_str(&analysed(case)?.to_json()?)?;
    let recorded = files::json(&case.path("tgt-stats.json"))?;
    let mut report = Report::default();
    let (columns, wanted) = (
        files::object(&ours, "columns")?,
        files::object(&recorded, "columns")?,
    );
    let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
    report.equal("columns in order", &names(columns), &names(wanted));
    for (name, wanted) in wanted {
        for (key, wanted) in wanted.as_object().ok_or("a column is no object")? {
            report.equal(&format!("{name}.{key}"), &columns[name][key], wanted);
        }
    }
    // Codes and cardinalities are numbered by position, so their order counts too: it shows in the text.
    report.equal("text", &ours.to_string(), &recorded.to_string());
    report.finish()
}

fn cardinalities(case: &Case) -> Outcome {
    let stats = recorded_stats(case)?;
    let orders = files::json(&case.path("orders.json"))?;
    let ours: Vec<_> = stats
        .sub_columns()
        .into_iter()
        .map(|s| (s.name, s.cardinality))
        .collect();
    let mut report = Report::default();
    report.equal("sub-columns in order", &ours, &sub_columns(&orders)?);
    for column in stats.model_columns() {
        let recorded = orders["columns"][&column.name].as_str().unwrap_or_default();
        report.equal(&column.name, column.model_name.as_str(), recorded);
    }
    report.finish()
}

fn encoded_input(case: &Case) -> Outcome<(TableStats, CodeTable)> {
    let stats = recorded_stats(case)?;
    let input = files::parquet(&case.path("input.parquet"))?;
    let codes = encode::encode(&table(&input)?, &stats, SEED, 0)?;
    Ok((stats, codes))
}

fn codes(case: &Case) -> Outcome {
    let (stats, codes) = encoded_input(case)?;
    compare_codes(&stats, &codes, &files::codes(&case.path("codes.parquet"))?)
}

/// The same codes in the order of the encoded file.
fn encoded(case: &Case, part: &str, file: &str) -> Outcome {
    let (stats, codes) = encoded_input(case)?;
    let split = files::json(&case.path("split.json"))?;
    let rows = files::numbers(&split["encoded_row_order"], part)?;
    let rows: Vec<usize> = rows.into_iter().map(|row| row as usize).collect();
    compare_codes(&stats, &codes.gather(&rows), &files::codes(&case.path(file))?)
}

fn compare_codes(stats: &TableStats, codes: &CodeTable, recorded: &[(String, Vec<u32>)]) -> Outcome {
    let subs = stats.sub_columns();
    let mut report = Report::default();
    let names: Vec<&str> = subs.iter().map(|s| s.name.as_str()).collect();
    let wanted: Vec<&str> = recorded.iter().map(|(name, _)| name.as_str()).collect();
    report.equal("sub-columns", &names, &wanted);
    for (name, wanted) in recorded {
        let position = names.iter().position(|n| n == name);
        let position = position.ok_or_else(|| format!("there is no sub-column {name}"))?;
        report.equal(name, &codes.columns()[position].to_vec(), wanted);
    }
    report.finish()
}
