//! Temperature, top-p, fixed probabilities, and the draw.

use engine_core::ir::ops::sampling::rules::{draw, fix_probabilities, repair, temperature, top_p};
use engine_core::ir::ops::sampling::{FixedProbability, SamplingRules};
use serde_json::Value;

use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, Tolerance, within};
use crate::discover::Case;
use crate::files;

/// The file with all groups.
pub(crate) const FILE: &str = "cases.json";
const PROBABILITIES: Tolerance = within(1e-4, 1e-6);
const EXTREME_TEMPERATURE: Tolerance = within(1e-3, 1e-6);
const FILTERED: Tolerance = within(1e-5, 1e-7);

/// Remains of the 1e-20 that mostlyai-engine adds to every probability; they count as 0.
const REMAINS: f64 = 1e-12;

/// Adds the comparisons.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    tests.compare("temperature", &[FILE], temperatures);
    tests.compare("top_p", &[FILE], top_ps);
    tests.compare("fixed_probabilities", &[FILE], fixed_probabilities);
    tests.compare("weights_of_the_draw", &[FILE], weights_of_the_draw);
    for (index, case_name) in emptied_cases(tests.case()) {
        let reason = "exception, the remainder follows the odds before temperature and top-p";
        let name = format!("weights_of_the_draw/{case_name}: {reason}");
        tests.compare(&name, &[FILE], move |case| emptied_remainder(case, index));
    }
    tests.compare("draws", &[FILE], draws);
}

/// The cases of a group.
pub(crate) fn group(case: &Case, group: &str) -> Outcome<Vec<Value>> {
    let cases = files::json(&case.path(FILE))?;
    Ok(files::list(&cases, group)?.to_vec())
}

/// Rows under `key` in single precision.
fn rows(value: &Value, key: &str) -> Outcome<Vec<Vec<f32>>> {
    let row = |row: &Value| {
        let numbers = row
            .as_array()
            .ok_or_else(|| format!("{key} is no list of rows"))?;
        numbers.iter().map(|n| Ok(files::as_number(n)? as f32)).collect()
    };
    files::list(value, key)?.iter().map(row).collect()
}

/// A number in single precision; `None` when it is null.
fn optional(value: &Value, key: &str) -> Outcome<Option<f32>> {
    match &value[key] {
        Value::Null => Ok(None),
        number => Ok(Some(files::as_number(number)? as f32)),
    }
}

fn fixed(value: &Value) -> Outcome<Vec<FixedProbability>> {
    let Some(codes) = value["fixed"].as_array() else {
        return Ok(Vec::new());
    };
    let one = |fixed: &Value| {
        Ok(FixedProbability {
            code: files::number(fixed, "code")? as u32,
            probability: files::number(fixed, "probability")? as f32,
        })
    };
    codes.iter().map(one).collect()
}

fn without_remains(row: &[f32]) -> Vec<f64> {
    let row = row.iter().map(|w| f64::from(*w));
    row.map(|w| if w.abs() < REMAINS { 0.0 } else { w }).collect()
}

fn name(index: usize, value: &Value) -> String {
    format!("case {index} ({})", value["name"].as_str().unwrap_or_default())
}

fn of_temperature(t: f32) -> Tolerance {
    if (0.01..=100.0).contains(&t) {
        PROBABILITIES
    } else {
        EXTREME_TEMPERATURE
    }
}

fn temperatures(case: &Case) -> Outcome {
    let mut report = Report::default();
    for (i, value) in group(case, "temperature")?.iter().enumerate() {
        let t = files::number(value, "temperature")? as f32;
        for (mut row, want) in rows(value, "probs")?.into_iter().zip(rows(value, "result")?) {
            temperature(&mut row, t);
            report.close(
                &name(i, value),
                &without_remains(&row),
                &without_remains(&want),
                of_temperature(t),
            );
        }
    }
    report.finish()
}

/// Which of several equal codes survives the cut is open, so such rows are compared sorted.
fn top_ps(case: &Case) -> Outcome {
    let mut report = Report::default();
    for (i, value) in group(case, "top_p")?.iter().enumerate() {
        let p = files::number(value, "top_p")? as f32;
        let (probs, results) = (rows(value, "probs")?, rows(value, "result")?);
        let ties = files::list(value, "tie_at_the_cut")?;
        for ((mut row, mut want), tie) in probs.into_iter().zip(results).zip(ties) {
            top_p(&mut row, p);
            if tie.as_bool() == Some(true) {
                row.sort_by(f32::total_cmp);
                want.sort_by(f32::total_cmp);
            }
            report.close(
                &name(i, value),
                &without_remains(&row),
                &without_remains(&want),
                FILTERED,
            );
        }
    }
    report.finish()
}

fn fixed_probabilities(case: &Case) -> Outcome {
    let mut report = Report::default();
    for (i, value) in group(case, "fixed_probabilities")?.iter().enumerate() {
        let fixed = fixed(value)?;
        for (mut row, want) in rows(value, "probs")?.into_iter().zip(rows(value, "result")?) {
            fix_probabilities(&mut row, &fixed, None);
            report.close(
                &name(i, value),
                &without_remains(&row),
                &without_remains(&want),
                FILTERED,
            );
        }
    }
    report.finish()
}

/// A row of a case of `weights_of_the_draw`.
struct Row {
    case: usize,
    case_name: String,
    name: String,
    rules: SamplingRules,
    probs: Vec<f32>,
    want: Vec<f64>,
    want_normalised: Vec<f64>,
    /// Whether temperature and top-p leave the codes that are not fixed without any mass but the 1e-20 that mostlyai-engine adds.
    emptied: bool,
}

fn draw_rows(case: &Case) -> Outcome<Vec<Row>> {
    let mut all = Vec::new();
    for (i, value) in group(case, "weights_of_the_draw")?.iter().enumerate() {
        let rules = SamplingRules {
            temperature: optional(value, "temperature")?,
            top_p: optional(value, "top_p")?,
            fixed: vec![fixed(value)?],
            ..SamplingRules::default()
        };
        let results = rows(value, "weights")?
            .into_iter()
            .zip(rows(value, "probabilities")?);
        for (r, (logits, (want, normalised))) in rows(value, "logits")?.iter().zip(results).enumerate() {
            let probs = softmax(logits);
            all.push(Row {
                case: i,
                case_name: name(i, value),
                name: format!("{}, row {r}", name(i, value)),
                emptied: is_emptied(&probs, &rules),
                rules: rules.clone(),
                probs,
                want: without_remains(&want),
                want_normalised: without_remains(&normalised),
            });
        }
    }
    Ok(all)
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut exps: Vec<f32> = logits.iter().map(|l| (l - max).exp()).collect();
    let sum: f32 = exps.iter().sum();
    exps.iter_mut().for_each(|e| *e /= sum);
    exps
}

fn filtered(probs: &[f32], rules: &SamplingRules) -> Vec<f32> {
    let mut weights = probs.to_vec();
    if let Some(t) = rules.temperature {
        temperature(&mut weights, t);
    }
    if let Some(p) = rules.top_p {
        top_p(&mut weights, p);
    }
    weights
}

fn is_emptied(probs: &[f32], rules: &SamplingRules) -> bool {
    let fixed = rules.fixed_of(0);
    let is_open = |code: usize| fixed.iter().all(|f| f.code as usize != code);
    let weights = filtered(probs, rules);
    let mut open = (0..probs.len()).filter(|code| is_open(*code)).peekable();
    !fixed.is_empty() && open.peek().is_some() && open.all(|code| weights[code] == 0.0)
}

fn normalised(weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

fn weights_of_the_draw(case: &Case) -> Outcome {
    let mut report = Report::default();
    for row in draw_rows(case)?.iter().filter(|row| !row.emptied) {
        let mut weights = row.probs.clone();
        row.rules.apply(0, &mut weights);
        let (weights, tolerance) = (without_remains(&weights), tolerance(&row.rules));
        report.close(&row.name, &weights, &row.want, tolerance);
        report.close(&row.name, &normalised(&weights), &row.want_normalised, tolerance);
    }
    report.finish()
}

fn tolerance(rules: &SamplingRules) -> Tolerance {
    of_temperature(rules.temperature.unwrap_or(1.0))
}

/// Cases with a row whose remainder temperature or top-p have emptied. A file that cannot be read fails in the other comparisons.
fn emptied_cases(case: &Case) -> Vec<(usize, String)> {
    let rows = draw_rows(case).unwrap_or_default().into_iter();
    let mut cases: Vec<_> = rows
        .filter(|r| r.emptied)
        .map(|r| (r.case, r.case_name))
        .collect();
    cases.dedup();
    cases
}

/// Where temperature or top-p have emptied all codes that are not fixed, mostlyai-engine spreads the remainder evenly, rare codes
/// included: its 1e-20 decides. Ours spreads it by the odds before temperature. The recorded weights must follow the
/// rule of mostlyai-engine, the fixed shares must be equal, and the open codes must follow the odds.
fn emptied_remainder(case: &Case, index: usize) -> Outcome {
    let mut report = Report::default();
    for row in draw_rows(case)?
        .iter()
        .filter(|row| row.emptied && row.case == index)
    {
        let tolerance = tolerance(&row.rules);
        let fixed = row.rules.fixed_of(0);
        let mut theirs = filtered(&row.probs, &row.rules);
        fix_probabilities(&mut theirs, fixed, None);
        repair(&mut theirs);
        report.close(&row.name, &without_remains(&theirs), &row.want, tolerance);
        let mut ours = row.probs.clone();
        row.rules.apply(0, &mut ours);
        let is_fixed = |code: usize| fixed.iter().any(|f| f.code as usize == code);
        let (given, open): (Vec<usize>, Vec<usize>) = (0..ours.len()).partition(|code| is_fixed(*code));
        let at = |places: &[usize], values: &[f32]| {
            places.iter().map(|i| f64::from(values[*i])).collect::<Vec<_>>()
        };
        let shares: Vec<f64> = given.iter().map(|i| row.want[*i]).collect();
        report.close(&row.name, &at(&given, &ours), &shares, tolerance);
        let remainder: f64 = open.iter().map(|i| row.want[*i]).sum();
        let odds = normalised(&at(&open, &row.probs));
        let expected: Vec<f64> = odds.iter().map(|o| o * remainder).collect();
        report.close(&row.name, &at(&open, &ours), &expected, tolerance);
    }
    report.finish()
}

fn draws(case: &Case) -> Outcome {
    let mut report = Report::default();
    for (i, value) in group(case, "draws")?.iter().enumerate() {
        let weights: Vec<f32> = files::numbers(value, "weights")?
            .iter()
            .map(|w| *w as f32)
            .collect();
        let code = draw(&weights, files::number(value, "uniform")?);
        report.equal(
            &format!("case {i}"),
            &code,
            &(files::number(value, "code")? as usize),
        );
    }
    report.finish()
}
