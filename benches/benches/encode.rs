//! How many rows a second are analysed and encoded, from columns in memory to codes, for the census table?

use std::collections::HashMap;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{Census, census, criterion, report};
use engine_core::encode::{BinOffsets, decode, encode};
use engine_core::schema::{DecodedValues, Table, Values};

/// Texts must come back as they were, but for rare categories, which value protection replaces.
fn check(census: &Census) {
    let (table, stats) = (census.table(), census.analyze());
    let codes = encode(&table, &stats, 1, 0).expect("codes");
    let decoded = decode(&codes, &stats, BinOffsets::Constant(0.5)).expect("values");
    let mut compared = 0;
    for (column, decoded) in table.columns().iter().zip(&decoded) {
        let (Values::Text(texts), DecodedValues::Labels { indices, labels }) =
            (&column.values, &decoded.values)
        else {
            continue;
        };
        for (row, index) in indices.iter().enumerate() {
            let label = labels[*index as usize].as_deref();
            let same = label == Some(texts.get(row)) || label == Some("_RARE_");
            assert!(same, "row {row} of column {} came back as {label:?}", column.name);
        }
        compared += indices.len();
    }
    assert_eq!(compared, 9 * census.rows(), "nine columns are texts");
}

fn analyze_and_encode(c: &mut Criterion) {
    let census = census();
    check(&census);
    let (table, stats) = (census.table(), census.analyze());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let bytes = census.bytes();
    report(
        "encode",
        &format!(
            "{} rows of 15 columns, {bytes} bytes, up to {threads} threads",
            census.rows()
        ),
    );
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(census.rows() as u64));
    group.bench_function("analyze", |b| b.iter(|| census.analyze()));
    group.bench_function("encode", |b| {
        b.iter(|| encode(&table, &stats, 1, 0).expect("codes"))
    });
    group.bench_function("analyze and encode", |b| {
        b.iter(|| encode(&table, &census.analyze(), 1, 0).expect("codes"));
    });
    group.bench_function(
        "plain loop, 1 thread: number distinct values as they appear",
        |b| {
            b.iter(|| number_distinct(&table));
        },
    );
    group.finish();
}

/// The least that any encoding must do: a code per distinct value, found by hashing.
fn number_distinct(table: &Table<'_>) -> Vec<Vec<u32>> {
    fn numbered<K: std::hash::Hash + Eq>(values: impl Iterator<Item = K>) -> Vec<u32> {
        let mut codes: HashMap<K, u32> = HashMap::new();
        let code = |value| {
            let next = codes.len() as u32;
            *codes.entry(value).or_insert(next)
        };
        values.map(code).collect()
    }
    let column = |values: &Values<'_>| match values {
        Values::Int64(values) => numbered(values.iter()),
        Values::Text(texts) => numbered((0..texts.len()).map(|row| texts.get(row))),
        _ => Vec::new(),
    };
    table.columns().iter().map(|c| column(&c.values)).collect()
}

criterion_group!(name = benches; config = criterion(); targets = analyze_and_encode);
criterion_main!(benches);
