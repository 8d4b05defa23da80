//! Answers do not depend on threads, nor on which rows are queried together.

use std::num::NonZeroUsize;
use std::sync::Arc;

use engine_core::argn::{FlatModel, Model, ModelSize, ModelUnits};
use engine_core::generate::{
    Cells, DrawSite, Joint, JointQuery, LoadedModel, LogProbQuery, LogProbs, ProbabilityOptions,
};
use engine_core::ir::initialise;
use engine_core::ir::ops::sampling::{Cell, RequestedOutputs, SamplingRules};
use engine_core::schema::SubColumnName;
use engine_cpu::{CpuBackend, CpuOptions};

const CARDINALITIES: [usize; 5] = [7, 40, 3, 12, 2];
const ROWS: usize = 150;

fn model() -> FlatModel {
    let named = CARDINALITIES.iter().enumerate();
    let sub_columns: Vec<_> = named
        .map(|(c, v)| (SubColumnName::target(c, c, "cat"), *v))
        .collect();
    let units = ModelUnits::flat(ModelSize::Small, &sub_columns);
    FlatModel::new(sub_columns, &units, None).expect("a model")
}

fn loaded(threads: usize) -> LoadedModel {
    let options = CpuOptions {
        threads: NonZeroUsize::new(threads),
        ..CpuOptions::default()
    };
    let backend = CpuBackend::new(options).expect("a backend");
    let model = model();
    let params: Vec<f32> = initialise(model.layout(), 3).iter().map(|p| 2.0 * p).collect();
    LoadedModel::new(Arc::new(backend), &model, &params).expect("a loaded model")
}

/// Rows that know some of their columns, each in its own pattern.
fn cells(rows: std::ops::Range<usize>) -> Cells {
    let mut cells = Cells::sampled(rows.len(), CARDINALITIES.len());
    for (i, row) in rows.enumerate() {
        for (s, v) in CARDINALITIES.iter().enumerate() {
            if (row >> s) % 3 == 1 {
                cells.set(i, s, Cell::Observed((row * (s + 3) % v) as u32));
            }
        }
    }
    cells
}

/// Imputed codes, probabilities of the third column, likelihoods.
fn answers(model: &LoadedModel, cells: &Cells, first_row: u64) -> (Vec<u32>, Joint, LogProbs) {
    let plan = model.plan(
        &[3, 0, 4, 1, 2],
        SamplingRules::default(),
        RequestedOutputs::default(),
    );
    let site = DrawSite { seed: 9, first_row };
    let drawn = model.run(&plan.expect("a plan"), cells, site).expect("codes");
    let options = ProbabilityOptions {
        orders: 2,
        ..ProbabilityOptions::default()
    };
    let joint = JointQuery::new(model, &[2, 4], &options).expect("a query");
    let likelihood = LogProbQuery::new(model, &options).expect("a query");
    (
        drawn.codes,
        joint.run(model, cells).expect("probabilities"),
        likelihood.run(model, cells).expect("likelihoods"),
    )
}

#[test]
fn answers_do_not_depend_on_threads() {
    let (one, three) = (loaded(1), loaded(3));
    let cells = cells(0..ROWS);
    assert_eq!(answers(&one, &cells, 0), answers(&three, &cells, 0));
}

#[test]
fn answers_do_not_depend_on_which_rows_are_asked_together() {
    let model = loaded(2);
    let (codes, joint, likelihoods) = answers(&model, &cells(0..ROWS), 0);
    let combinations = joint.probs.len() / ROWS;
    for rows in [0..1, 5..6, 31..34, 97..150] {
        let alone = answers(&model, &cells(rows.clone()), rows.start as u64);
        let width = CARDINALITIES.len();
        assert_eq!(alone.0, codes[rows.start * width..rows.end * width], "{rows:?}");
        assert_eq!(
            alone.1.probs,
            joint.probs[rows.start * combinations..rows.end * combinations],
            "{rows:?}"
        );
        assert_eq!(alone.2.rows, likelihoods.rows[rows.clone()], "{rows:?}");
    }
}

#[test]
fn the_interpreter_gives_the_same_answers_but_for_rounding() {
    let (model, params) = (model(), initialise(model().layout(), 3));
    let params: Vec<f32> = params.iter().map(|p| 2.0 * p).collect();
    let interpreter = Arc::new(engine_core::interpreter::InterpreterBackend);
    let interpreter = LoadedModel::new(interpreter, &model, &params).expect("a loaded model");
    let cells = cells(0..40);
    let (_, want, want_likelihoods) = answers(&interpreter, &cells, 0);
    let (_, got, likelihoods) = answers(&loaded(2), &cells, 0);
    let close = |got: &[f64], want: &[f64]| {
        got.iter()
            .zip(want)
            .all(|(g, w)| (g - w).abs() < 1e-5 * (1.0 + w.abs()))
    };
    assert!(close(&got.probs, &want.probs));
    assert!(close(&likelihoods.rows, &want_likelihoods.rows));
}
