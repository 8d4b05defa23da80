//! How fast are relu and dropout, by the bytes that must move?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{Data, OpCase, criterion, equal_widths, f32_values, f32_values_mut, group_counts};
use engine_core::ir::Groups;
use engine_core::ir::ops::activation::{Dropout, DropoutOp, Relu, ReluGrad};

const RANGE: (f32, f32) = (-1.0, 1.0);

fn relu(c: &mut Criterion) {
    for &(count, rows) in group_counts() {
        let groups = Groups::from_widths(equal_widths(count));
        let elements = rows * groups.total();
        let label = format!("{count} groups");

        let mut case = OpCase::new("relu", &label, rows);
        let inputs = [case.value("x", &groups, RANGE)];
        case.bench(c, Relu, &inputs, Throughput::Bytes(8 * elements as u64), |data| {
            let x = f32_values(&data.inputs[0]);
            let y = f32_values_mut(&mut data.outputs[0]);
            y.iter_mut()
                .zip(x)
                .for_each(|(y, x)| *y = if *x < 0.0 { 0.0 } else { *x });
        });

        let mut case = OpCase::new("relu_grad", &label, rows);
        let inputs = [
            case.value("y", &groups, RANGE),
            case.value("grad_output", &groups, RANGE),
        ];
        case.bench(
            c,
            ReluGrad,
            &inputs,
            Throughput::Bytes(12 * elements as u64),
            |data| {
                let pairs = f32_values(&data.inputs[0])
                    .iter()
                    .zip(f32_values(&data.inputs[1]));
                let grad = f32_values_mut(&mut data.outputs[0]);
                grad.iter_mut()
                    .zip(pairs)
                    .for_each(|(g, (y, d))| *g = if *y > 0.0 { *d } else { 0.0 });
            },
        );
    }
}

fn dropout(c: &mut Criterion) {
    for &(count, rows) in group_counts() {
        let groups = Groups::from_widths(equal_widths(count));
        let dropout = Dropout::new(0.25, 0).expect("a rate above zero");
        let mut case = OpCase::new("dropout", format!("{count} groups"), rows);
        let inputs = [case.value("x", &groups, RANGE)];
        let op = DropoutOp {
            dropout,
            groups: groups.clone(),
        };
        let work = Throughput::Bytes(8 * (rows * groups.total()) as u64);
        case.bench(c, op, &inputs, work, |data| drop_units(data, &groups, dropout));
    }
}

/// One block of random words for 16 positions, as the rule has it.
fn drop_units(data: &mut Data, groups: &Groups, dropout: Dropout) {
    let (x, y) = (f32_values(&data.inputs[0]), f32_values_mut(&mut data.outputs[0]));
    let stream = dropout.stream(data.run.seed);
    let width = groups.total();
    for (b, (y, x)) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).enumerate() {
        for g in 0..groups.len() {
            let pairs = y[groups.range(g)]
                .chunks_mut(16)
                .zip(x[groups.range(g)].chunks(16));
            for (k, (y, x)) in pairs.enumerate() {
                let column = Dropout::counter_column(g, 16 * k);
                let bytes = stream
                    .block(data.run.first_step, b as u32, column)
                    .map(u32::to_le_bytes);
                for ((y, x), byte) in y.iter_mut().zip(x).zip(bytes.as_flattened()) {
                    *y = if *byte < dropout.threshold {
                        0.0
                    } else {
                        x * dropout.scale()
                    };
                }
            }
        }
    }
}

criterion_group!(name = benches; config = criterion(); targets = relu, dropout);
criterion_main!(benches);
