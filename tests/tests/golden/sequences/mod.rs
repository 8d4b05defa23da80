//! Kind `sequences`: tables with several rows per subject. What is built so far is the encodings of their rows.

mod rows;

use crate::case_tests::CaseTests;

/// Adds all comparisons of a case.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    rows::add_tests(tests);
    tests.ignored("the model", "sequences are not built yet");
}
