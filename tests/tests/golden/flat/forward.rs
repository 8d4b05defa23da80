//! Logits and losses of the recorded batch in both column orders.

use engine_core::argn::Model;
use engine_core::backend::{HostData, Run};
use engine_core::ir::{Interpreter, InterpreterBuffer, Tensor};

use super::loaded::{LOADED_FILES, Loaded};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, within};
use crate::devices::{Device, Results, Session};
use crate::discover::Case;
use crate::files::Tensors;

const ROWS: usize = 64;

/// Adds the comparisons on one device.
pub(crate) fn add_tests(tests: &mut CaseTests, device: &Device) {
    let files = [&LOADED_FILES[..], &["batch64.safetensors", "forward.safetensors"]].concat();
    for order in ["natural", "permuted"] {
        for (what, test) in [
            ("logits", logits as fn(&Case, &Device, &str) -> Outcome),
            ("column_loss", column_losses),
            ("loss", losses),
            ("loss_f64", losses_in_double),
        ] {
            let device = device.clone();
            let name = format!("{what}/{order}/{}", device.name);
            tests.compare(&name, &files, move |case| test(case, &device, order));
        }
    }
}

fn forward(case: &Case, device: &Device, order: &str) -> Outcome<(Loaded, Results, Tensors)> {
    let loaded = Loaded::new(case)?;
    let mut session = Session::new(device);
    session.put("params", loaded.weights())?;
    let inputs = vec![loaded.batch(case, ROWS)?, loaded.ranks(order)?];
    let results = session.run(&loaded.model.forward()?, &Run::evaluate(ROWS as u32), inputs)?;
    let recorded = Tensors::open(&case.path("forward.safetensors"))?;
    Ok((loaded, results, recorded))
}

fn logits(case: &Case, device: &Device, order: &str) -> Outcome {
    let (loaded, results, recorded) = forward(case, device, order)?;
    let logits = results.get("logits")?;
    let mut report = Report::default();
    for (s, (sub, _)) in loaded.model.sub_columns().iter().enumerate() {
        let name = format!("logits.{order}.{sub}");
        let want = &recorded.get(&name)?.data;
        report.close(&name, &loaded.group(&logits, s), want, within(1e-5, 1e-5));
    }
    report.finish()
}

fn column_losses(case: &Case, device: &Device, order: &str) -> Outcome {
    let (loaded, results, recorded) = forward(case, device, order)?;
    let losses = results.get("losses")?;
    let subs = loaded.model.sub_columns();
    let mut report = Report::default();
    for (s, (sub, _)) in subs.iter().enumerate() {
        let name = format!("column_loss.{order}.{sub}");
        let got: Vec<f64> = losses.iter().skip(s).step_by(subs.len()).copied().collect();
        report.close(&name, &got, &recorded.get(&name)?.data, within(1e-5, 1e-5));
    }
    report.finish()
}

fn losses(case: &Case, device: &Device, order: &str) -> Outcome {
    let (_, results, recorded) = forward(case, device, order)?;
    let loss = results.get("loss")?;
    let mut report = Report::default();
    let name = format!("loss.{order}");
    report.close(&name, &loss, &recorded.get(&name)?.data, within(1e-5, 1e-5));
    if order == "natural" {
        let minus: Vec<f64> = loss.iter().map(|l| -l).collect();
        report.close(
            "log_prob",
            &minus,
            &recorded.get("log_prob")?.data,
            within(1e-5, 1e-5),
        );
    }
    report.finish()
}

/// Devices compute in single precision; the interpreter alone is held to the bound of double precision.
fn losses_in_double(case: &Case, device: &Device, order: &str) -> Outcome {
    let name = format!("loss_f64.{order}");
    let mut report = Report::default();
    if device.name != "interpreter" {
        let (_, results, recorded) = forward(case, device, order)?;
        report.close(
            &name,
            &results.get("loss")?,
            &recorded.get(&name)?.data,
            within(1e-5, 0.0),
        );
        return report.finish();
    }
    let loaded = Loaded::new(case)?;
    let program = loaded.model.forward()?;
    let weights = loaded.weights.iter().map(|w| f64::from(*w)).collect();
    let tensor = |data: HostData, rows: usize| match data {
        HostData::U32(codes) => {
            let width = codes.len() / rows;
            Ok(Tensor::from_data(
                rows,
                width,
                codes.into_iter().map(f64::from).collect(),
            ))
        }
        _ => Err("codes and ranks are whole numbers"),
    };
    let inputs = [
        tensor(loaded.batch(case, ROWS)?, ROWS)?,
        tensor(loaded.ranks(order)?, 1)?,
    ];
    let mut interpreter = Interpreter::new(&program);
    interpreter.run(
        &Run::evaluate(ROWS as u32),
        &mut [InterpreterBuffer::from_f64(weights)],
        &inputs,
    )?;
    let loss = interpreter.output("loss").ok_or("the forward pass has no loss")?;
    let recorded = Tensors::open(&case.path("forward.safetensors"))?;
    report.close(
        &name,
        &loss.data,
        &recorded.get(&name)?.data,
        within(1e-10, 1e-10),
    );
    report.finish()
}
