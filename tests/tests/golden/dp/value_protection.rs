//! The groups of `value-protection.json`: recorded noise in, statistics out. The name of each comparison says
//! which mechanism production feeds the function with.

use engine_core::privacy::log_histogram::{BINS, edges, log_histogram};
use engine_core::privacy::{
    QuantileDraw, kept_categories, noisy, noisy_bounds, private_quantiles, quantile_interval,
};
use serde_json::Value;

use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, Tolerance, within};
use crate::discover::Case;
use crate::files;

const FILE: &str = "value-protection.json";
const QUANTILES: Tolerance = within(1e-9, 1e-9);

/// Adds the comparisons.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    tests.compare(
        "histogram_bin_edges (in production: range of numbers and dates)",
        &[FILE],
        bin_edges,
    );
    tests.compare(
        "histograms (in production: range of numbers and dates, with nulls, discrete Laplace histogram)",
        &[FILE],
        histograms,
    );
    tests.compare(
        "approximate_bounds (in production: range of numbers and dates, discrete Laplace histogram)",
        &[FILE],
        approximate_bounds,
    );
    tests.compare(
        "quantiles (in production: none of a flat table, whose bins follow from the histogram)",
        &[FILE],
        quantiles,
    );
    tests.compare(
        "non_rare_categories (in production: categories and discrete numbers, discrete Laplace threshold)",
        &[FILE],
        non_rare_categories,
    );
}

fn group(case: &Case, group: &str) -> Outcome<Vec<Value>> {
    let file = files::json(&case.path(FILE))?;
    Ok(files::list(&file, group)?.to_vec())
}

fn bin_edges(case: &Case) -> Outcome {
    let mut report = Report::default();
    let recorded = group(case, "histogram_bin_edges")?;
    report.equal("bins", &BINS, &recorded.len());
    for (bin, recorded) in recorded.iter().enumerate() {
        let recorded = (files::as_number(&recorded[0])?, files::as_number(&recorded[1])?);
        report.equal(&format!("bin {bin}"), &edges(bin), &recorded);
    }
    report.finish()
}

/// Values of a histogram by its name.
fn values_of(case: &Case, name: &str) -> Outcome<Vec<f64>> {
    let all = group(case, "histograms")?;
    let found = all.iter().find(|h| h["name"] == name);
    files::numbers(
        found.ok_or_else(|| format!("there is no histogram {name}"))?,
        "values",
    )
}

fn counts(value: &Value, key: &str) -> Outcome<Vec<u64>> {
    Ok(files::numbers(value, key)?
        .into_iter()
        .map(|n| n as u64)
        .collect())
}

fn histograms(case: &Case) -> Outcome {
    let mut report = Report::default();
    for recorded in group(case, "histograms")? {
        let ours = log_histogram(&files::numbers(&recorded, "values")?);
        report.equal(
            files::text(&recorded, "name")?,
            &ours,
            &counts(&recorded, "histogram")?,
        );
    }
    report.finish()
}

fn optional(value: &Value) -> Outcome<Option<f64>> {
    match value {
        Value::Null => Ok(None),
        number => Ok(Some(files::as_number(number)?)),
    }
}

fn approximate_bounds(case: &Case) -> Outcome {
    let mut report = Report::default();
    for recorded in group(case, "approximate_bounds")? {
        let (name, epsilon) = (
            files::text(&recorded, "histogram_of")?,
            files::number(&recorded, "epsilon")?,
        );
        let counts = log_histogram(&values_of(case, name)?);
        let noise = files::numbers(&recorded, "noise")?;
        let ours = noisy_bounds(&noisy(&counts, &noise), epsilon);
        let wanted = optional(&recorded["lower"])?.zip(optional(&recorded["upper"])?);
        report.equal(&format!("{name}, epsilon {epsilon}"), &ours, &wanted);
    }
    report.finish()
}

fn quantiles(case: &Case) -> Outcome {
    let mut report = Report::default();
    for recorded in group(case, "quantiles")? {
        quantiles_of(case, &recorded, &mut report)?;
    }
    report.finish()
}

/// mostlyai-engine spends equal parts on the range and on each quantile, whose rate is its part.
fn quantiles_of(case: &Case, recorded: &Value, report: &mut Report) -> Outcome {
    let (name, epsilon) = (
        files::text(recorded, "values_of")?,
        files::number(recorded, "epsilon")?,
    );
    let what = format!("{name}, epsilon {epsilon}");
    let wanted = files::numbers(recorded, "quantiles")?;
    let values = values_of(case, name)?;
    let random = files::list(recorded, "random_numbers")?;
    let share = epsilon / (wanted.len() + 1) as f64;
    let noise = files::numbers(&random[0], "laplace")?;
    let bounds = noisy_bounds(&noisy(&log_histogram(&values), &noise), share);
    let results = files::list(recorded, "result")?.iter().map(optional);
    let results = results.collect::<Outcome<Vec<_>>>()?;
    let results: Option<Vec<f64>> = results.into_iter().collect();
    report.equal(
        &format!("{what}: has a range"),
        &bounds.is_some(),
        &results.is_some(),
    );
    let (Some(bounds), Some(results)) = (bounds, results) else {
        return Ok(());
    };
    let rate = (epsilon - share) / wanted.len() as f64;
    let mut draws = Vec::new();
    for (&q, drawn) in wanted.iter().zip(random[1..].chunks(2)) {
        let choice = files::number(&drawn[0], "choice_uniform")?;
        let position = files::number(&drawn[1], "uniform_0_1")?;
        draws.push(QuantileDraw { choice, position });
        let (interval, probability) = quantile_interval(&values, bounds, q, rate, choice);
        let recorded = files::number(&drawn[0], "choice_index")? as usize;
        report.equal(&format!("{what}: rank of {q}"), &interval, &recorded);
        let recorded = files::number(&drawn[0], "probability_of_choice")?;
        report.close(
            &format!("{what}: probability of {q}"),
            &[probability],
            &[recorded],
            QUANTILES,
        );
    }
    let rates: Vec<(f64, f64)> = wanted.iter().map(|&q| (q, rate)).collect();
    let ours = private_quantiles(&values, bounds, &rates, &draws);
    report.close(&what, &ours, &results, QUANTILES);
    Ok(())
}

fn non_rare_categories(case: &Case) -> Outcome {
    let mut report = Report::default();
    for (index, recorded) in group(case, "non_rare_categories")?.iter().enumerate() {
        let counted = files::object(recorded, "counts")?;
        let counts: Vec<u64> = counted.values().filter_map(Value::as_u64).collect();
        report.equal("all counts are whole numbers", &counts.len(), &counted.len());
        let noise = files::numbers(recorded, "noise")?;
        let threshold = files::number(recorded, "threshold")? as u64;
        let (kept, ratio) = kept_categories(&counts, &noise, threshold);
        let names: Vec<String> = counted.keys().cloned().collect();
        let kept: Vec<String> = kept.into_iter().map(|place| names[place].clone()).collect();
        report.equal(&format!("kept {index}"), &kept, &files::texts(recorded, "kept")?);
        let wanted = files::number(recorded, "non_rare_ratio")?;
        report.close(&format!("ratio {index}"), &[ratio], &[wanted], QUANTILES);
    }
    report.finish()
}
