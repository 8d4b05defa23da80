//! Golden conformance: our numbers against those of the reference engine, each comparison a named test such
//! as `census-2k/logits/natural/reference`.
//!
//! Cases come from the folder that `ENGINE_GOLDEN_DIR` names (a relative one is taken from the workspace
//! root), by default from `tests/fixtures/golden`. A comparison that is not built yet, or whose file a case
//! lacks, shows as ignored with the reason.

mod compare;
mod devices;
mod discover;
mod dp;
mod encodings;
mod fairness;
mod files;
mod flat;
mod plan;
mod sampling;
mod sequences;
mod tables;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use devices::Device;
use discover::Case;
use plan::Plan;

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
        let mut plan = Plan::new(Arc::new(case));
        match plan.case().kind.as_str() {
            "flat" => flat::plan(&mut plan, devices),
            "sampling" => sampling::plan(&mut plan),
            "dp" => dp::plan(&mut plan),
            "encodings" => encodings::plan(&mut plan),
            "sequences" => sequences::plan(&mut plan),
            "fairness" => fairness::plan(&mut plan),
            kind => {
                let name = format!("all of kind {kind}");
                plan.ignored(&name, "this kind is not built yet");
            }
        }
        trials.extend(plan.finish());
    }
    for kind in missing {
        let name = format!("kind {kind}");
        trials.push(plan::ignored_trial(
            name,
            "the folder holds no case of this kind".to_owned(),
        ));
    }
    trials
}
