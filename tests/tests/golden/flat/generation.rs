//! The recorded unconditional generation, draw by draw.

use engine_core::backend::Run;
use engine_core::encode::{self, Positions, RareReplacement, TableStats};
use engine_core::generate::{GenerateOptions, Replay, ReplayInputs, rare_codes, replay};
use engine_core::ir::ops::sampling::SamplingRules;
use engine_core::ir::ops::sampling::rules::draw;
use engine_core::schema::{CodeColumn, CodeTable};
use serde_json::Value;

use super::loaded::{LOADED_FILES, Loaded};
use crate::compare::{Outcome, Report, Tolerance, within};
use crate::devices::{Device, Session};
use crate::discover::Case;
use crate::files::{self, Tensors};
use crate::plan::Plan;
use crate::tables::{as_json, same_cell};

const RUN: &str = "unconditional";
const TENSORS: &str = "generate-unconditional.safetensors";
const STATS: &str = "tgt-stats.json";
const PROBABILITIES: Tolerance = within(5e-5, 1e-6);

/// Adds the comparisons that no device takes part in.
pub(crate) fn plan(plan: &mut Plan) {
    let files = [&LOADED_FILES[..], &["generate.json", TENSORS]].concat();
    plan.compare("generate-unconditional/draws", &files, draws);
    let with_stats = [&files[..], &[STATS]].concat();
    plan.compare("generate-unconditional/draw_probs", &with_stats, draw_probs);
    plan.compare("generate-unconditional/decoded", &with_stats, decoded);
}

/// Adds the comparisons on one device.
pub(crate) fn plan_on(plan: &mut Plan, device: &Device) {
    let files = [&LOADED_FILES[..], &["generate.json", TENSORS]].concat();
    let with_stats = [&files[..], &[STATS]].concat();
    for (what, files, test) in [
        (
            "model_probs",
            &files,
            model_probs as fn(&Case, &Device) -> Outcome,
        ),
        ("replay", &with_stats, replayed),
    ] {
        let device = device.clone();
        let name = format!("generate-unconditional/{what}/{}", device.name);
        plan.compare(&name, files, move |case| test(case, &device));
    }
}

/// How near to an edge a uniform number may lie for rounding to decide the code.
const NEAR_EDGE: f64 = 1e-5;

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
    /// Numbers of the sub-columns that were drawn, in the order of the draws.
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
            let drawn = names.iter().map(number).collect::<Option<Vec<_>>>();
            let first = self
                .tensors
                .with_prefix(&format!("batch{b}.codes."))
                .first()
                .map(|(_, t)| t.data.len());
            Ok(Batch {
                prefix: format!("batch{b}."),
                order: files::texts(json, "column_order")?,
                drawn: drawn.ok_or("a draw of a sub-column that the model lacks")?,
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

pub(super) fn stats(case: &Case) -> Outcome<TableStats> {
    Ok(TableStats::from_json(
        &files::json(&case.path(STATS))?.to_string(),
    )?)
}

/// The rules of a run without options: only rare codes are left out.
fn rules(case: &Case) -> Outcome<SamplingRules> {
    let options = GenerateOptions {
        fixed: rare_codes(&stats(case)?, RareReplacement::Constant),
        ..GenerateOptions::new(0)
    };
    Ok(options.rules()?)
}

/// Weights of the draw from the recorded probabilities.
fn draw_probs(case: &Case) -> Outcome {
    let recorded = Recorded::open(case)?;
    let rules = rules(case)?;
    let mut report = Report::default();
    for batch in recorded.batches()? {
        for s in &batch.drawn {
            let (_, probs) = recorded.tensor(&batch, "model_probs", *s)?;
            let (name, want) = recorded.tensor(&batch, "draw_probs", *s)?;
            let mut weights: Vec<f32> = probs.iter().map(|p| *p as f32).collect();
            let cardinality = recorded.loaded.model.sub_columns()[*s].1;
            weights
                .chunks_mut(cardinality)
                .for_each(|row| rules.apply(*s, row));
            let weights: Vec<f64> = weights.iter().map(|w| f64::from(*w)).collect();
            report.close(&name, &weights, want, PROBABILITIES);
        }
    }
    report.finish()
}

/// The final rows from the recorded codes, every position in the middle of its bin.
fn decoded(case: &Case) -> Outcome {
    let recorded = Recorded::open(case)?;
    let stats = stats(case)?;
    let subs = recorded.loaded.model.sub_columns();
    let mut columns: Vec<Vec<u32>> = vec![Vec::new(); subs.len()];
    for batch in recorded.batches()? {
        for (s, codes) in columns.iter_mut().enumerate() {
            let (_, of_batch) = recorded.tensor(&batch, "codes", s)?;
            codes.extend(of_batch.iter().map(|c| *c as u32));
        }
    }
    let rows = columns.first().map_or(0, Vec::len);
    let columns = columns.into_iter().zip(subs);
    let columns = columns.map(|(codes, (_, v))| CodeColumn::from_codes(*v, codes.into_iter()));
    let codes = CodeTable::new(columns.collect(), rows).ok_or("columns of unequal length")?;
    let wanted = files::object(&recorded.json, "decoded")?;
    let mut report = Report::default();
    let decoded = encode::decode(&codes, &stats, Positions::Constant(0.5))?;
    let names: Vec<&String> = decoded.iter().map(|c| &c.name).collect();
    report.equal("columns", &names, &wanted.keys().collect::<Vec<_>>());
    for column in &decoded {
        let got = as_json(column)?;
        let wanted = wanted[&column.name].as_array().ok_or("a column is no list")?;
        let same = got.len() == wanted.len() && got.iter().zip(wanted).all(|(g, w)| same_cell(g, w));
        report.require(same, || format!("{}: {got:?} instead of {wanted:?}", column.name));
    }
    report.finish()
}

/// Folded inference with the recorded uniform numbers: probabilities, weights and codes.
fn replayed(case: &Case, device: &Device) -> Outcome {
    let recorded = Recorded::open(case)?;
    let loaded = &recorded.loaded;
    let rules = rules(case)?;
    let mut report = Report::default();
    for batch in recorded.batches()? {
        let subs = loaded.model.sub_columns().len();
        let mut uniforms = vec![0.0; batch.rows * subs];
        for s in 0..subs {
            let (_, of_sub) = recorded.tensor(&batch, "uniform", s)?;
            (0..batch.rows).for_each(|row| uniforms[row * subs + s] = of_sub[row] as f32);
        }
        let order = loaded.order_of(&batch.order)?;
        let inputs = ReplayInputs {
            rows: batch.rows,
            uniforms: Some(&uniforms),
            ..ReplayInputs::default()
        };
        let model = (&loaded.model, &loaded.weights[..]);
        let ours = replay(device.backend.as_ref(), model, &order, rules.clone(), inputs)?;
        for row in 0..batch.rows {
            compare_row(&mut report, &recorded, &batch, &ours, row)?;
        }
    }
    report.finish()
}

/// Compares the draws of a row in their order, up to the first where rounding decides: what follows has other codes before it.
fn compare_row(
    report: &mut Report,
    recorded: &Recorded,
    batch: &Batch,
    ours: &Replay,
    row: usize,
) -> Outcome {
    let loaded = &recorded.loaded;
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let (probs, weights) = (wide(&ours.probs), wide(&ours.weights));
    for s in batch.drawn.iter().copied() {
        let v = loaded.model.sub_columns()[s].1;
        let of_row = row * v..(row + 1) * v;
        for (what, got) in [("model_probs", &probs), ("draw_probs", &weights)] {
            let (name, want) = recorded.tensor(batch, what, s)?;
            let got = loaded.group(got, s);
            report.close(&name, &got[of_row.clone()], &want[of_row.clone()], PROBABILITIES);
        }
        let (name, codes) = recorded.tensor(batch, "codes", s)?;
        let (_, uniforms) = recorded.tensor(batch, "uniform", s)?;
        let (_, want_weights) = recorded.tensor(batch, "draw_probs", s)?;
        let (got, want) = (ours.codes.get(row, s), codes[row] as u32);
        if got != want && near_edge(&want_weights[of_row], uniforms[row]) {
            return Ok(());
        }
        report.equal(&name, &got, &want);
    }
    Ok(())
}

fn near_edge(weights: &[f64], uniform: f64) -> bool {
    let total: f64 = weights.iter().sum();
    let mut cumulative = 0.0;
    weights.iter().any(|w| {
        cumulative += w / total;
        (cumulative - uniform).abs() <= NEAR_EDGE
    })
}
