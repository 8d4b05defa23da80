//! Kind `encodings`: every encoding of a flat table, with and without value protection, there and back.

mod codes;
mod decoded;
pub(crate) mod exceptions;
mod failures;
mod runs;
mod statistics;

use crate::case_tests::CaseTests;
use runs::RUNS;

pub(crate) use codes::compare as compare_codes;
pub(crate) use decoded::{compare as compare_values, recorded_codes};

/// Adds all comparisons of a case.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    for run in &RUNS {
        statistics::add_tests(tests, run);
        codes::add_tests(tests, run);
        decoded::add_tests(tests, run);
    }
    failures::add_tests(tests);
}
