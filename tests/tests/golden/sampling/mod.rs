//! Kind `sampling`: each rule between logits and a decoded value, alone.

mod batches;
mod decode;
mod rules;
mod seed_data;

use crate::case_tests::CaseTests;

/// Adds all comparisons of a case.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    rules::add_tests(tests);
    decode::add_tests(tests);
    batches::add_tests(tests);
    seed_data::add_tests(tests);
    tests.ignored("positions", "sequences come later");
}
