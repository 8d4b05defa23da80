//! How many rows a second do codes become columns of values, for the census table?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{census, criterion, report};
use engine_core::encode::{BinOffsets, ColumnStats, DiscreteStats, TableStats, decode, encode};
use engine_core::schema::{CodeTable, DecodedColumn, DecodedValues, Table, Values};

/// Whole numbers with a code each and numbers of digits come back as they were, where protection does not touch them; binned ones
/// stay inside the table's range.
fn check(table: &Table<'_>, stats: &TableStats, decoded: &[DecodedColumn]) {
    let mut compared = 0;
    for (name, column) in &stats.columns {
        let ColumnStats::Modelled { values, .. } = column else {
            continue;
        };
        let decoded = decoded.iter().find(|c| c.name == *name).map(|c| &c.values);
        let Some(Values::Int64(before)) = table.column(name).map(|c| c.values) else {
            continue;
        };
        let Some(DecodedValues::Int(after)) = decoded else {
            panic!("column {name} must come back as whole numbers");
        };
        let range = before.iter().min()..=before.iter().max();
        let kept = before.iter().zip(after).filter(|(b, a)| b == a).count();
        assert!(
            after.iter().all(|v| range.contains(&Some(v))),
            "column {name} stays in its range"
        );
        if values.get::<DiscreteStats>().is_some() {
            assert!(
                20 * kept >= 19 * before.len(),
                "{kept} values of column {name} came back"
            );
        }
        compared += after.len();
    }
    assert_eq!(compared, 6 * table.rows(), "six columns are whole numbers");
}

/// The least that any decoding must do: one look-up for each code.
fn look_up(codes: &CodeTable, values: &[Vec<i64>]) -> Vec<Vec<i64>> {
    let columns = codes.columns().iter().zip(values);
    let column = columns.map(|(codes, values)| {
        (0..codes.len())
            .map(|row| values[codes.get(row) as usize])
            .collect()
    });
    column.collect()
}

fn decode_codes(c: &mut Criterion) {
    let census = census();
    let (table, stats) = (census.table(), census.analyze());
    let codes = encode(&table, &stats, 1, 0).expect("codes");
    let positions = BinOffsets::Random {
        seed: 1,
        first_row: 0,
    };
    check(
        &table,
        &stats,
        &decode(&codes, &stats, positions).expect("values"),
    );
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let sub_columns = stats.sub_columns();
    let values: Vec<Vec<i64>> = sub_columns
        .iter()
        .map(|s| (0..s.cardinality as i64).collect())
        .collect();
    let size = format!(
        "{} rows of 15 columns, {} sub-columns",
        census.rows(),
        sub_columns.len()
    );
    report("decode", &format!("{size}, up to {threads} threads"));
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(census.rows() as u64));
    group.bench_function("decode", |b| {
        b.iter(|| decode(&codes, &stats, positions).expect("values"))
    });
    group.bench_function("plain loop, 1 thread: one look-up for each code", |b| {
        b.iter(|| look_up(&codes, &values));
    });
    group.finish();
}

criterion_group!(name = benches; config = criterion(); targets = decode_codes);
criterion_main!(benches);
