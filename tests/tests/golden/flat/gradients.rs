//! Gradients of the mean loss of the first rows of the batch.

use engine_core::argn::Model;
use engine_core::backend::Run;
use engine_core::ir::{LossWeight, Program, differentiate};
use serde_json::Value;

use super::loaded::{LOADED_FILES, Loaded};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, Tolerance, within};
use crate::devices::{Device, Results, Session};
use crate::discover::Case;
use crate::files::{self, Tensors};

/// Rows whose gradients are recorded.
pub(crate) const GRADIENT_ROWS: usize = 16;

/// Of a gradient as a whole, and of its largest element.
pub(crate) const GRADIENT_TOLERANCE: Tolerance = within(1e-4, 1e-8);

/// Adds the comparisons on one device.
pub(crate) fn add_tests(tests: &mut CaseTests, device: &Device) {
    let files = |more: &'static str| [&LOADED_FILES[..], &["batch64.safetensors", more]].concat();
    for (what, file, test) in [
        (
            "losses",
            "gradients.safetensors",
            losses as fn(&Case, &Device) -> Outcome,
        ),
        ("tensors", "gradients.safetensors", tensors),
        ("fingerprints", "gradients.json", fingerprints),
    ] {
        let device = device.clone();
        let name = format!("gradients/{what}/{}", device.name);
        tests.compare(&name, &files(file), move |case| test(case, &device));
    }
}

/// The backward pass of the mean loss.
pub(crate) fn gradient_program(loaded: &Loaded) -> Outcome<Program> {
    let forward = loaded.model.forward()?;
    Ok(differentiate(
        &forward,
        "loss",
        LossWeight::Mean { micro_batches: 1 },
    )?)
}

/// Runs a program over codes and ranks on the first rows of the batch, natural order.
pub(crate) fn run_on_rows<'d>(
    case: &Case,
    loaded: &Loaded,
    device: &'d Device,
    program: &Program,
) -> Outcome<(Session<'d>, Results)> {
    let mut session = Session::new(device);
    session.put("params", loaded.weights())?;
    let inputs = vec![loaded.batch(case, GRADIENT_ROWS)?, loaded.ranks("natural")?];
    let results = session.run(program, &Run::evaluate(GRADIENT_ROWS as u32), inputs)?;
    Ok((session, results))
}

fn losses(case: &Case, device: &Device) -> Outcome {
    let loaded = Loaded::new(case)?;
    let (_, results) = run_on_rows(case, &loaded, device, &gradient_program(&loaded)?)?;
    let recorded = Tensors::open(&case.path("gradients.safetensors"))?;
    let mut report = Report::default();
    report.close(
        "loss",
        &results.get("loss")?,
        &recorded.get("loss")?.data,
        within(1e-5, 1e-5),
    );
    report.finish()
}

fn tensors(case: &Case, device: &Device) -> Outcome {
    let loaded = Loaded::new(case)?;
    let (session, _) = run_on_rows(case, &loaded, device, &gradient_program(&loaded)?)?;
    let grads = session.read("params.grads")?;
    let recorded = Tensors::open(&case.path("gradients.safetensors"))?;
    let mut report = Report::default();
    for (name, want) in recorded.with_prefix("grad.") {
        let param = loaded.model.layout().find(name);
        let param = param.ok_or_else(|| format!("the model has no parameter {name}"))?;
        report.tensor(name, &grads[param.view.range()], &want.data, GRADIENT_TOLERANCE);
    }
    report.finish()
}

fn fingerprints(case: &Case, device: &Device) -> Outcome {
    let loaded = Loaded::new(case)?;
    let (session, _) = run_on_rows(case, &loaded, device, &gradient_program(&loaded)?)?;
    let grads = session.read("params.grads")?;
    let recorded = files::json(&case.path("gradients.json"))?;
    let mut report = Report::default();
    all_fingerprints(
        &mut report,
        &loaded,
        &grads,
        &recorded["gradient_of_mean_loss"],
        device,
    )?;
    report.finish()
}

/// Compares every parameter of an arena with its fingerprint; each parameter must have one.
pub(crate) fn all_fingerprints(
    report: &mut Report,
    loaded: &Loaded,
    arena: &[f64],
    recorded: &Value,
    device: &Device,
) -> Outcome {
    let params = loaded.model.layout().params();
    let count = recorded.as_object().map(serde_json::Map::len);
    report.equal("number of fingerprints", &Some(params.len()), &count);
    for param in params {
        let got = (&param.shape[..], &arena[param.view.range()]);
        report.fingerprint(&param.name, got, &recorded[&param.name], device.is_exact())?;
    }
    Ok(())
}
