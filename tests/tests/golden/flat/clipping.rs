//! Per-sample norms, clip factors and clipped sums.

use std::collections::HashMap;
use std::ops::Range;

use engine_core::argn::Model;
use engine_core::ir::{Access, Extent, LossWeight, Node, Param, Program, differentiate};
use engine_core::privacy::clip;
use serde_json::Value;

use super::gradients::{GRADIENT_ROWS, GRADIENT_TOLERANCE, all_fingerprints, run_on_rows};
use super::loaded::{LOADED_FILES, Loaded};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, within};
use crate::devices::{Device, Results, Session};
use crate::discover::Case;
use crate::files::{self, Tensors};

/// Adds the comparisons on one device.
pub(crate) fn add_tests(tests: &mut CaseTests, device: &Device) {
    let more = ["batch64.safetensors", "per-sample.safetensors", "gradients.json"];
    let files = [&LOADED_FILES[..], &more].concat();
    for (what, test) in [
        ("norms", norms as fn(&Case, &Device) -> Outcome),
        ("norms_by_param", norms_by_param),
        ("clip_factors", clip_factors),
        ("clipped_sums", clipped_sums),
        ("clipped_fingerprints", clipped_fingerprints),
        ("second_clip_factors", second_clip_factors),
        ("second_clipped_fingerprints", second_clipped_fingerprints),
    ] {
        let device = device.clone();
        let name = format!("per-sample/{what}/{}", device.name);
        tests.compare(&name, &files, move |case| test(case, &device));
    }
}

struct Clipped<'d> {
    loaded: Loaded,
    /// Before clipping: its gradient nodes are in the order of the norms.
    unclipped: Program,
    session: Session<'d>,
    results: Results,
    json: Value,
}

/// Clips to the threshold that stands in `gradients.json` under `clipping`.
fn clipped<'d>(case: &Case, device: &'d Device, clipping: &str) -> Outcome<Clipped<'d>> {
    let loaded = Loaded::new(case)?;
    let json = files::json(&case.path("gradients.json"))?;
    let unclipped = differentiate(&loaded.model.forward()?, "loss", LossWeight::Sum)?;
    let program = clip(&unclipped, files::number(&json[clipping], "max_grad_norm")?)?;
    let (session, results) = run_on_rows(case, &loaded, device, &program)?;
    Ok(Clipped {
        loaded,
        unclipped,
        session,
        results,
        json,
    })
}

fn norms(case: &Case, device: &Device) -> Outcome {
    let clipped = clipped(case, device, "clipping")?;
    let recorded = Tensors::open(&case.path("per-sample.safetensors"))?;
    let squares = clipped.results.get("per_sample_sq_norm")?;
    let norms: Vec<f64> = squares.iter().map(|s| s.sqrt()).collect();
    let mut report = Report::default();
    for name in ["per_sample_norm_f64", "per_sample_norm"] {
        report.close(name, &norms, &recorded.get(name)?.data, within(5e-5, 0.0));
    }
    report.finish()
}

/// Parameters whose gradients a node adds to, in the order of its norms.
fn added<'p>(node: &Node, params: &'p [Param]) -> Option<Vec<&'p Param>> {
    let accesses = node.op.accesses();
    let access = Access::added(&accesses).next()?;
    let Extent::Elements(ranges) = &access.extent else {
        return None;
    };
    let within = |range: &Range<usize>| {
        let range = range.clone();
        params.iter().filter(move |p| range.contains(&p.view.offset))
    };
    Some(ranges.iter().flat_map(within).collect())
}

/// A norm far below that of its sample was recorded with the rounding of single precision against the sample; an exact result
/// does not have that rounding.
fn norms_by_param(case: &Case, device: &Device) -> Outcome {
    let clipped = clipped(case, device, "clipping")?;
    let params = clipped.loaded.model.layout().params();
    let mut by_name: HashMap<&str, Vec<f64>> = HashMap::new();
    let gradients = clipped.unclipped.nodes().iter();
    let gradients = gradients.filter_map(|node| added(node, params));
    for (i, added) in gradients.enumerate() {
        let squares = clipped.results.get(&format!("per_sample_sq_norm.{i}"))?;
        for (p, param) in added.iter().enumerate() {
            let norms = squares.iter().skip(p).step_by(added.len()).map(|s| s.sqrt());
            by_name.insert(&param.name, norms.collect());
        }
    }
    let recorded = Tensors::open(&case.path("per-sample.safetensors"))?;
    let want = &recorded.get("per_sample_norm_by_param")?.data;
    let norms = &recorded.get("per_sample_norm_f64")?.data;
    let names = files::texts(&clipped.json, "parameters")?;
    let shape = &recorded.get("per_sample_norm_by_param")?.shape;
    let mut report = Report::default();
    report.equal("number of parameters", &by_name.len(), &names.len());
    report.equal("shape", shape, &vec![GRADIENT_ROWS, names.len()]);
    for (p, name) in names.iter().enumerate() {
        let got = by_name.get(name.as_str());
        let got = got.ok_or_else(|| format!("parameter {name} has no per-sample norm"))?;
        for (sample, norm) in norms.iter().enumerate() {
            let rounding = if device.is_exact() {
                f64::from(f32::EPSILON) * norm
            } else {
                0.0
            };
            let want = want[sample * names.len() + p];
            let what = format!("{name}, sample {sample}");
            report.close(&what, &[got[sample]], &[want], within(5e-5, rounding));
        }
    }
    report.finish()
}

fn clip_factors(case: &Case, device: &Device) -> Outcome {
    let clipped = clipped(case, device, "clipping")?;
    let recorded = Tensors::open(&case.path("per-sample.safetensors"))?;
    let factors = clipped.results.get("clip_factor")?;
    let mut report = Report::default();
    report.close(
        "clip_factor",
        &factors,
        &recorded.get("clip_factor")?.data,
        within(5e-5, 0.0),
    );
    let in_json = files::numbers(&clipped.json["clipping"], "clip_factor")?;
    report.close(
        "clip_factor in gradients.json",
        &factors,
        &in_json,
        within(5e-5, 0.0),
    );
    report.finish()
}

fn clipped_sums(case: &Case, device: &Device) -> Outcome {
    let clipped = clipped(case, device, "clipping")?;
    let sums = clipped.session.read("params.grads")?;
    let recorded = Tensors::open(&case.path("per-sample.safetensors"))?;
    let mut report = Report::default();
    for (name, want) in recorded.with_prefix("clipped_sum.") {
        let param = clipped.loaded.model.layout().find(name);
        let param = param.ok_or_else(|| format!("the model has no parameter {name}"))?;
        report.tensor(name, &sums[param.view.range()], &want.data, GRADIENT_TOLERANCE);
    }
    report.finish()
}

fn clipped_fingerprints(case: &Case, device: &Device) -> Outcome {
    fingerprints_under(case, device, "clipping")
}

fn second_clipped_fingerprints(case: &Case, device: &Device) -> Outcome {
    fingerprints_under(case, device, "second_clipping")
}

fn fingerprints_under(case: &Case, device: &Device, clipping: &str) -> Outcome {
    let clipped = clipped(case, device, clipping)?;
    let sums = clipped.session.read("params.grads")?;
    let mut report = Report::default();
    let recorded = &clipped.json[clipping]["clipped_sum"];
    all_fingerprints(&mut report, &clipped.loaded, &sums, recorded, device)?;
    report.finish()
}

fn second_clip_factors(case: &Case, device: &Device) -> Outcome {
    let clipped = clipped(case, device, "second_clipping")?;
    let factors = clipped.results.get("clip_factor")?;
    let want = files::numbers(&clipped.json["second_clipping"], "clip_factor")?;
    let mut report = Report::default();
    report.close("clip_factor", &factors, &want, within(5e-5, 0.0));
    report.finish()
}
