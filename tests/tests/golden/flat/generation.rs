//! The recorded generations, draw by draw: plain, with seeds, imputed, rebalanced.

use engine_core::argn::Model;
use engine_core::backend::Run;
use engine_core::encode::{self, BinOffsets};
use engine_core::generate::{Replay, ReplayInputs, replay};
use engine_core::ir::ops::sampling::rules::draw;
use engine_core::schema::{CodeColumn, CodeTable};

use super::loaded::LOADED_FILES;
use super::recorded::{Batch, Recorded};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, Tolerance, within};
use crate::devices::{Device, Session};
use crate::discover::Case;
use crate::files;
use crate::tables::{as_json, same_cell};

const RUNS: [&str; 5] = [
    "unconditional",
    "seeded",
    "imputation",
    "rebalancing",
    "seeded-rebalancing",
];
const PROBABILITIES: Tolerance = within(5e-5, 1e-6);

/// Runs that the case has, with the files that their comparisons read.
fn runs(tests: &CaseTests) -> Vec<(&'static str, Vec<String>)> {
    let has = |run: &&str| *run == RUNS[0] || tests.case().has(&format!("generate-{run}.safetensors"));
    let files = |run: &'static str| {
        let mut files: Vec<String> = LOADED_FILES.iter().map(|f| (*f).to_owned()).collect();
        let tensors = format!("generate-{run}.safetensors");
        files.extend(["generate.json".to_owned(), "tgt-stats.json".to_owned(), tensors]);
        (run, files)
    };
    RUNS.into_iter().filter(has).map(files).collect()
}

/// Adds the comparisons that no device takes part in.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    for (run, files) in runs(tests) {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        for (what, test) in [
            ("draws", draws as fn(&Case, &str) -> Outcome),
            ("draw_probs", draw_probs),
            ("decoded", decoded),
        ] {
            let name = format!("generate-{run}/{what}");
            tests.compare(&name, &files, move |case| test(case, run));
        }
    }
}

/// Adds the comparisons on one device.
pub(crate) fn add_device_tests(tests: &mut CaseTests, device: &Device) {
    for (run, files) in runs(tests) {
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        for (what, test) in [
            ("model_probs", model_probs as fn(&Case, &str, &Device) -> Outcome),
            ("replay", replayed),
        ] {
            let device = device.clone();
            let name = format!("generate-{run}/{what}/{}", device.name);
            tests.compare(&name, &files, move |case| test(case, run, &device));
        }
    }
}

/// How near to an edge a uniform number may lie for rounding to decide the code.
const NEAR_EDGE: f64 = 1e-5;

/// The model's probabilities with the recorded codes given.
fn model_probs(case: &Case, run: &str, device: &Device) -> Outcome {
    let recorded = Recorded::open(case, run)?;
    let loaded = &recorded.loaded;
    let forward = loaded.model.forward()?;
    let mut report = Report::default();
    for batch in recorded.batches()? {
        let mut session = Session::new(device);
        session.put("params", loaded.weights())?;
        let codes = loaded.codes(
            recorded.tensors(),
            &format!("{}codes.", batch.prefix),
            batch.rows.len(),
        )?;
        let inputs = vec![codes, loaded.ranks_of(&batch.order)?];
        let logits = session
            .run(&forward, &Run::evaluate(batch.rows.len() as u32), inputs)?
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
fn draws(case: &Case, run: &str) -> Outcome {
    let recorded = Recorded::open(case, run)?;
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

/// Weights of the draw from the recorded probabilities.
fn draw_probs(case: &Case, run: &str) -> Outcome {
    let recorded = Recorded::open(case, run)?;
    let rules = recorded.rules()?;
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

/// The final rows from the recorded codes, every position in the middle of its bin; what was known comes back as it was given.
fn decoded(case: &Case, run: &str) -> Outcome {
    let recorded = Recorded::open(case, run)?;
    let (stats, batches) = (&recorded.stats, recorded.batches()?);
    let subs = recorded.loaded.model.sub_columns();
    let rows = batches.iter().map(|b| b.rows.len()).sum();
    let mut columns = vec![vec![0u32; rows]; subs.len()];
    for batch in &batches {
        for (s, column) in columns.iter_mut().enumerate() {
            let (_, codes) = recorded.tensor(batch, "codes", s)?;
            batch
                .rows
                .iter()
                .zip(codes)
                .for_each(|(row, code)| column[*row] = *code as u32);
        }
    }
    let columns = columns.into_iter().zip(subs);
    let columns = columns.map(|(codes, (_, v))| CodeColumn::from_codes(*v, codes.into_iter()));
    let codes = CodeTable::new(columns.collect(), rows).ok_or("columns of unequal length")?;
    let wanted = files::object(&recorded.json, "decoded")?;
    let mut report = Report::default();
    let decoded = encode::decode(&codes, stats, BinOffsets::Constant(0.5))?;
    let names: Vec<&String> = decoded.iter().map(|c| &c.name).collect();
    report.equal("columns", &names, &wanted.keys().collect::<Vec<_>>());
    for column in &decoded {
        let mut got = as_json(column)?;
        let seeds = recorded.json["seed"][&column.name].as_array();
        for (cell, seed) in got.iter_mut().zip(seeds.into_iter().flatten()) {
            if !seed.is_null() {
                *cell = seed.clone();
            }
        }
        let wanted = wanted[&column.name].as_array().ok_or("a column is no list")?;
        let same = got.len() == wanted.len() && got.iter().zip(wanted).all(|(g, w)| same_cell(g, w));
        report.require(same, || format!("{}: {got:?} instead of {wanted:?}", column.name));
    }
    report.finish()
}

/// Folded inference with the recorded uniform numbers: probabilities, weights and codes. All rows go at once, in one order of the
/// columns, whatever is known of each.
fn replayed(case: &Case, run: &str, device: &Device) -> Outcome {
    let recorded = Recorded::open(case, run)?;
    let (loaded, batches) = (&recorded.loaded, recorded.batches()?);
    let (cells, uniforms) = (recorded.cells(&batches)?, recorded.uniforms(&batches)?);
    let inputs = ReplayInputs {
        rows: cells.rows(),
        cells: Some(&cells),
        uniforms: Some(&uniforms),
        ..ReplayInputs::default()
    };
    let model: (&dyn Model, _) = (&loaded.model, &loaded.weights[..]);
    let (order, rules) = (recorded.order()?, recorded.rules()?);
    let ours = replay(device.backend.clone(), model, &order, rules, inputs)?;
    let mut report = Report::default();
    for batch in &batches {
        for row in 0..batch.rows.len() {
            compare_row(&mut report, &recorded, batch, &ours, row)?;
        }
    }
    report.finish()
}

/// Compares the draws of row number `row` of a batch in their order, up to the first where rounding decides: what follows has other codes before it.
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
    let place = batch.rows[row];
    for s in batch.given.iter().copied() {
        let (name, want) = recorded.tensor(batch, "codes", s)?;
        report.equal(&name, &ours.codes.get(place, s), &(want[row] as u32));
    }
    for s in batch.drawn.iter().copied() {
        let v = loaded.model.sub_columns()[s].1;
        let (of_row, ours_of_row) = (row * v..(row + 1) * v, place * v..(place + 1) * v);
        for (what, got) in [("model_probs", &probs), ("draw_probs", &weights)] {
            let (name, want) = recorded.tensor(batch, what, s)?;
            let got = loaded.group(got, s);
            report.close(
                &name,
                &got[ours_of_row.clone()],
                &want[of_row.clone()],
                PROBABILITIES,
            );
        }
        let (name, codes) = recorded.tensor(batch, "codes", s)?;
        let (_, uniforms) = recorded.tensor(batch, "uniform", s)?;
        let (_, want_weights) = recorded.tensor(batch, "draw_probs", s)?;
        let (got, want) = (ours.codes.get(place, s), codes[row] as u32);
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
