//! The kernels, compiled as C++ for the host, against the reference interpreter: every op and whole programs.

// The table is what this test is run for.
#![allow(clippy::print_stdout)]

mod host;

use std::sync::Arc;

use engine_core::conformance;
use engine_kernels_cuda::CudaBackend;
use host::HostDriver;

#[test]
fn the_kernels_conform_on_the_host() {
    let backend = CudaBackend::with_driver(Arc::new(HostDriver::new()));
    let selected = std::env::var("ENGINE_CONFORMANCE").unwrap_or_default();
    let report = conformance::run_filtered(&backend, |op, case| {
        op.contains(&selected) || case.contains(&selected)
    });
    println!("{report}");
    assert!(
        report.failures().is_empty(),
        "the kernels do not conform\n{report}"
    );
    if selected.is_empty() {
        report.assert_complete();
    }
}
