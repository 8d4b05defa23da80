//! How fast are embedding lookups and their gradient, by the bytes that must move?

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{
    Data, OpCase, cardinalities, criterion, f32_values, f32_values_mut, group_counts, tables, u32_values,
};
use engine_core::ir::ParamView;
use engine_core::ir::ops::embedding::{Embedding, EmbeddingGrad, embedding_groups};

const WIDTH: usize = 10;

/// For each code and each number of its row: the code once, the number read and written.
fn bytes(rows: usize, columns: usize) -> Throughput {
    Throughput::Bytes((rows * columns * (4 + 2 * 4 * WIDTH)) as u64)
}

fn embedding(c: &mut Criterion) {
    for &(columns, rows) in group_counts() {
        let cardinalities = cardinalities(columns);
        let (tables, layout) = tables(&cardinalities, WIDTH);
        let mut case = OpCase::new("embedding", format!("{columns} columns"), rows);
        let params = case.arena("params", &layout, (-1.0, 1.0));
        let codes = case.codes("codes", &cardinalities);
        let op = Embedding {
            params,
            tables: Arc::clone(&tables),
        };
        case.bench(c, op, &[codes], bytes(rows, columns), |data| {
            look_up(data, &tables)
        });
    }
}

fn look_up(data: &mut Data, tables: &[ParamView]) {
    let width = tables.len();
    let (params, codes) = (f32_values(&data.resources[0]), u32_values(&data.inputs[0]));
    let outputs = f32_values_mut(&mut data.outputs[0]).chunks_exact_mut(WIDTH * width);
    for (y, codes) in outputs.zip(codes.chunks_exact(width)) {
        for ((y, code), table) in y.chunks_exact_mut(WIDTH).zip(codes).zip(tables) {
            y.copy_from_slice(&params[table.offset + *code as usize * WIDTH..][..WIDTH]);
        }
    }
}

fn embedding_grad(c: &mut Criterion) {
    for &(columns, rows) in group_counts() {
        let cardinalities = cardinalities(columns);
        let (tables, layout) = tables(&cardinalities, WIDTH);
        let mut case = OpCase::new("embedding_grad", format!("{columns} columns"), rows);
        let grads = case.arena("params.grads", &layout, (-1.0, 1.0));
        let inputs = [
            case.codes("codes", &cardinalities),
            case.value("grad_output", &embedding_groups(&tables), (-1.0, 1.0)),
        ];
        let op = EmbeddingGrad {
            grads,
            tables: Arc::clone(&tables),
        };
        case.bench(c, op, &inputs, bytes(rows, columns), |data| {
            scatter(data, &tables)
        });
    }
}

fn scatter(data: &mut Data, tables: &[ParamView]) {
    let width = tables.len();
    let (codes, grad_output) = (u32_values(&data.inputs[0]), f32_values(&data.inputs[1]));
    let grads = f32_values_mut(&mut data.resources[0]);
    for (d, codes) in grad_output
        .chunks_exact(WIDTH * width)
        .zip(codes.chunks_exact(width))
    {
        for ((d, code), table) in d.chunks_exact(WIDTH).zip(codes).zip(tables) {
            let row = &mut grads[table.offset + *code as usize * WIDTH..][..WIDTH];
            row.iter_mut().zip(d).for_each(|(g, d)| *g += d);
        }
    }
}

criterion_group!(name = benches; config = criterion(); targets = embedding, embedding_grad);
criterion_main!(benches);
