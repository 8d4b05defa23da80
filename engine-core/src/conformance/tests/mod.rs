//! Tests of the suite itself, of the reference that it trusts, and of the messages of the IR.

use super::oracle_backend::OracleBackend;
use super::run;

#[test]
#[allow(clippy::print_stdout)] // The table is what a reader of the test's output wants.
fn the_reference_passes_its_own_suite() {
    let report = run(&OracleBackend::new());
    report.assert_complete();
    println!("{report}");
}
