//! How long does the whole job take on the census table: read, split, analyze, encode, train one epoch, sample as many rows?

use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_api::data::{ReadOptions, TableSource};
use engine_api::{SampleOptions, TabularArgn, silent};
use engine_benches::{criterion, report, sized};

fn end_to_end(c: &mut Criterion) {
    let census = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/census.csv.gz");
    let rows = TableSource::open(&census, &ReadOptions::default())
        .expect("the census table")
        .rows();
    let epochs = sized(1.0, 0.1);
    report(
        "end_to_end",
        &format!("{rows} rows of 15 columns in and out, {epochs} epochs"),
    );
    let argn = TabularArgn::builder().seed(1).max_epochs(epochs).build();
    let job = || {
        let model = argn.fit_file(&census, &mut silent).expect("a model");
        let options = SampleOptions {
            seed: Some(1),
            ..SampleOptions::rows(rows as i64)
        };
        let batches = model.sample_batches(&options).expect("rows");
        batches
            .map(|batch| batch.expect("a batch").num_rows())
            .sum::<usize>()
    };
    assert_eq!(job() as u64, rows, "as many rows are returned as were given");
    let mut group = c.benchmark_group("end_to_end");
    group.throughput(Throughput::Elements(rows)).sample_size(10);
    group.bench_function("census", |b| b.iter(job));
    group.finish();
}

criterion_group!(name = benches; config = criterion(); targets = end_to_end);
criterion_main!(benches);
