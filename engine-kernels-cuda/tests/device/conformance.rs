//! Every op and whole programs on the GPU against the interpreter.

use engine_core::conformance;
use engine_kernels_cuda::{CudaBackend, CudaRanks};
use libtest_mimic::{Completion, Trial};

use crate::{Outcome, trial, without_gpu};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_device_conforms", the_device_conforms),
        trial(
            "a_device_that_sums_by_nccl_conforms",
            a_device_that_sums_by_nccl_conforms,
        ),
    ]
}

fn the_device_conforms() -> Outcome {
    let backend = match CudaBackend::open(0) {
        Ok(backend) => backend,
        Err(error) => return without_gpu(&error),
    };
    let report = conformance::run(&backend);
    println!("{report}");
    report.assert_complete();
    Ok(Completion::Completed)
}

/// The way of several devices on one: NCCL is loaded, makes a communicator and sums.
fn a_device_that_sums_by_nccl_conforms() -> Outcome {
    let backend = match CudaRanks::open(&[0]) {
        Ok(backend) => backend,
        Err(error) => return without_gpu(&error),
    };
    let report = conformance::run(&backend);
    println!(
        "with NCCL: {} cases, failures: {:?}",
        report.cases(),
        report.failures()
    );
    report.assert_complete();
    Ok(Completion::Completed)
}
