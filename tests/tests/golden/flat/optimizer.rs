//! AdamW: the weights after one step, the losses over five.

use engine_core::argn::Model;
use engine_core::backend::Run;

use super::gradients::{GRADIENT_ROWS, all_fingerprints, gradient_program};
use super::loaded::{LOADED_FILES, Loaded};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, within};
use crate::devices::{Device, Session};
use crate::discover::Case;
use crate::files::{self, Tensors};

/// Adds the comparisons on one device.
pub(crate) fn add_tests(tests: &mut CaseTests, device: &Device) {
    let more = ["batch64.safetensors", "gradients.json"];
    let files = [&LOADED_FILES[..], &more].concat();
    let with_tensors = [&files[..], &["adamw.safetensors", "gradients.safetensors"]].concat();
    for (what, files, test) in [
        (
            "tensors",
            &with_tensors,
            after_one_step as fn(&Case, &Device) -> Outcome,
        ),
        ("fingerprints", &files, fingerprints_after_one_step),
        ("loss_trace", &files, loss_trace),
    ] {
        let device = device.clone();
        let name = format!("adamw/{what}/{}", device.name);
        tests.compare(&name, files, move |case| test(case, &device));
    }
}

/// Trains on the recorded rows for `steps` steps; the mean loss before each step, and the session.
fn train<'d>(
    case: &Case,
    loaded: &Loaded,
    device: &'d Device,
    steps: u32,
) -> Outcome<(Vec<f64>, Session<'d>)> {
    let json = files::json(&case.path("gradients.json"))?;
    let (gradient, update) = (
        gradient_program(loaded)?,
        loaded.model.train_programs(1)?.update()?,
    );
    let mut session = Session::new(device);
    session.put("params", loaded.weights())?;
    let mut trace = Vec::new();
    for step in 0..steps {
        let run = Run {
            first_step: step,
            learning_rate: files::number(&json["adamw"], "lr")? as f32,
            ..Run::evaluate(GRADIENT_ROWS as u32)
        };
        let inputs = vec![loaded.batch(case, GRADIENT_ROWS)?, loaded.ranks("natural")?];
        let losses = session.run(&gradient, &run, inputs)?.get("loss")?;
        trace.push(losses.iter().sum::<f64>() / GRADIENT_ROWS as f64);
        session.run(&update, &run, Vec::new())?;
    }
    Ok((trace, session))
}

/// The first step is learning rate times sign of the gradient where that is tiny, so rounding decides there.
fn after_one_step(case: &Case, device: &Device) -> Outcome {
    let loaded = Loaded::new(case)?;
    let (_, session) = train(case, &loaded, device, 1)?;
    let weights = session.read("params")?;
    let json = files::json(&case.path("gradients.json"))?;
    let tiny = within(0.0, 2.2 * files::number(&json["adamw"], "lr")?);
    let recorded = Tensors::open(&case.path("adamw.safetensors"))?;
    let gradients = Tensors::open(&case.path("gradients.safetensors"))?;
    let mut report = Report::default();
    for (name, want) in recorded.with_prefix("after1.") {
        let param = loaded.model.layout().find(name);
        let param = param.ok_or_else(|| format!("the model has no parameter {name}"))?;
        let (got, grad) = (
            &weights[param.view.range()],
            gradients.get(&format!("grad.{name}"))?,
        );
        let clear = |i: &usize| grad.data[*i] == 0.0 || grad.data[*i].abs() >= 1e-5;
        let (clear, unclear): (Vec<usize>, Vec<usize>) = (0..want.data.len()).partition(clear);
        for (places, tolerance) in [(clear, within(1e-6, 2e-6)), (unclear, tiny)] {
            let at = |values: &[f64]| places.iter().map(|i| values[*i]).collect::<Vec<_>>();
            report.close(name, &at(got), &at(&want.data), tolerance);
        }
    }
    report.finish()
}

fn fingerprints_after_one_step(case: &Case, device: &Device) -> Outcome {
    let loaded = Loaded::new(case)?;
    let (_, session) = train(case, &loaded, device, 1)?;
    let json = files::json(&case.path("gradients.json"))?;
    let mut report = Report::default();
    let recorded = &json["adamw"]["after_one_step"];
    all_fingerprints(&mut report, &loaded, &session.read("params")?, recorded, device)?;
    report.finish()
}

fn loss_trace(case: &Case, device: &Device) -> Outcome {
    let loaded = Loaded::new(case)?;
    let json = files::json(&case.path("gradients.json"))?;
    let want = files::numbers(&json["adamw"], "mean_loss_before_each_of_5_steps_and_after")?;
    let (trace, _) = train(case, &loaded, device, want.len() as u32)?;
    let mut report = Report::default();
    report.close("mean loss", &trace, &want, within(1e-3, 0.0));
    report.finish()
}
