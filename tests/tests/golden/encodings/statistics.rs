//! Statistics: every key of every column, and of the table, map order included.

use serde_json::{Value, json};

use super::exceptions::{self, Compared};
use super::runs::{INPUT, Run, types};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::files;

/// Adds the comparison of a run.
pub(crate) fn add_tests(tests: &mut CaseTests, run: &'static Run) {
    let name = run.file("statistics");
    let recorded = run.file("tgt-stats.json");
    let wanted = [&INPUT[..], &[recorded.as_str()]].concat();
    tests.compare(&name, &wanted, |case| statistics(case, run));
}

fn statistics(case: &Case, run: &Run) -> Outcome {
    let (types, _) = types(case)?;
    let input = files::parquet(&case.path("input.parquet"))?;
    let ours: Value = serde_json::from_str(&run.analysed(&input, &types)?.to_json()?)?;
    let recorded = files::json(&case.path(&run.file("tgt-stats.json")))?;
    let mut report = Report::default();
    let (columns, wanted) = (
        files::object(&ours, "columns")?,
        files::object(&recorded, "columns")?,
    );
    let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
    report.equal("columns in order", &names(columns), &names(wanted));
    for name in wanted.keys() {
        let (ours, wanted) = (
            files::object(&ours["columns"], name)?,
            files::object(&recorded["columns"], name)?,
        );
        report.equal(&format!("{name}: keys in order"), &names(ours), &names(wanted));
        for (key, wanted) in wanted {
            let exception = match key.as_str() {
                "quad_codes" => types
                    .get(name)
                    .and_then(|&encoding| exceptions::find(encoding, Compared::OrderOf("quad_codes"))),
                _ => None,
            };
            let (ours, what) = (&ours[key], format!(".{key}"));
            // As text, because the order of codes and cardinalities counts.
            let texts = (ours.to_string(), wanted.to_string());
            exceptions::check(&mut report, (name, &what), &texts.0, &texts.1, exception);
            report.equal(
                &format!("{name}{what} in any order"),
                &unordered(ours),
                &unordered(wanted),
            );
        }
    }
    for key in ours
        .as_object()
        .ok_or("the statistics are no object")?
        .keys()
        .filter(|k| *k != "columns")
    {
        report.equal(key, &ours[key], &recorded[key]);
    }
    report.finish()
}

/// Codes without their numbers, sorted.
fn unordered(codes: &Value) -> Value {
    match codes {
        Value::Object(codes) => {
            let mut entries: Vec<(&String, Value)> = codes
                .iter()
                .map(|(token, code)| (token, unordered(code)))
                .collect();
            entries.sort_by_key(|(token, _)| *token);
            entries
                .into_iter()
                .map(|(token, code)| json!([token, code]))
                .collect()
        }
        Value::Number(_) => Value::Null,
        other => other.clone(),
    }
}
