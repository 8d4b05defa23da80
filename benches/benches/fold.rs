//! How long does it take to fold a model, which each load of it does, by the number of columns?

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use engine_benches::{criterion, model, report, sized};
use engine_core::argn::{Model, ModelSize};
use engine_core::ir::{fold, initialise};

/// Cardinalities of columns, one after the other: flags, categories, bins.
const CARDINALITIES: [usize; 5] = [2, 8, 16, 42, 102];

fn folding(c: &mut Criterion) {
    let mut group = c.benchmark_group("fold");
    let counts: &[usize] = sized(&[15, 80, 300], &[15]);
    for (size, columns) in [ModelSize::Medium, ModelSize::Large]
        .into_iter()
        .flat_map(|size| counts.iter().map(move |columns| (size, *columns)))
    {
        let cardinalities: Vec<usize> = CARDINALITIES.iter().copied().cycle().take(columns).collect();
        let model = model(size, &cardinalities);
        let params = initialise(model.layout(), 1);
        let order: Vec<usize> = (0..columns).collect();
        report(
            &format!("fold/{size:?}"),
            &format!("{columns} columns, {} parameters", params.len()),
        );
        group.sample_size(10);
        group.bench_function(BenchmarkId::new(format!("{size:?}"), columns), |b| {
            b.iter(|| fold(&model.fold_source(), &params, &order, None).expect("a folded model"));
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = criterion(); targets = folding);
criterion_main!(benches);
