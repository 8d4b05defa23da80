//! How many rows a second are drawn from the folded census model, and what do folding and loading cost?

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{
    CENSUS, Data, OpCase, backends, criterion, f32_values, model, random_f32, sized, u32_values_mut,
};
use engine_core::argn::{Model, ModelSize};
use engine_core::backend::Backend;
use engine_core::generate::LoadedModel;
use engine_core::ir::ops::sampling::{
    Contribution, FoldedModel, OrderedSample, RequestedOutputs, SampleInputs, SamplingRules, rules,
};
use engine_core::ir::{Folded, fold, initialise};

const SIZES: [ModelSize; 3] = [ModelSize::Small, ModelSize::Medium, ModelSize::Large];

fn folded(size: ModelSize) -> Folded {
    let model = model(size, &CENSUS);
    let order: Vec<usize> = (0..CENSUS.len()).collect();
    let params = initialise(model.layout(), 1);
    fold(&model.fold_source(), &params, &order, None).expect("a folded model")
}

fn ordered_sample(c: &mut Criterion) {
    let rows = sized(4_096, 64);
    let none = SamplingRules::default();
    let tempered = SamplingRules {
        temperature: Some(0.7),
        ..none.clone()
    };
    let cut = SamplingRules {
        top_p: Some(0.9),
        ..none.clone()
    };
    let cases = SIZES.map(|size| (size, "no rules", none.clone()));
    let ruled = [("temperature 0.7", tempered), ("top-p 0.9", cut)];
    let ruled = ruled.map(|(name, rules)| (ModelSize::Medium, name, rules));
    for (size, name, rules) in cases.into_iter().chain(ruled) {
        let model = folded(size).model;
        let mut case = OpCase::new("ordered_sample", format!("{size:?}, {name}"), rows);
        let op = OrderedSample {
            folded: case.f32_buffer("folded", random_f32(model.len, -0.5, 0.5)),
            model: Arc::clone(&model),
            draws: (0..CENSUS.len()).collect(),
            rules: Arc::new(rules.clone()),
            inputs: SampleInputs::default(),
            requested: RequestedOutputs::default(),
        };
        case.bench(c, op, &[], Throughput::Elements(rows as u64), |data| {
            draw_rows(data, &model, &rules);
        });
    }
}

fn draw_rows(data: &mut Data, model: &FoldedModel, rules: &SamplingRules) {
    let folded = f32_values(&data.resources[0]);
    let stream = OrderedSample::stream(&data.run);
    let (mut hidden, mut weights) = (vec![0.0; model.hidden], Vec::new());
    let rows = u32_values_mut(&mut data.outputs[0]).chunks_exact_mut(model.sub_columns.len());
    for (b, codes) in rows.enumerate() {
        hidden.copy_from_slice(&folded[..model.hidden]);
        for (s, step) in model.sub_columns.iter().enumerate() {
            let units = &hidden[step.hidden.clone()];
            let width = units.len();
            let logit = |v: usize| {
                let w = &folded[step.head_weight + v * width..][..width];
                folded[step.head_bias + v] + w.iter().zip(units).map(|(w, u)| w * u.max(0.0)).sum::<f32>()
            };
            weights.clear();
            weights.extend((0..step.cardinality).map(logit));
            let max = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            weights.iter_mut().for_each(|w| *w = (*w - max).exp());
            let sum: f32 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= sum);
            rules.apply(s, &mut weights);
            let uniform = OrderedSample::uniform(&stream, data.run.first_row + b as u64, 0, s);
            let code = rules::draw(&weights, f64::from(uniform));
            codes[s] = code as u32;
            contribute(folded, step.contribution, code, (step.hidden.end, &mut hidden));
        }
    }
}

fn contribute(
    folded: &[f32],
    contribution: Contribution,
    code: usize,
    (first_later, hidden): (usize, &mut [f32]),
) {
    let count = hidden.len();
    let mut add = |at: usize, scale: f32| {
        let row = &folded[at + first_later..at + count];
        hidden[first_later..]
            .iter_mut()
            .zip(row)
            .for_each(|(h, w)| *h += scale * w);
    };
    match contribution {
        Contribution::Table { offset } => add(offset + code * count, 1.0),
        Contribution::Factored {
            embedding,
            width,
            offset,
        } => {
            for k in 0..width {
                add(offset + k * count, folded[embedding + code * width + k]);
            }
            add(offset + width * count, 1.0);
        }
    }
}

fn folding(c: &mut Criterion) {
    let order: Vec<usize> = (0..CENSUS.len()).collect();
    for size in SIZES {
        let model = model(size, &CENSUS);
        let (source, params) = (model.fold_source(), initialise(model.layout(), 1));
        let folded = folded(size);
        let mut group = c.benchmark_group("folding");
        group.throughput(Throughput::Elements(folded.arena.len() as u64));
        group.bench_function(format!("{size:?}"), |b| {
            b.iter(|| fold(&source, &params, &order, None).expect("a folded model"));
        });
    }
}

/// From parameters to a model that draws, on each device.
fn loading(c: &mut Criterion) {
    for (device, backend) in backends() {
        let backend: Arc<dyn Backend> = backend.into();
        for columns in sized(&[15, 80, 300][..], &[15]) {
            let cardinalities: Vec<usize> = CENSUS.iter().copied().cycle().take(*columns).collect();
            let model = model(ModelSize::Medium, &cardinalities);
            let params = initialise(model.layout(), 1);
            let mut group = c.benchmark_group("loading");
            group.throughput(Throughput::Elements(params.len() as u64));
            group.bench_function(format!("{columns} columns, {device}"), |b| {
                b.iter(|| LoadedModel::new(Arc::clone(&backend), &model, &params).expect("a loaded model"));
            });
        }
    }
}

criterion_group!(name = benches; config = criterion(); targets = ordered_sample, folding, loading);
criterion_main!(benches);
