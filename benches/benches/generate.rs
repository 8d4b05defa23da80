//! How many rows a second does generation give, as tables of codes, for census models of all sizes and with rules?

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{CENSUS, backends, criterion, model, report, sized};
use engine_core::argn::{FlatModel, Model, ModelSize};
use engine_core::backend::Backend;
use engine_core::generate::{GenerateOptions, Generator};
use engine_core::ir::initialise;
use engine_core::reference::ReferenceBackend;
use engine_core::schema::CodeTable;

/// Rows that are compared with those of the reference.
const CHECKED_ROWS: i64 = 64;

fn generator(backend: Arc<dyn Backend>, model: &FlatModel, options: &GenerateOptions) -> Generator {
    let params = initialise(model.layout(), 1);
    Generator::new(backend, model, &params, options).expect("a generator")
}

fn draw(generator: &mut Generator, rows: i64) -> Vec<CodeTable> {
    let chunks = generator.generate(rows).expect("rows");
    chunks.collect::<Result<_, _>>().expect("tables of codes")
}

fn generate(c: &mut Criterion) {
    let rows = sized(10_000, 500);
    let plain = GenerateOptions::new(1);
    let ruled = GenerateOptions {
        temperature: 0.7,
        top_p: 0.9,
        ..plain.clone()
    };
    for (device, backend) in backends() {
        let backend: Arc<dyn Backend> = Arc::from(backend);
        let mut group = c.benchmark_group(format!("generate/{device}"));
        group.throughput(Throughput::Elements(rows as u64));
        for (size, rules, options) in [
            (ModelSize::Small, "no rules", &plain),
            (ModelSize::Medium, "no rules", &plain),
            (ModelSize::Large, "no rules", &plain),
            (ModelSize::Medium, "temperature 0.7, top-p 0.9", &ruled),
        ] {
            let model = model(size, &CENSUS);
            let id = format!("{size:?}, {rules}");
            report(
                &format!("generate/{id}"),
                &format!("{rows} rows of {} columns", CENSUS.len()),
            );
            let mut on_device = generator(Arc::clone(&backend), &model, options);
            let expected = draw(
                &mut generator(Arc::new(ReferenceBackend), &model, options),
                CHECKED_ROWS,
            );
            assert_eq!(draw(&mut on_device, CHECKED_ROWS), expected, "{id} on {device}");
            group.bench_function(BenchmarkId::new(id, rows), |b| {
                b.iter(|| draw(&mut on_device, rows));
            });
        }
        group.finish();
    }
}

criterion_group!(name = benches; config = criterion(); targets = generate);
criterion_main!(benches);
