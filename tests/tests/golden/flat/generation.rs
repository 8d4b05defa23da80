//! The recorded unconditional generation, draw by draw.

use engine_core::backend::Run;
use engine_core::ir::ops::sampling::rules::draw;
use serde_json::Value;

use super::loaded::{LOADED_FILES, Loaded};
use crate::compare::{Outcome, Report, Tolerance, within};
use crate::devices::{Device, Session};
use crate::discover::Case;
use crate::files::{self, Tensors};
use crate::plan::Plan;

const RUN: &str = "unconditional";
const TENSORS: &str = "generate-unconditional.safetensors";
const PROBABILITIES: Tolerance = within(5e-5, 1e-6);

/// Adds the comparisons that no device takes part in.
pub(crate) fn plan(plan: &mut Plan) {
    let files = [&LOADED_FILES[..], &["generate.json", TENSORS]].concat();
    plan.compare("generate-unconditional/draws", &files, draws);
}

/// Adds the comparisons on one device.
pub(crate) fn plan_on(plan: &mut Plan, device: &Device) {
    let files = [&LOADED_FILES[..], &["generate.json", TENSORS]].concat();
    let device = device.clone();
    let name = format!("generate-unconditional/model_probs/{}", device.name);
    plan.compare(&name, &files, move |case| model_probs(case, &device));
}

/// What the reference engine recorded of a run.
struct Recorded {
    loaded: Loaded,
    json: Value,
    tensors: Tensors,
}

/// One forward pass of the run.
struct Batch {
    /// `batch{b}.`
    prefix: String,
    /// Columns in the order in which they were drawn.
    order: Vec<String>,
    /// Numbers of the sub-columns that were drawn, in model order.
    drawn: Vec<usize>,
    rows: usize,
}

impl Recorded {
    fn open(case: &Case) -> Outcome<Self> {
        let json = files::json(&case.path("generate.json"))?[RUN].clone();
        Ok(Self {
            loaded: Loaded::new(case)?,
            json,
            tensors: Tensors::open(&case.path(TENSORS))?,
        })
    }

    fn batches(&self) -> Outcome<Vec<Batch>> {
        let subs = self.loaded.model.sub_columns();
        let batch = |(b, json): (usize, &Value)| {
            let names = files::texts(json, "draw_order")?;
            let number = |name: &String| subs.iter().position(|(n, _)| n.as_str() == name);
            let mut drawn = names.iter().map(number).collect::<Option<Vec<_>>>();
            let drawn = drawn
                .as_mut()
                .ok_or("a draw of a sub-column that the model lacks")?;
            drawn.sort_unstable();
            let first = self
                .tensors
                .with_prefix(&format!("batch{b}.codes."))
                .first()
                .map(|(_, t)| t.data.len());
            Ok(Batch {
                prefix: format!("batch{b}."),
                order: files::texts(json, "column_order")?,
                drawn: std::mem::take(drawn),
                rows: first.ok_or("a batch without codes")?,
            })
        };
        files::list(&self.json, "batches")?
            .iter()
            .enumerate()
            .map(batch)
            .collect()
    }

    /// Tensor `what` of sub-column `s` in a batch, and its name.
    fn tensor(&self, batch: &Batch, what: &str, s: usize) -> Outcome<(String, &[f64])> {
        let name = format!("{}{what}.{}", batch.prefix, self.loaded.model.sub_columns()[s].0);
        let data = &self.tensors.get(&name)?.data;
        Ok((name, data))
    }
}

/// The model's probabilities with the recorded codes given.
fn model_probs(case: &Case, device: &Device) -> Outcome {
    let recorded = Recorded::open(case)?;
    let loaded = &recorded.loaded;
    let forward = loaded.model.forward()?;
    let mut report = Report::default();
    for batch in recorded.batches()? {
        let mut session = Session::new(device);
        session.put("params", loaded.weights())?;
        let codes = loaded.codes(&recorded.tensors, &format!("{}codes.", batch.prefix), batch.rows)?;
        let inputs = vec![codes, loaded.ranks_of(&batch.order)?];
        let logits = session
            .run(&forward, &Run::evaluate(batch.rows as u32), inputs)?
            .get("logits")?;
        for s in &batch.drawn {
            let cardinality = loaded.model.sub_columns()[*s].1;
            let mut probs = loaded.group(&logits, *s);
            probs.chunks_mut(cardinality).for_each(softmax);
            let (name, want) = recorded.tensor(&batch, "model_probs", *s)?;
            report.close(&name, &probs, want, PROBABILITIES);
        }
    }
    report.finish()
}

fn softmax(row: &mut [f64]) {
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    row.iter_mut().for_each(|x| *x = (*x - max).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|x| *x /= sum);
}

/// Codes from the recorded weights and uniform numbers.
fn draws(case: &Case) -> Outcome {
    let recorded = Recorded::open(case)?;
    let mut report = Report::default();
    for batch in recorded.batches()? {
        for s in &batch.drawn {
            let cardinality = recorded.loaded.model.sub_columns()[*s].1;
            let (_, weights) = recorded.tensor(&batch, "draw_probs", *s)?;
            let (_, uniforms) = recorded.tensor(&batch, "uniform", *s)?;
            let (name, want) = recorded.tensor(&batch, "codes", *s)?;
            let rows = weights.chunks(cardinality).zip(uniforms);
            let got: Vec<f64> = rows
                .map(|(w, u)| {
                    let w: Vec<f32> = w.iter().map(|w| *w as f32).collect();
                    draw(&w, *u) as f64
                })
                .collect();
            report.equal(&name, &got, &want.to_vec());
        }
    }
    report.finish()
}
