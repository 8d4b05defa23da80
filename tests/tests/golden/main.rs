//! Golden conformance: our numbers against those of mostlyai-engine, each comparison a named test such
//! as `census-2k/logits/natural/interpreter`.
//!
//! Cases come from the folder that `ENGINE_GOLDEN_DIR` names (a relative one is taken from the workspace
//! root), by default from `tests/fixtures/golden`. A comparison that is not built yet, or whose file a case
//! lacks, shows as ignored with the reason.

mod case_tests;
mod compare;
mod devices;
mod discover;
mod dp;
mod encodings;
mod fairness;
mod files;
mod flat;
mod sampling;
mod sequences;
mod tables;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use case_tests::CaseTests;
use devices::Device;
use discover::Case;

/// Kinds of cases that other parts of the engine will answer for.
const KINDS_TO_COME: &[&str] = &["language"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = discover::cases().and_then(|cases| Ok(trials(cases, &devices::all()?)));
    let trials = trials.unwrap_or_else(|error| vec![Trial::test("cases", move || Err(error))]);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials(cases: Vec<Case>, devices: &[Device]) -> Vec<Trial> {
    let known = ["flat", "sampling", "fairness", "dp", "encodings", "sequences"]
        .iter()
        .chain(KINDS_TO_COME);
    let missing: Vec<&str> = known
        .copied()
        .filter(|kind| cases.iter().all(|case| case.kind != *kind))
        .collect();
    let mut trials = Vec::new();
    for case in cases {
        let mut tests = CaseTests::new(Arc::new(case));
        match tests.case().kind.as_str() {
            "flat" => flat::add_tests(&mut tests, devices),
            "sampling" => sampling::add_tests(&mut tests),
            "dp" => dp::add_tests(&mut tests),
            "encodings" => encodings::add_tests(&mut tests),
            "sequences" => sequences::add_tests(&mut tests),
            "fairness" => fairness::add_tests(&mut tests),
            kind => {
                let name = format!("all of kind {kind}");
                tests.ignored(&name, "this kind is not built yet");
            }
        }
        trials.extend(tests.finish());
    }
    for kind in missing {
        let name = format!("kind {kind}");
        trials.push(case_tests::ignored_trial(
            name,
            "the folder holds no case of this kind".to_owned(),
        ));
    }
    trials
}
