//! Kind `dp`: noisy statistics from recorded noise. The accountants come with private training.

mod value_protection;

use crate::case_tests::CaseTests;

/// Adds all comparisons of a case.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    value_protection::add_tests(tests);
    tests.ignored(
        "analysis",
        "exception, our statistics are other releases: mostlyai-engine spends its budget more than once",
    );
    for group in ["epsilon", "training-runs"] {
        tests.ignored(group, "private training comes later");
    }
}
