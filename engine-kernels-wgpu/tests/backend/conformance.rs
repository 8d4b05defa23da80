//! Every op and whole programs against the interpreter, on the best adapter of this machine.

// The table is what this test is run for.
#![allow(clippy::print_stdout)]

use engine_kernels_wgpu::{WgpuBackend, WgpuOptions};

#[test]
fn the_backend_conforms() {
    let backend = WgpuBackend::new(&WgpuOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let report = engine_core::conformance::run(&backend);
    println!("{report}");
    report.assert_complete();
}
