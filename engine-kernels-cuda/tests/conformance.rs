//! Every op and whole programs on the GPU against the reference interpreter.

// The table is what this test is run for.
#![allow(clippy::print_stdout)]

use engine_core::conformance;
use engine_kernels_cuda::{CudaBackend, CudaError, CudaRanks};

#[test]
fn the_device_conforms() {
    match CudaBackend::open(0) {
        Ok(backend) => {
            let report = conformance::run(&backend);
            println!("{report}");
            report.assert_complete();
        }
        Err(error) if std::env::var_os("ENGINE_REQUIRE_GPU").is_none() => {
            println!("nothing was compared on a GPU: {error}");
        }
        Err(error) => panic!("{error}"),
    }
}

/// The way of several devices on one: NCCL is loaded, makes a communicator and sums.
#[test]
fn a_device_that_sums_by_nccl_conforms() {
    match CudaRanks::open(&[0]) {
        Ok(backend) => {
            let report = conformance::run(&backend);
            println!(
                "with NCCL: {} cases, failures: {:?}",
                report.cases(),
                report.failures()
            );
            report.assert_complete();
        }
        Err(error @ CudaError::NoNccl { .. }) => println!("nothing was summed by NCCL: {error}"),
        Err(error) if std::env::var_os("ENGINE_REQUIRE_GPU").is_none() => {
            println!("nothing was compared on a GPU: {error}");
        }
        Err(error) => panic!("{error}"),
    }
}
