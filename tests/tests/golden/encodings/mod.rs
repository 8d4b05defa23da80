//! Kind `encodings`: every encoding of a flat table, with and without value protection, there and back.

mod codes;
mod decoded;
pub(crate) mod exceptions;
mod failures;
mod runs;
mod statistics;

use crate::plan::Plan;
use runs::RUNS;

pub(crate) use codes::compare as compare_codes;
pub(crate) use decoded::{compare as compare_values, recorded_codes};

/// Adds all comparisons of a case.
pub(crate) fn plan(plan: &mut Plan) {
    for run in &RUNS {
        statistics::plan(plan, run);
        codes::plan(plan, run);
        decoded::plan(plan, run);
    }
    failures::plan(plan);
}
