//! What does it cost to make a batch: rows from the table on the device, and a column order?

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{CENSUS, CENSUS_ROWS, OpCase, criterion, group_counts, sized, table, u32_values_mut};
use engine_core::ir::ops::batch::{ColumnOrder, GatherRows, OrderDraw, Reading};
use engine_core::schema::CodeTable;

fn gather_rows(c: &mut Criterion) {
    let table = table(&CENSUS, CENSUS_ROWS);
    let rows = sized(512, 64);
    let steps_per_epoch = (CENSUS_ROWS / rows) as u32;
    // A run of many sequential steps stays inside the table.
    for (label, reading) in [
        ("sequential", Reading::Sequential),
        ("shuffled", Reading::Shuffled { steps_per_epoch }),
    ] {
        let mut case = OpCase::new("gather_rows", label, rows);
        let op = GatherRows {
            table: case.table("table", &table),
            columns: CENSUS.len(),
            reading,
        };
        let table: &Arc<CodeTable> = &table;
        case.bench(
            c,
            op,
            &[],
            Throughput::Elements((rows * CENSUS.len()) as u64),
            |data| {
                let codes = u32_values_mut(&mut data.outputs[0]).chunks_exact_mut(CENSUS.len());
                for (b, codes) in codes.enumerate() {
                    let row = reading.row(&data.run, b as u32, table.rows());
                    codes
                        .iter_mut()
                        .enumerate()
                        .for_each(|(s, code)| *code = table.get(row, s));
                }
            },
        );
    }
}

fn column_order(c: &mut Criterion) {
    for &(columns, _) in group_counts() {
        let case = OpCase::new("column_order", format!("{columns} columns"), 1);
        let draw = OrderDraw::Training;
        let op = ColumnOrder { columns, draw };
        case.bench(c, op.clone(), &[], Throughput::Elements(columns as u64), |data| {
            let ranks = op.ranks(data.run.seed, data.run.first_step);
            u32_values_mut(&mut data.outputs[0]).copy_from_slice(&ranks);
        });
    }
}

criterion_group!(name = benches; config = criterion(); targets = gather_rows, column_order);
criterion_main!(benches);
