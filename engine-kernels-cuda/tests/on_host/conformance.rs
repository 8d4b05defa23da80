//! The kernels, compiled as C++ for the host, against the interpreter: every op and whole programs.

// The table is what this test is run for.
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use crate::host::{HostDriver, is_selected};
use engine_core::conformance::{self, ConformanceReport};
use engine_kernels_cuda::CudaBackend;

/// Runs the cases that `is_selected`.
fn conform(driver: HostDriver, is_selected: impl Fn(&str, &str) -> bool) -> ConformanceReport {
    let backend = CudaBackend::with_driver(Arc::new(driver));
    let report = conformance::run_filtered(&backend, is_selected);
    println!("{report}");
    assert!(
        report.failures().is_empty(),
        "the kernels do not conform\n{report}"
    );
    report
}

#[test]
fn the_kernels_conform_on_the_host() {
    let selected = std::env::var("ENGINE_CONFORMANCE").unwrap_or_default();
    let report = conform(HostDriver::new(), |op, case| {
        op.contains(&selected) || case.contains(&selected)
    });
    if selected.is_empty() {
        report.assert_complete();
    }
}

/// What tensor cores multiply; on the host their way of holding factors and sums, without rounding.
#[test]
fn products_on_tensor_cores_conform_on_the_host() {
    let report = conform(HostDriver::with_tensor_cores(), |op, case| {
        op.contains("linear") && is_selected(op, case)
    });
    assert!(std::env::var_os("ENGINE_CONFORMANCE").is_some() || report.cases() > 50);
}
