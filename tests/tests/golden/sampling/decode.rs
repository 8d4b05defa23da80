//! From codes to values, and which codes are never drawn.

use engine_core::encode::{self, BinOffsets, RareReplacement, TableStats};
use engine_core::generate::rare_codes;
use engine_core::schema::{CodeColumn, CodeTable, DecodedColumn, DecodedValues};
use serde_json::{Value, json};

use super::rules::{FILE, group};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, within};
use crate::discover::Case;
use crate::files;
use crate::tables::{as_json, same_cell};

const STATS: &str = "tgt-stats.json";

/// Adds the comparisons.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    tests.compare("rare_tokens", &[FILE, STATS], rare_tokens);
    tests.compare("binned_decode", &[FILE], binned);
    tests.compare("discrete_decode", &[FILE, STATS], discrete);
    tests.compare("categorical_decode", &[FILE, STATS], categorical);
}

fn stats(case: &Case) -> Outcome<TableStats> {
    Ok(TableStats::from_json(
        &files::json(&case.path(STATS))?.to_string(),
    )?)
}

fn rare_tokens(case: &Case) -> Outcome {
    let stats = stats(case)?;
    let mut report = Report::default();
    for value in group(case, "rare_tokens")? {
        let method = files::text(&value, "method")?;
        let replacement = match method {
            "CONSTANT" => RareReplacement::Constant,
            "SAMPLE" => RareReplacement::Sample,
            other => return Err(format!("{other} is no replacement of rare categories").into()),
        };
        let fixed = rare_codes(&stats, replacement);
        let mut compared = 0;
        for column in stats.model_columns() {
            for s in column.sub_columns {
                let sub = stats.sub_columns().swap_remove(s);
                let ours: Vec<Value> = fixed[s]
                    .iter()
                    .map(|f| json!({"code": f.code, "probability": f64::from(f.probability)}))
                    .collect();
                let wanted = value["fixed"][&column.name][sub.name.sub()].as_array();
                compared += usize::from(wanted.is_some());
                let what = format!("{method}: {}", sub.name);
                report.equal(&what, &ours, &wanted.cloned().unwrap_or_default());
            }
        }
        let recorded = files::object(&value, "fixed")?.values();
        let recorded: usize = recorded
            .map(|subs| subs.as_object().map_or(0, serde_json::Map::len))
            .sum();
        report.equal(&format!("{method}: sub-columns with rules"), &compared, &recorded);
    }
    report.finish()
}

/// Decodes codes of a single column.
fn decode(stats: &TableStats, codes: &[f64], positions: BinOffsets) -> Outcome<DecodedColumn> {
    let cardinality = stats.sub_columns().first().map_or(0, |s| s.cardinality);
    let column = CodeColumn::from_codes(cardinality, codes.iter().map(|c| *c as u32));
    let table = CodeTable::new(vec![column], codes.len()).ok_or("columns of unequal length")?;
    Ok(encode::decode(&table, stats, positions)?.swap_remove(0))
}

fn type_of(values: &DecodedValues) -> &'static str {
    match values {
        DecodedValues::Int(_) => "Int64",
        DecodedValues::Float(_) => "Float64",
        _ => "another type",
    }
}

fn binned(case: &Case) -> Outcome {
    let mut report = Report::default();
    for value in group(case, "binned_decode")? {
        let name = files::text(&value, "name")?;
        let tokens = files::object(&value, "codes_of_tokens")?.len();
        let bins = files::list(&value, "bins")?.len();
        let stats = json!({
            "columns": {name: {
                "encoding_type": "TABULAR_NUMERIC_BINNED",
                "value_protection": false,
                "cardinalities": {"bin": tokens + bins - 1},
                "codes": value["codes_of_tokens"],
                "min_decimal": value["min_decimal"],
                "bins": value["bins"],
                "argn_processor": "tgt",
                "argn_table": "t0",
                "argn_column": "c0",
            }},
            "no_of_training_records": 0,
            "no_of_validation_records": 0,
            "seq_len": {"min": 1, "max": 1, "median": 1, "value_protection": false},
            "is_sequential": false,
        });
        let stats = TableStats::from_json(&stats.to_string())?;
        let codes = files::numbers(&value, "codes")?;
        for (uniform, wanted) in files::object(&value, "value_by_uniform")? {
            let decoded = decode(&stats, &codes, BinOffsets::Constant(uniform.parse()?))?;
            let what = format!("{name}, at {uniform} of the bin");
            report.equal(&what, type_of(&decoded.values), files::text(&value, "type")?);
            let numbers = |cells: &[Value]| {
                cells
                    .iter()
                    .map(|v| v.as_f64().unwrap_or(f64::NAN))
                    .collect::<Vec<_>>()
            };
            let wanted = wanted.as_array().ok_or("values are no list")?;
            report.close(
                &what,
                &numbers(&as_json(&decoded)?),
                &numbers(wanted),
                within(1e-12, 0.0),
            );
        }
    }
    report.finish()
}

/// Decodes the codes of each case with the statistics of its column alone.
fn of_columns(case: &Case, name: &str) -> Outcome {
    let mut report = Report::default();
    for value in group(case, name)? {
        let column = files::text(&value, "column")?;
        let mut stats = stats(case)?;
        stats.columns.retain(|name, _| name == column);
        let codes = files::numbers(&value, "codes")?;
        let decoded = decode(&stats, &codes, BinOffsets::Constant(0.5))?;
        if let Some(wanted) = value["type"].as_str() {
            report.equal(column, type_of(&decoded.values), wanted);
        }
        let (got, wanted) = (as_json(&decoded)?, files::list(&value, "values")?);
        let same = got.len() == wanted.len() && got.iter().zip(wanted).all(|(g, w)| same_cell(g, w));
        report.require(same, || format!("{column}: {got:?} instead of {wanted:?}"));
    }
    report.finish()
}

fn discrete(case: &Case) -> Outcome {
    of_columns(case, "discrete_decode")
}

fn categorical(case: &Case) -> Outcome {
    of_columns(case, "categorical_decode")
}
