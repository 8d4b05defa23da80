//! The recorded probability queries, and the log-likelihood of rows.

use engine_core::backend::HostData;
use engine_core::encode::{ColumnStats, RareReplacement, TableStats};
use engine_core::generate::{
    Cells, JointQuery, Level, LoadedModel, LogProbQuery, ProbabilityOptions, levels, rare_codes,
};
use engine_core::ir::ops::sampling::Cell;
use serde_json::Value;

use super::loaded::{LOADED_FILES, Loaded};
use super::recorded::stats;
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, Tolerance, within};
use crate::devices::Device;
use crate::discover::Case;
use crate::files::{self, Tensors};

const PROBABILITIES: Tolerance = within(5e-5, 1e-6);
const LOG_PROBS: Tolerance = within(1e-5, 1e-5);

/// Adds the comparisons on one device.
pub(crate) fn add_tests(tests: &mut CaseTests, device: &Device) {
    let queries = [
        "predict-proba.json",
        "predict-proba.safetensors",
        "codes.parquet",
        "tgt-stats.json",
    ];
    let rows = ["batch64.safetensors", "forward.safetensors"];
    for (what, more, test) in [
        (
            "predict-proba",
            &queries[..],
            joint as fn(&Case, &Device) -> Outcome,
        ),
        ("log_prob", &rows, log_prob),
    ] {
        let device = device.clone();
        let files = [&LOADED_FILES[..], more].concat();
        let name = format!("{what}/{}", device.name);
        tests.compare(&name, &files, move |case| test(case, &device));
    }
}

fn on_device(loaded: &Loaded, device: &Device) -> Outcome<LoadedModel> {
    let backend = device.backend.clone();
    Ok(LoadedModel::new(backend, &loaded.model, &loaded.weights)?)
}

/// Codes of a column with their labels.
fn column_levels(stats: &TableStats, name: &str) -> Outcome<Vec<(u32, Level)>> {
    match &stats.columns[name] {
        ColumnStats::Modelled { values, .. } => {
            Ok(levels(values).ok_or_else(|| format!("{name} has no levels"))?)
        }
        ColumnStats::Empty(_) => Err(format!("{name} has no values").into()),
    }
}

fn joint(case: &Case, device: &Device) -> Outcome {
    let (loaded, stats) = (Loaded::new(case)?, stats(case)?);
    let model = on_device(&loaded, device)?;
    let codes = files::codes(&case.path("codes.parquet"))?;
    let tensors = Tensors::open(&case.path("predict-proba.safetensors"))?;
    let mut report = Report::default();
    for (name, query) in files::json(&case.path("predict-proba.json"))?
        .as_object()
        .ok_or("no queries")?
    {
        let want = tensors.get(name)?;
        one_query(&mut report, (name, query, &want.data), &model, &stats, &codes)?;
    }
    report.finish()
}

fn one_query(
    report: &mut Report,
    (name, query, want): (&str, &Value, &[f64]),
    model: &LoadedModel,
    stats: &TableStats,
    codes: &[(String, Vec<u32>)],
) -> Outcome {
    let columns = stats.model_columns();
    let number = |name: &String| columns.iter().position(|c| c.name == *name);
    let numbers = |key: &str| -> Outcome<Vec<usize>> {
        let names = files::texts(query, key)?;
        let numbers = names.iter().map(number).collect::<Option<Vec<_>>>();
        Ok(numbers.ok_or("a column that the model lacks")?)
    };
    let (targets, known) = (numbers("targets")?, numbers("seed_columns")?);
    let rows = files::numbers(query, "rows")?;
    let mut cells = Cells::masked(rows.len(), model.sub_columns());
    for (i, row) in rows.iter().enumerate() {
        for s in known.iter().flat_map(|c| columns[*c].sub_columns.clone()) {
            cells.set(i, s, Cell::Observed(codes[s].1[*row as usize]));
        }
    }
    let options = ProbabilityOptions {
        fixed: rare_codes(stats, RareReplacement::Constant),
        ..ProbabilityOptions::default()
    };
    let joint = JointQuery::new(model, &targets, &options)?.run(model, &cells)?;
    // The labels of the last target vary fastest; of binned columns the code of unknown numbers has none.
    let mut labels = vec![(0, Vec::new())];
    for target in &targets {
        let of_target = column_levels(stats, &columns[*target].name)?;
        let v = model.cardinality(columns[*target].sub_columns.start);
        labels = labels
            .iter()
            .flat_map(|(code, before): &(usize, Vec<String>)| {
                of_target.iter().map(move |(own, level)| {
                    let label = [&before[..], &[level.to_string()]].concat();
                    (code * v + *own as usize, label)
                })
            })
            .collect();
    }
    let texts: Vec<&Vec<String>> = labels.iter().map(|(_, label)| label).collect();
    let wanted: Vec<Vec<String>> = serde_json::from_value(query["labels"].clone())?;
    report.equal(
        &format!("{name}: labels"),
        &texts,
        &wanted.iter().collect::<Vec<_>>(),
    );
    let combinations: usize = joint.cardinalities.iter().product();
    let got = joint.probs.chunks_exact(combinations);
    let got: Vec<f64> = got
        .flat_map(|row| labels.iter().map(|(code, _)| row[*code]))
        .collect();
    report.close(name, &got, want, PROBABILITIES);
    Ok(())
}

fn log_prob(case: &Case, device: &Device) -> Outcome {
    let loaded = Loaded::new(case)?;
    let model = on_device(&loaded, device)?;
    let want = Tensors::open(&case.path("forward.safetensors"))?;
    let want = &want.get("log_prob")?.data;
    let HostData::U32(codes) = loaded.batch(case, want.len())? else {
        return Err("codes are no whole numbers".into());
    };
    let mut cells = Cells::masked(want.len(), model.sub_columns());
    for (i, code) in codes.iter().enumerate() {
        cells.set(
            i / model.sub_columns(),
            i % model.sub_columns(),
            Cell::Observed(*code),
        );
    }
    let query = LogProbQuery::new(&model, &ProbabilityOptions::default())?;
    let mut report = Report::default();
    report.close("log_prob", &query.run(&model, &cells)?.rows, want, LOG_PROBS);
    report.finish()
}
