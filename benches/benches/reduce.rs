//! How fast are sums over groups and rows and their broadcasts, by the bytes that must move?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{
    OpCase, STEPS_PER_RUN, criterion, equal_widths, f32_values, f32_values_mut, group_counts,
};
use engine_core::ir::ops::reduce::{Add, BroadcastGroups, FillRows, RecordSum, ScaleRows, SumGroups};
use engine_core::ir::{Groups, LossWeight, Rows};

const RANGE: (f32, f32) = (-1.0, 1.0);

fn bytes(elements: usize) -> Throughput {
    Throughput::Bytes(4 * elements as u64)
}

fn elementwise(c: &mut Criterion) {
    for &(count, rows) in group_counts() {
        let groups = Groups::from_widths(equal_widths(count));
        let (width, label) = (groups.total(), format!("{count} groups"));

        let mut case = OpCase::new("add", &label, rows);
        let inputs = [case.value("a", &groups, RANGE), case.value("b", &groups, RANGE)];
        case.bench(c, Add, &inputs, bytes(3 * rows * width), |data| {
            let pairs = f32_values(&data.inputs[0])
                .iter()
                .zip(f32_values(&data.inputs[1]));
            f32_values_mut(&mut data.outputs[0])
                .iter_mut()
                .zip(pairs)
                .for_each(|(y, (a, b))| *y = a + b);
        });

        let mut case = OpCase::new("scale_rows", &label, rows);
        let inputs = [
            case.value("x", &groups, RANGE),
            case.value("factor", &Groups::single(1), RANGE),
        ];
        case.bench(c, ScaleRows, &inputs, bytes(2 * rows * width), |data| {
            let pairs = f32_values(&data.inputs[0])
                .chunks_exact(width)
                .zip(f32_values(&data.inputs[1]));
            let rows = f32_values_mut(&mut data.outputs[0]).chunks_exact_mut(width);
            rows.zip(pairs)
                .for_each(|(y, (x, f))| y.iter_mut().zip(x).for_each(|(y, x)| *y = f * x));
        });
    }
}

fn groups(c: &mut Criterion) {
    for &(count, rows) in group_counts() {
        let groups = Groups::from_widths(equal_widths(count));
        let (width, label) = (groups.total(), format!("{count} groups"));

        let mut case = OpCase::new("sum_groups", &label, rows);
        let inputs = [case.value("x", &groups, RANGE)];
        case.bench(c, SumGroups, &inputs, bytes(rows * (width + 1)), |data| {
            let rows = f32_values(&data.inputs[0]).chunks_exact(width);
            f32_values_mut(&mut data.outputs[0])
                .iter_mut()
                .zip(rows)
                .for_each(|(y, x)| *y = x.iter().sum());
        });

        let mut case = OpCase::new("broadcast_groups", &label, rows);
        let inputs = [case.value("x", &Groups::single(1), RANGE)];
        let op = BroadcastGroups {
            groups: groups.clone(),
        };
        case.bench(c, op, &inputs, bytes(rows * (width + 1)), |data| {
            let rows = f32_values_mut(&mut data.outputs[0]).chunks_exact_mut(width);
            rows.zip(f32_values(&data.inputs[0]))
                .for_each(|(y, x)| y.fill(*x));
        });
    }
}

fn rows(c: &mut Criterion) {
    for rows in engine_benches::sized([512, 16_384], [64, 512]) {
        let mut case = OpCase::new("record_sum", format!("{rows} rows"), rows);
        let trace = case.f32_buffer("trace", vec![0.0; STEPS_PER_RUN as usize]);
        let inputs = [case.value("x", &Groups::single(1), RANGE)];
        case.bench(c, RecordSum { trace }, &inputs, bytes(rows), |data| {
            f32_values_mut(&mut data.resources[0])[0] = f32_values(&data.inputs[0]).iter().sum();
        });

        let case = OpCase::new("fill_rows", format!("{rows} rows"), rows);
        let op = FillRows {
            weight: LossWeight::Mean { micro_batches: 1 },
            rows: Rows::Batch,
        };
        case.bench(c, op, &[], bytes(rows), |data| {
            let value = 1.0 / data.rows() as f32;
            f32_values_mut(&mut data.outputs[0]).fill(value);
        });
    }
}

criterion_group!(name = benches; config = criterion(); targets = elementwise, groups, rows);
criterion_main!(benches);
