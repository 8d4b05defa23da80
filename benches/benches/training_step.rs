//! How long does one training step of the census model take, in each of its sizes?

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{
    Bound, CENSUS, CENSUS_ROWS, backends, census_steps, criterion, model, report, sized, table,
};
use engine_core::argn::{Model, ModelSize};
use engine_core::backend::{Backend, Run};
use engine_core::conformance;

/// Training steps of small models of each size agree with the interpreter.
fn check(device: &str, backend: &dyn Backend) {
    let selected = |op: &str, case: &str| op == "training_step" && case.contains("mixed columns");
    let report = conformance::run_filtered(backend, selected);
    assert!(report.cases() > 0, "no training step was compared on {device}");
    assert_eq!(report.failures(), Vec::<String>::new(), "on {device}");
}

fn training_step(c: &mut Criterion) {
    let rows = sized(512, 64);
    let codes = table(&CENSUS, CENSUS_ROWS);
    for (device, backend) in backends() {
        check(&device, backend.as_ref());
        let mut group = c.benchmark_group(format!("training_step/{device}"));
        group.throughput(Throughput::Elements(rows as u64));
        for size in [ModelSize::Small, ModelSize::Medium, ModelSize::Large] {
            let model = model(size, &CENSUS);
            report(
                &format!("training_step/{size:?}"),
                &format!(
                    "{rows} rows of {} columns, {} parameters",
                    CENSUS.len(),
                    model.layout().len()
                ),
            );
            let program = model
                .train_programs(census_steps(rows))
                .expect("programs")
                .training_step()
                .expect("a training step");
            let mut step = Bound::new(backend.as_ref(), &program, rows, &codes, 1).expect("a compiled step");
            let mut next = 0;
            group.bench_function(BenchmarkId::new(format!("{size:?}"), rows), |b| {
                b.iter(|| {
                    let run = Run {
                        first_step: next,
                        learning_rate: 1e-3,
                        ..Run::evaluate(rows as u32)
                    };
                    step.run(&run).expect("a step");
                    next += 1;
                });
            });
        }
        group.finish();
    }
}

criterion_group!(name = benches; config = criterion(); targets = training_step);
criterion_main!(benches);
