//! What the suite found, op by op.

use std::fmt;
use std::time::Duration;

use super::case::CaseError;
use super::compare::Comparison;
use crate::backend::DeviceInfo;

/// A case that failed, or an op that no case reached.
#[derive(Debug)]
pub struct Failure {
    /// Op or program.
    pub op: String,
    /// Case, with its seed; `None` when no case ran at all.
    pub case: Option<String>,
    /// What went wrong; `None` when no case ran at all.
    pub error: Option<CaseError>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.case, &self.error) {
            (Some(case), Some(error)) => write!(f, "{} ({case}): {error}", self.op),
            _ => write!(f, "{}: no case ran", self.op),
        }
    }
}

/// A case that did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Case, with its seed.
    pub case: String,
    /// The backend's reason; `None` when the filter left the case out.
    pub reason: Option<String>,
}

/// One row of the table.
#[derive(Debug, Default)]
pub struct OpReport {
    /// Op or program.
    pub op: String,
    /// Number of cases that ran.
    pub cases: usize,
    /// Cases that did not run.
    pub skipped: Vec<Skip>,
    /// What was compared.
    pub comparison: Comparison,
    /// Time in the backend, compilation and copies included.
    pub time: Duration,
    pub(super) failed: Vec<Failure>,
}

impl OpReport {
    fn left_out(&self) -> bool {
        !self.skipped.is_empty() && self.skipped.iter().all(|s| s.reason.is_none())
    }

    /// Whether nothing of this op was checked although the filter did not leave it out.
    fn unreached(&self) -> bool {
        self.failed.is_empty() && (self.cases == 0 || self.comparison.compared == 0) && !self.left_out()
    }
}

/// The result of a run of the suite. Prints as a table.
#[derive(Debug)]
pub struct ConformanceReport {
    /// The device that was tested.
    pub device: DeviceInfo,
    /// One entry for each op, then one for each whole program.
    pub ops: Vec<OpReport>,
}

impl ConformanceReport {
    /// Everything that is wrong: failed cases, and ops without a case unless the filter left them out. Empty when all is well.
    pub fn failures(&self) -> Vec<String> {
        self.ops
            .iter()
            .flat_map(|op| {
                let failed = op.failed.iter().map(ToString::to_string);
                let unreached = op.unreached().then(|| {
                    Failure {
                        op: op.op.clone(),
                        case: None,
                        error: None,
                    }
                    .to_string()
                });
                failed.chain(unreached)
            })
            .collect()
    }

    /// Cases that did not run, as `op: case`.
    pub fn skipped(&self) -> Vec<String> {
        let of = |op: &OpReport| -> Vec<String> {
            let name = |skip: &Skip| format!("{}: {}", op.op, skip.case);
            op.skipped.iter().map(name).collect()
        };
        self.ops.iter().flat_map(of).collect()
    }

    /// Number of cases that ran.
    pub fn cases(&self) -> usize {
        self.ops.iter().map(|op| op.cases).sum()
    }

    /// Panics with the whole table unless every case of every op and program ran and passed.
    pub fn assert_complete(&self) {
        let complete = self.failures().is_empty() && self.skipped().is_empty() && self.cases() > 0;
        assert!(complete, "the backend does not conform\n{self}");
    }
}

impl fmt::Display for ConformanceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DeviceInfo { backend, device, .. } = &self.device;
        writeln!(f, "conformance of {backend} on {device}")?;
        writeln!(
            f,
            "{:<28} {:>5} {:>7} {:>9} {:>9}  {:<38} {:>9}",
            "op", "cases", "skipped", "compared", "of allowed", "worst at", "ms"
        )?;
        for op in &self.ops {
            let (ratio, at) = match &op.comparison.worst {
                Some(w) => (
                    format!("{:.4}", w.ratio),
                    format!("{}[{}, {}]", w.value, w.row, w.column),
                ),
                None => ("-".to_owned(), "-".to_owned()),
            };
            let ms = op.time.as_secs_f64() * 1e3;
            writeln!(
                f,
                "{:<28} {:>5} {:>7} {:>9} {:>10}  {:<38} {ms:>9.1}",
                op.op,
                op.cases,
                op.skipped.len(),
                op.comparison.compared,
                ratio,
                at,
            )?;
        }
        for op in &self.ops {
            for skip in op.skipped.iter().filter(|s| s.reason.is_some()) {
                let reason = skip.reason.as_deref().unwrap_or_default();
                writeln!(f, "skipped: {} ({}): {reason}", op.op, skip.case)?;
            }
        }
        let left_out = self.ops.iter().flat_map(|o| &o.skipped);
        let left_out = left_out.filter(|s| s.reason.is_none()).count();
        if left_out > 0 {
            writeln!(f, "left out by the filter: {left_out} cases")?;
        }
        let failures = self.failures();
        for failure in &failures {
            writeln!(f, "FAILED: {failure}")?;
        }
        write!(f, "{} cases, {} failures", self.cases(), failures.len())
    }
}
