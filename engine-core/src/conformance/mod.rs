//! The conformance suite that every backend passes. A case is a small program with seeded random data; it runs on the backend and on
//! the interpreter in f64, and all results and changed resources are compared. The cases cover every op, on ragged shapes, empty
//! batches and several time lengths, and whole programs (training steps, forward passes, draws of rows). No case chooses a tolerance:
//! the interpreter returns with each element the sum of the absolute terms that it was computed from, and a backend may differ by a few
//! roundings of that sum. Codes must agree exactly; where codes are drawn, the interpreter is forced to take the codes of the backend, and each
//! must cover its uniform number. An op without a case that ran is a failure. A backend's test is one line,
//! `engine_core::conformance::run(&MyBackend::new()).assert_complete()`; the tests of the suite itself replace single ops by wrong ones
//! and check that a case notices.

mod case;
mod cases;
mod compare;
mod draws;
mod models;
mod programs;
mod random_data;
mod report;

#[cfg(test)]
mod tests;

pub use case::{CaseError, Outcome, check_outcome};
pub use compare::{Comparison, Mismatch, Worst};
pub use report::{ConformanceReport, Failure, OpReport, Skip};

use crate::backend::Backend;
use crate::ir::ops::OP_NAMES;
use case::{Case, Verdict};
use cases::Cases;

/// Runs every case on a backend. An op without a case that ran is a failure.
pub fn run(backend: &dyn Backend) -> ConformanceReport {
    run_filtered(backend, |_, _| true)
}

/// Runs the cases for which `select(op, case)` is true; `op` is an op's name, or that of a whole program. The others are
/// listed as skipped.
pub fn run_filtered(backend: &dyn Backend, select: impl Fn(&str, &str) -> bool) -> ConformanceReport {
    run_families(backend, &cases::families(), &select)
}

fn run_families(
    backend: &dyn Backend,
    families: &[(&'static str, Cases)],
    select: &impl Fn(&str, &str) -> bool,
) -> ConformanceReport {
    let mut report = ConformanceReport {
        device: backend.device(),
        ops: OP_NAMES.iter().map(|op| row(op)).collect(),
    };
    for (family, cases) in families {
        match cases() {
            Ok(cases) => cases
                .iter()
                .for_each(|case| run_case(backend, case, select, &mut report)),
            Err(error) => {
                let failure = Failure {
                    op: (*family).to_owned(),
                    case: Some("building the cases".to_owned()),
                    error: Some(error),
                };
                find_row(&mut report, family).failed.push(failure);
            }
        }
    }
    report
}

fn run_case(
    backend: &dyn Backend,
    case: &Case,
    select: &impl Fn(&str, &str) -> bool,
    report: &mut ConformanceReport,
) {
    let row = find_row(report, case.op);
    if !select(case.op, &case.name) {
        let (case, reason) = (case.name.clone(), None);
        row.skipped.push(Skip { case, reason });
        return;
    }
    let (verdict, time) = case.run(backend);
    row.time += time;
    match verdict {
        Verdict::Passed(comparison) => {
            row.cases += 1;
            row.comparison.merge(&comparison);
        }
        Verdict::Skipped(error) => {
            let (case, reason) = (case.name.clone(), Some(error.to_string()));
            row.skipped.push(Skip { case, reason });
        }
        Verdict::Failed(error) => {
            row.cases += 1;
            row.failed.push(Failure {
                op: case.op.to_owned(),
                case: Some(case.name.clone()),
                error: Some(error),
            });
        }
    }
}

fn row(op: &str) -> OpReport {
    OpReport {
        op: op.to_owned(),
        ..OpReport::default()
    }
}

fn find_row<'r>(report: &'r mut ConformanceReport, op: &str) -> &'r mut OpReport {
    let at = report.ops.iter().position(|row| row.op == op).unwrap_or_else(|| {
        report.ops.push(row(op));
        report.ops.len() - 1
    });
    &mut report.ops[at]
}
