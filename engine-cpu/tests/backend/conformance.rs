//! Every op and whole programs against the interpreter, for every instruction set of this processor.

// The table is what this test is run for.
#![allow(clippy::print_stdout)]

use std::num::NonZeroUsize;

use engine_cpu::{CpuBackend, CpuOptions, InstructionSet};

#[test]
fn every_instruction_set_conforms() {
    let mut tables = Vec::new();
    for set in InstructionSet::available() {
        for threads in [1, 3] {
            let options = CpuOptions {
                threads: NonZeroUsize::new(threads),
                instruction_set: Some(set),
            };
            let backend = CpuBackend::new(options).expect("an available set");
            let report = engine_core::conformance::run(&backend);
            tables.push(report);
        }
    }
    for report in &tables {
        println!("{report}");
    }
    for report in &tables {
        report.assert_complete();
    }
}
