//! Widths of the layers, names and shapes of the parameters.

use std::collections::BTreeMap;

use engine_core::argn::{FlatModel, Model, ModelSize, ModelUnits};

use super::loaded::sub_columns;
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::files::{self, Tensors};

/// Adds the comparisons.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    tests.compare("layers/widths", &["orders.json", "model-configs.json"], widths);
    let files = ["orders.json", "meta.json", "weights.safetensors"];
    tests.compare("layers/parameters", &files, parameters);
}

/// A new model of the case's size: widths from the heuristics.
fn new_units(case: &Case) -> Outcome<(ModelSize, ModelUnits)> {
    let orders = files::json(&case.path("orders.json"))?;
    let meta = files::json(&case.path("meta.json"))?;
    let size: ModelSize = files::text(&meta, "model")?.parse()?;
    Ok((size, ModelUnits::flat(size, &sub_columns(&orders)?)))
}

fn widths(case: &Case) -> Outcome {
    let (size, units) = new_units(case)?;
    let configs = files::json(&case.path("model-configs.json"))?;
    let mut report = Report::default();
    report.equal("model id", size.id(), files::text(&configs, "model_id")?);
    let recorded = files::object(&configs, "model_units")?;
    let ours = serde_json::to_value(&units)?;
    let names =
        |units: &serde_json::Map<String, serde_json::Value>| units.keys().cloned().collect::<Vec<_>>();
    let ours = ours.as_object().ok_or("the map of widths is no object")?;
    report.equal("layers in order", &names(ours), &names(recorded));
    for (layer, width) in recorded {
        report.equal(layer, &ours.get(layer), &Some(width));
    }
    report.finish()
}

fn parameters(case: &Case) -> Outcome {
    let orders = files::json(&case.path("orders.json"))?;
    let meta = files::json(&case.path("meta.json"))?;
    let (_, units) = new_units(case)?;
    let model = FlatModel::new(sub_columns(&orders)?, &units, None)?;
    let weights = Tensors::open(&case.path("weights.safetensors"))?;
    let mut report = Report::default();
    let params = model.layout().params().iter();
    let ours: BTreeMap<&str, &[usize]> = params.map(|p| (p.name.as_str(), p.shape.as_slice())).collect();
    let recorded = weights.with_prefix("").into_iter();
    let recorded: BTreeMap<&str, &[usize]> = recorded.map(|(n, t)| (n, t.shape.as_slice())).collect();
    report.equal(
        "names",
        &ours.keys().collect::<Vec<_>>(),
        &recorded.keys().collect(),
    );
    for (name, shape) in &recorded {
        report.equal(name, &ours.get(name), &Some(shape));
    }
    let count = files::number(&meta, "parameters")? as usize;
    report.equal("number of parameters", &model.layout().len(), &count);
    report.finish()
}
