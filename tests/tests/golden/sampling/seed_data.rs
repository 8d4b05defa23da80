//! What a request for seeds, imputation, rebalancing or fairness means for codes and for the order of the columns.

use std::collections::BTreeMap;

use engine_core::encode::{self, ColumnStats, RareReplacement, TableStats};
use engine_core::generate::{OrderRequest, imputed_codes, levels, merge_rules, rare_codes, rebalanced_codes};
use engine_core::ir::ops::sampling::FixedProbability;
use engine_core::schema::{Bitmap, Column, Offsets, Table, TextValues, Values};
use serde_json::{Map, Value};

use super::rules::{FILE, group};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::files;

const STATS: &str = "tgt-stats.json";

/// Adds the comparisons.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    for (name, test) in [
        ("imputation", imputation as fn(&Case) -> Outcome),
        ("rebalancing", rebalancing),
        ("merged", merged),
        ("column_order", column_order),
        ("seed_codes", seed_codes),
        ("probability_labels", probability_labels),
    ] {
        tests.compare(name, &[FILE, STATS], test);
    }
}

fn stats(case: &Case) -> Outcome<TableStats> {
    Ok(TableStats::from_json(
        &files::json(&case.path(STATS))?.to_string(),
    )?)
}

/// Codes with probabilities by sub-column; those without any are left out.
type Fixed = BTreeMap<String, Vec<(u32, f32)>>;

fn ours(stats: &TableStats, fixed: &[Vec<FixedProbability>]) -> Fixed {
    let subs = stats.sub_columns().into_iter().zip(fixed);
    let named = subs.map(|(sub, fixed)| {
        let mut codes: Vec<_> = fixed.iter().map(|f| (f.code, f.probability)).collect();
        codes.sort_by_key(|(code, _)| *code);
        (sub.name.to_string(), codes)
    });
    named.filter(|(_, codes)| !codes.is_empty()).collect()
}

fn codes_of(value: &Value) -> Outcome<Vec<(u32, f32)>> {
    let code = |value: &Value| {
        let probability = files::number(value, "probability")? as f32;
        Ok((files::number(value, "code")? as u32, probability))
    };
    let codes = value.as_array().ok_or("codes are no list")?.iter().map(code);
    let mut codes = codes.collect::<Outcome<Vec<_>>>()?;
    codes.sort_by_key(|(code, _)| *code);
    Ok(codes)
}

/// What is recorded as column -> sub-column -> codes.
fn recorded(stats: &TableStats, value: &Value) -> Outcome<Fixed> {
    let mut fixed = Fixed::new();
    for column in stats.model_columns() {
        for sub in &stats.sub_columns()[column.sub_columns] {
            let codes = &value[&column.name][sub.name.sub()];
            let codes = if codes.is_null() {
                Vec::new()
            } else {
                codes_of(codes)?
            };
            if !codes.is_empty() {
                fixed.insert(sub.name.to_string(), codes);
            }
        }
    }
    Ok(fixed)
}

fn imputed(stats: &TableStats, columns: &[String]) -> Vec<Vec<FixedProbability>> {
    imputed_codes(stats, &columns.iter().map(String::as_str).collect::<Vec<_>>())
}

fn rebalanced(stats: &TableStats, value: &Value) -> Outcome<Vec<Vec<FixedProbability>>> {
    let probabilities = files::object(value, "probabilities")?.iter();
    let probabilities = probabilities.map(|(name, p)| Ok((name.as_str(), files::as_number(p)?)));
    let probabilities = probabilities.collect::<Outcome<Vec<_>>>()?;
    Ok(rebalanced_codes(
        stats,
        files::text(value, "column")?,
        &probabilities,
    ))
}

fn imputation(case: &Case) -> Outcome {
    let (stats, mut report) = (stats(case)?, Report::default());
    for value in group(case, "imputation")? {
        let columns = files::texts(&value, "columns")?;
        let got = ours(&stats, &imputed(&stats, &columns));
        report.equal(&format!("{columns:?}"), &got, &recorded(&stats, &value["fixed"])?);
    }
    report.finish()
}

fn rebalancing(case: &Case) -> Outcome {
    let (stats, mut report) = (stats(case)?, Report::default());
    for value in group(case, "rebalancing")? {
        let got = ours(&stats, &rebalanced(&stats, &value)?);
        report.equal(
            files::text(&value, "name")?,
            &got,
            &recorded(&stats, &value["fixed"])?,
        );
    }
    report.finish()
}

fn merged(case: &Case) -> Outcome {
    let (stats, mut report) = (stats(case)?, Report::default());
    for value in group(case, "merged")? {
        let replacement = match files::text(&value, "method")? {
            "SAMPLE" => RareReplacement::Sample,
            _ => RareReplacement::Constant,
        };
        let mut rules = vec![rare_codes(&stats, replacement)];
        if !value["imputed"].is_null() {
            rules.push(imputed(&stats, &files::texts(&value, "imputed")?));
        }
        if !value["rebalanced"].is_null() {
            rules.push(rebalanced(&stats, &value["rebalanced"])?);
        }
        let wanted = files::object(&value, "fixed_by_sub_column")?.iter();
        let wanted = wanted.map(|(name, codes)| Ok((name.clone(), codes_of(codes)?)));
        let name = files::text(&value, "name")?;
        report.equal(
            name,
            &ours(&stats, &merge_rules(&rules)),
            &wanted.collect::<Outcome<_>>()?,
        );
    }
    report.finish()
}

fn column_order(case: &Case) -> Outcome {
    let (stats, mut report) = (stats(case)?, Report::default());
    let columns = stats.model_columns();
    let number = |name: &str| columns.iter().position(|c| c.name == name);
    for value in group(case, "column_order")? {
        let numbers = |value: &Value| {
            let names = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            names.filter_map(number).collect::<Vec<_>>()
        };
        let fairness = &value["fairness"];
        let request = OrderRequest {
            known: numbers(&value["seed_columns"]),
            rebalanced: value["rebalanced"]
                .as_str()
                .and_then(number)
                .into_iter()
                .collect(),
            imputed: numbers(&value["imputed"]),
            sensitive: numbers(&fairness["sensitive"]),
            target: fairness["target"].as_str().and_then(number),
        };
        let got: Vec<&str> = request
            .order(columns.len())
            .into_iter()
            .map(|c| columns[c].model_name.as_str())
            .collect();
        let wanted = files::texts(&value, "order")?;
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        report.equal(files::text(&value, "name")?, &got, &wanted);
    }
    report.finish()
}

/// A column of a request, as it came from the user.
struct Owned {
    name: String,
    texts: Option<(Vec<i64>, String)>,
    numbers: Vec<f64>,
    valid: Vec<u8>,
    rows: usize,
}

impl Owned {
    fn new(name: &str, values: &[Value]) -> Self {
        let mut valid = vec![0u8; values.len().div_ceil(8)];
        for (row, _) in values.iter().enumerate().filter(|(_, v)| !v.is_null()) {
            valid[row / 8] |= 1 << (row % 8);
        }
        let is_text = values.iter().any(Value::is_string);
        let mut ends = vec![0];
        let mut text = String::new();
        for value in values {
            text.push_str(value.as_str().unwrap_or_default());
            ends.push(text.len() as i64);
        }
        Self {
            name: name.to_owned(),
            texts: is_text.then_some((ends, text)),
            numbers: values.iter().map(|v| v.as_f64().unwrap_or(0.0)).collect(),
            valid,
            rows: values.len(),
        }
    }

    fn column(&self) -> Column<'_> {
        let values = match &self.texts {
            Some((ends, text)) => Values::Text(TextValues::new(Offsets::Large(ends), text)),
            None => Values::Float64(&self.numbers),
        };
        Column {
            name: &self.name,
            values,
            validity: Bitmap::new(&self.valid, 0, self.rows),
        }
    }
}

fn seed_codes(case: &Case) -> Outcome {
    let mut report = Report::default();
    for value in group(case, "seed_codes")? {
        let values: &Map<String, Value> = files::object(&value, "values")?;
        let columns: Vec<Owned> = values
            .iter()
            .map(|(name, values)| Owned::new(name, values.as_array().map_or(&[][..], Vec::as_slice)))
            .collect();
        let rows = columns.first().map_or(0, |c| c.rows);
        let table = Table::new(columns.iter().map(Owned::column).collect(), rows)?;
        // The statistics of the columns that are given.
        let mut stats = stats(case)?;
        stats.columns.retain(|name, _| values.contains_key(name));
        let codes = encode::encode(&table, &stats, 1, 0)?;
        let got: BTreeMap<String, Vec<u32>> = stats
            .sub_columns()
            .into_iter()
            .zip(codes.columns())
            .map(|(sub, codes)| (sub.name.to_string(), codes.to_vec()))
            .collect();
        let wanted: BTreeMap<String, Vec<u32>> = serde_json::from_value(value["codes"].clone())?;
        report.equal(files::text(&value, "name")?, &got, &wanted);
    }
    report.finish()
}

fn probability_labels(case: &Case) -> Outcome {
    let (stats, mut report) = (stats(case)?, Report::default());
    for value in group(case, "probability_labels")? {
        let name = files::text(&value, "column")?;
        let ColumnStats::Modelled { values, .. } = &stats.columns[name] else {
            return Err(format!("{name} has no values").into());
        };
        let got = levels(values).ok_or_else(|| format!("{name} has no levels"))?;
        let got: Vec<(u32, String)> = got
            .into_iter()
            .map(|(code, level)| (code, level.to_string()))
            .collect();
        let wanted = files::list(&value, "labels")?.iter().map(|label| {
            let code = files::number(label, "code_value")? as u32;
            Ok((code, files::text(label, "label")?.to_owned()))
        });
        report.equal(name, &got, &wanted.collect::<Outcome<Vec<_>>>()?);
    }
    report.finish()
}
