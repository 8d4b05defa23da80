//! Tests that need what a machine may lack: a GPU, NCCL, the run-time compiler. Where it is missing, nothing is compared, and the
//! test shows as ignored, with the reason; with `ENGINE_REQUIRE_GPU` or `ENGINE_REQUIRE_NVRTC` set it fails.

#![allow(clippy::unwrap_used, reason = "tests may panic")]
// What was compared is what these tests are run for.
#![allow(clippy::print_stdout)]

mod compile;
mod conformance;
mod ranks;
mod tensor_cores;

use std::process::ExitCode;

use engine_kernels_cuda::CudaError;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// How a test ends that may find nothing to compare.
type Outcome = Result<Completion, Failed>;

/// The end of a test for which a GPU is missing, or NCCL, which may be missing also where there is a GPU.
fn without_gpu(error: &CudaError) -> Outcome {
    let may_be_missing = matches!(error, CudaError::NoNccl { .. });
    without(
        error,
        may_be_missing || std::env::var_os("ENGINE_REQUIRE_GPU").is_none(),
    )
}

/// The end of a test for which the compiler is missing.
fn without_compiler(error: &CudaError) -> Outcome {
    without(error, std::env::var_os("ENGINE_REQUIRE_NVRTC").is_none())
}

fn without(error: &CudaError, may_be_missing: bool) -> Outcome {
    if may_be_missing {
        Ok(Completion::ignored_with(error.to_string()))
    } else {
        Err(error.to_string().into())
    }
}

fn trial(name: &str, test: fn() -> Outcome) -> Trial {
    Trial::ignorable_test(name, test)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = [
        compile::trials(),
        conformance::trials(),
        ranks::trials(),
        tensor_cores::trials(),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
