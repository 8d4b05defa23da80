//! Numbers of rows drawn at once.

use engine_core::generate::{BatchDevice, batch_heuristic, batch_sizes};

use super::rules::{FILE, group};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::files;

/// Adds the comparisons.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    tests.compare("batches", &[FILE], batches);
    tests.compare("batch_size_heuristic", &[FILE], heuristic);
}

fn batches(case: &Case) -> Outcome {
    let mut report = Report::default();
    for (i, value) in group(case, "batches")?.iter().enumerate() {
        let (rows, size) = (files::number(value, "rows")?, files::number(value, "batch_size")?);
        let got: Vec<f64> = batch_sizes(rows as u64, size as u64).map(|n| n as f64).collect();
        report.equal(
            &format!("case {i}"),
            &got,
            &files::numbers(value, "rows_per_batch")?,
        );
    }
    report.finish()
}

fn heuristic(case: &Case) -> Outcome {
    let cases = files::json(&case.path(FILE))?;
    let heuristic = &cases["batch_size_heuristic"];
    let codes = files::number(heuristic, "sum_of_cardinalities")? as usize;
    let mut report = Report::default();
    for (i, value) in files::list(heuristic, "cases")?.iter().enumerate() {
        let device = match files::text(value, "device")? {
            "cpu" => BatchDevice::Cpu,
            _ => BatchDevice::Gpu,
        };
        let got = batch_heuristic(files::number(value, "gib")?, codes, device);
        let want = files::number(value, "batch_size")? as usize;
        report.equal(&format!("case {i}"), &got, &want);
    }
    report.finish()
}
