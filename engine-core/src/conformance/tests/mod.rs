//! Tests of the suite itself, of the interpreter that it trusts, and of the messages of the IR.

mod accesses;
mod broken;
mod comparator;
mod gradients;
mod messages;
mod norms;

use super::run;
use crate::interpreter::InterpreterBackend;

#[test]
#[allow(clippy::print_stdout)] // The table is what a reader of the test's output wants.
fn the_interpreter_passes_its_own_suite() {
    let report = run(&InterpreterBackend);
    println!("{report}");
    report.assert_complete();
}
