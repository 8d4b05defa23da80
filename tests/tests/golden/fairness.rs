//! Kind `fairness`: the transform that equalises groups.

use engine_core::encode::TableStats;
use engine_core::generate::{Fairness, GenerateError};
use engine_core::ir::ops::sampling::{Parity, Quantiles, interpolate};
use serde_json::{Map, Value, json};

use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, Tolerance, within};
use crate::discover::Case;
use crate::files;

const FILE: &str = "cases.json";
const INTERPOLATION: Tolerance = within(1e-9, 1e-12);
const KNOTS: Tolerance = within(1e-6, 1e-9);
const PROBABILITIES: Tolerance = within(1e-4, 1e-6);

/// Adds all comparisons of a case.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    tests.compare("interpolation", &[FILE], interpolation);
    tests.compare("transforms", &[FILE], transforms);
    tests.compare("errors", &[FILE], errors);
}

fn cases(case: &Case) -> Outcome<Value> {
    files::json(&case.path(FILE))
}

fn interpolation(case: &Case) -> Outcome {
    let mut report = Report::default();
    for value in files::list(&cases(case)?, "interpolation")? {
        let (x, y) = (
            files::numbers(value, "x_knots")?,
            files::numbers(value, "y_knots")?,
        );
        let at = files::numbers(value, "at")?;
        let rounded = at.iter().map(|x| f64::from(*x as f32)).collect();
        for (key, at) in [("result", at.clone()), ("result_for_at_as_float32", rounded)] {
            let got: Vec<f64> = at.iter().map(|at| interpolate(*at, &x, &y)).collect();
            let name = format!("{}, {key}", files::text(value, "name")?);
            report.close(&name, &got, &files::numbers(value, key)?, INTERPOLATION);
        }
    }
    report.finish()
}

/// Statistics of a table of categorical columns, and of digits where there are no codes.
fn stats(columns: &[(String, Option<&Value>, u64)]) -> Outcome<TableStats> {
    let mut map = Map::new();
    for (i, (name, codes, rare)) in columns.iter().enumerate() {
        let place = |mut column: Value| {
            column["argn_processor"] = json!("tgt");
            column["argn_table"] = json!(format!("t{i}"));
            column["argn_column"] = json!(format!("c{i}"));
            column
        };
        let column = match codes {
            Some(codes) => json!({
                "encoding_type": "TABULAR_CATEGORICAL",
                "value_protection": false,
                "no_of_rare_categories": rare,
                "codes": codes,
                "cardinalities": {"cat": codes.as_object().map_or(0, Map::len)},
            }),
            None => json!({
                "encoding_type": "TABULAR_NUMERIC_DIGIT",
                "value_protection": false,
                "cardinalities": {"E0": 10},
                "has_nan": false,
                "has_neg": false,
                "min_digits": {"E0": 0},
                "max_digits": {"E0": 9},
                "max_decimal": 0,
                "min_decimal": 0,
                "min": 0,
                "max": 9,
            }),
        };
        map.insert(name.clone(), place(column));
    }
    let stats = json!({
        "columns": map,
        "no_of_training_records": 0,
        "no_of_validation_records": 0,
        "seq_len": {"min": 1, "max": 1, "median": 1, "value_protection": false},
        "is_sequential": false,
    });
    Ok(TableStats::from_json(&stats.to_string())?)
}

fn matrix(value: &Value) -> Outcome<Vec<Vec<f32>>> {
    let row = |row: &Value| {
        let numbers = row.as_array().ok_or("a row is no list")?;
        numbers.iter().map(|n| Ok(files::as_number(n)? as f32)).collect()
    };
    value
        .as_array()
        .ok_or("a table is no list")?
        .iter()
        .map(row)
        .collect()
}

fn transforms(case: &Case) -> Outcome {
    let mut report = Report::default();
    for value in files::list(&cases(case)?, "transforms")? {
        transform(&mut report, value)?;
    }
    report.finish()
}

fn transform(report: &mut Report, value: &Value) -> Outcome {
    let name = files::text(value, "name")?;
    let (target, sensitive) = (&value["target"], files::list(value, "sensitive")?);
    let column = |value: &Value| files::text(value, "column").map(str::to_owned);
    let rare = |value: &Value| value["no_of_rare_categories"].as_u64().unwrap_or(0);
    // In the table the columns stand in another order than in the request.
    let mut columns = vec![(column(target)?, Some(&target["codes"]), 0)];
    for value in sensitive.iter().rev() {
        columns.insert(0, (column(value)?, Some(&value["codes"]), rare(value)));
    }
    columns.reverse();
    let stats = stats(&columns)?;
    let names = sensitive.iter().map(column).collect::<Outcome<Vec<_>>>()?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fairness = Fairness::new(&stats, &column(target)?, &names)?;
    let groups: Vec<Vec<u32>> = serde_json::from_value(value["groups"].clone())?;
    report.equal(&format!("{name}: groups"), &fairness.groups, &groups);
    let samples: Vec<Value> = fairness
        .samples()
        .into_iter()
        .map(|(rows, codes)| {
            let fixed = codes.map(|codes| {
                let pairs = sensitive.iter().zip(codes);
                let pairs = pairs.map(|(s, code)| (s["sub_column"].as_str().unwrap_or_default(), code));
                json!(pairs.collect::<std::collections::BTreeMap<_, _>>())
            });
            json!({"rows": rows, "fixed": fixed})
        })
        .collect();
    report.equal(
        &format!("{name}: samples"),
        &samples[..],
        files::list(value, "samples_asked_for")?,
    );

    let probabilities = &value["model_probabilities"];
    let cardinality = target["codes"].as_object().map_or(0, Map::len);
    let knots = |table: &Value| Ok(Quantiles::of_codes(&matrix(table)?.concat(), cardinality));
    let by_group = files::list(probabilities, "by_group")?.iter().map(knots);
    let parity = Parity {
        target: sensitive.len(),
        sensitive: (0..sensitive.len()).collect(),
        groups,
        marginal: knots(&probabilities["unconditional"])?,
        by_group: by_group.collect::<Outcome<_>>()?,
    };
    let of_code_0 = &value["knots_of_code_0"];
    for (key, got) in [
        ("marginal", &parity.marginal[0]),
        ("group_0", &parity.by_group[0][0]),
    ] {
        let what = format!("{name}: knots, {key}");
        report.close(&what, got.values(), &files::numbers(of_code_0, key)?, KNOTS);
    }
    let codes: Vec<Vec<u32>> = serde_json::from_value(value["batch"]["sensitive_codes"].clone())?;
    let rows = matrix(&value["batch"]["probabilities"])?.into_iter().zip(&codes);
    for ((mut row, codes), want) in rows.zip(matrix(&value["result"])?) {
        parity.apply(&mut row, |s| codes[s]);
        let wide = |row: &[f32]| row.iter().map(|p| f64::from(*p)).collect::<Vec<_>>();
        report.close(
            &format!("{name}: {codes:?}"),
            &wide(&row),
            &wide(&want),
            PROBABILITIES,
        );
    }
    Ok(())
}

fn errors(case: &Case) -> Outcome {
    let cases = cases(case)?;
    let errors = &cases["errors"];
    let codes = json!({"_RARE_": 0, "a": 1});
    let columns = files::object(errors, "columns")?.iter().map(|(name, encoding)| {
        let codes = (encoding == "categorical").then_some(&codes);
        (name.clone(), codes, 0)
    });
    let stats = stats(&columns.collect::<Vec<_>>())?;
    let mut report = Report::default();
    for value in files::list(errors, "cases")? {
        let sensitive = files::texts(value, "sensitive")?;
        let sensitive: Vec<&str> = sensitive.iter().map(String::as_str).collect();
        // A request without a target cannot be written down here.
        let Some(target) = value["target"].as_str() else {
            report.require(value["target"].is_null(), || {
                format!("{value}: a target that is no text")
            });
            continue;
        };
        let refused = Fairness::new(&stats, target, &sensitive);
        let names_column = match &refused {
            Err(GenerateError::Fairness { column, .. }) => {
                column == target || sensitive.contains(&column.as_str())
            }
            _ => false,
        };
        report.require(names_column, || format!("{value}: {refused:?}"));
    }
    report.finish()
}
