//! How many rows a second does generation give, as tables of codes, for census models of all sizes and with rules?

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{CENSUS, backends, criterion, model, report, sized};
use engine_core::argn::{FlatModel, Model, ModelSize};
use engine_core::backend::Backend;
use engine_core::generate::{Cells, DrawSite, LoadedModel, SamplePlan, batch_sizes, sampling_rules};
use engine_core::interpreter::InterpreterBackend;
use engine_core::ir::initialise;
use engine_core::ir::ops::sampling::{RequestedOutputs, SamplingRules};
use engine_core::schema::CodeTable;

/// Rows that are compared with those of the interpreter.
const CHECKED_ROWS: u64 = 64;
/// Rows of a batch.
const BATCH_ROWS: u64 = 10_000;

/// A loaded model with a plan for whole rows.
fn loaded(backend: Arc<dyn Backend>, model: &FlatModel, rules: &SamplingRules) -> (LoadedModel, SamplePlan) {
    let params = initialise(model.layout(), 1);
    let loaded = LoadedModel::new(backend, model, &params).expect("a loaded model");
    let order: Vec<usize> = (0..loaded.columns().len()).collect();
    let plan = loaded.plan(&order, rules.clone(), RequestedOutputs::default());
    (loaded, plan.expect("a plan"))
}

fn draw((model, plan): &(LoadedModel, SamplePlan), rows: u64) -> Vec<CodeTable> {
    let mut first_row = 0;
    let batches = batch_sizes(rows, BATCH_ROWS).map(|size| {
        let cells = Cells::sampled(size as usize, model.sub_columns());
        let site = DrawSite { seed: 1, first_row };
        first_row += size;
        model.sample(plan, &cells, site).expect("a table of codes")
    });
    batches.collect()
}

fn generate(c: &mut Criterion) {
    let rows = sized(10_000, 500) as u64;
    let plain = SamplingRules::default();
    let ruled = sampling_rules(0.7, 0.9, Vec::new()).expect("rules");
    for (device, backend) in backends() {
        let backend: Arc<dyn Backend> = Arc::from(backend);
        let mut group = c.benchmark_group(format!("generate/{device}"));
        group.throughput(Throughput::Elements(rows));
        for (size, name, rules) in [
            (ModelSize::Small, "no rules", &plain),
            (ModelSize::Medium, "no rules", &plain),
            (ModelSize::Large, "no rules", &plain),
            (ModelSize::Medium, "temperature 0.7, top-p 0.9", &ruled),
        ] {
            let model = model(size, &CENSUS);
            let id = format!("{size:?}, {name}");
            report(
                &format!("generate/{id}"),
                &format!("{rows} rows of {} columns", CENSUS.len()),
            );
            let on_device = loaded(Arc::clone(&backend), &model, rules);
            let expected = draw(&loaded(Arc::new(InterpreterBackend), &model, rules), CHECKED_ROWS);
            assert_eq!(draw(&on_device, CHECKED_ROWS), expected, "{id} on {device}");
            group.bench_function(BenchmarkId::new(id, rows), |b| {
                b.iter(|| draw(&on_device, rows));
            });
        }
        group.finish();
    }
}

criterion_group!(name = benches; config = criterion(); targets = generate);
criterion_main!(benches);
