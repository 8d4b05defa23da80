//! The suite that every backend passes: all ops and whole programs, compared with the reference interpreter in f64.
//!
//! A backend's test is one line: `engine_core::conformance::run(&MyBackend::new()).assert_complete()`. No op chooses a
//! tolerance: an element may be off a few roundings of the sum of absolute terms that made it, which the reference returns beside
//! it. Codes must agree exactly.

mod case;
mod cases;
mod compare;
mod dice;
mod draws;
mod models;
mod programs;
mod report;

#[cfg(test)]
mod tests;

pub use case::{CaseError, Outcome, check_outcome};
pub use compare::{Comparison, Mismatch, Worst};
pub use report::{Failure, OpReport, Report, Skip};

use crate::backend::Backend;
use crate::ir::ops::OP_NAMES;
use case::{Case, Verdict};
use cases::Cases;

/// Runs every case on a backend. An op without a case that ran is a failure.
pub fn run(backend: &dyn Backend) -> Report {
    run_filtered(backend, |_, _| true)
}

/// Runs the cases for which `select(op, case)` is true; `op` is an op's name, or that of a whole program. The others are
/// listed as skipped.
pub fn run_filtered(backend: &dyn Backend, select: impl Fn(&str, &str) -> bool) -> Report {
    run_families(backend, &cases::families(), &select)
}

fn run_families(
    backend: &dyn Backend,
    families: &[(&'static str, Cases)],
    select: &impl Fn(&str, &str) -> bool,
) -> Report {
    let mut report = Report {
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

fn run_case(backend: &dyn Backend, case: &Case, select: &impl Fn(&str, &str) -> bool, report: &mut Report) {
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

fn find_row<'r>(report: &'r mut Report, op: &str) -> &'r mut OpReport {
    let at = report.ops.iter().position(|row| row.op == op).unwrap_or_else(|| {
        report.ops.push(row(op));
        report.ops.len() - 1
    });
    &mut report.ops[at]
}
