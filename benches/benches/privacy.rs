//! What do per-sample norms and clip factors cost? Throughput is in values read.

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{
    OpCase, cardinalities, criterion, equal_widths, f32_values, f32_values_mut, group_counts, grouped,
    ordered, shuffled_ranks, sized, tables, u32_values,
};
use engine_core::ir::Groups;
use engine_core::ir::ops::embedding::{EmbeddingSqNorm, embedding_groups};
use engine_core::ir::ops::linear::{GroupedLinearSqNorm, OrderedLinearSqNorm};
use engine_core::ir::ops::privacy::{CLIP_EPS, ClipFactor};

const RANGE: (f32, f32) = (-1.0, 1.0);

fn square(values: &[f32]) -> f32 {
    values.iter().map(|v| v * v).sum()
}

fn clip_factor(c: &mut Criterion) {
    let (rows, max_grad_norm) = (sized(16_384, 512), 1.0);
    let mut case = OpCase::new("clip_factor", format!("{rows} rows"), rows);
    let inputs = [case.value("per_sample_sq_norm", &Groups::single(1), (0.0, 4.0))];
    let work = Throughput::Elements(rows as u64);
    case.bench(c, ClipFactor { max_grad_norm }, &inputs, work, |data| {
        let factors = f32_values_mut(&mut data.outputs[0]).iter_mut();
        let factor = |sq: f32| (max_grad_norm as f32 / (sq.sqrt() + CLIP_EPS as f32)).min(1.0);
        factors
            .zip(f32_values(&data.inputs[0]))
            .for_each(|(y, sq)| *y = factor(*sq));
    });
}

fn embedding_sq_norm(c: &mut Criterion) {
    for &(columns, rows) in group_counts() {
        let cardinalities = cardinalities(columns);
        let (tables, _) = tables(&cardinalities, 10);
        let groups = embedding_groups(&tables);
        let mut case = OpCase::new("embedding_sq_norm", format!("{columns} columns"), rows);
        let inputs = [
            case.codes("codes", &cardinalities),
            case.value("grad_output", &groups, RANGE),
        ];
        let op = EmbeddingSqNorm {
            tables: Arc::clone(&tables),
        };
        let work = Throughput::Elements((rows * groups.total()) as u64);
        case.bench(c, op, &inputs, work, |data| {
            let rows = f32_values(&data.inputs[1]).chunks_exact(10);
            f32_values_mut(&mut data.outputs[0])
                .iter_mut()
                .zip(rows)
                .for_each(|(y, d)| *y = square(d));
        });
    }
}

fn grouped_linear_sq_norm(c: &mut Criterion) {
    for &(count, rows) in group_counts() {
        let (groups, _) = grouped(&equal_widths(count), &equal_widths(count));
        let mut case = OpCase::new("grouped_linear_sq_norm", format!("{count} groups"), rows);
        let inputs = [
            case.value("x", &groups.input, RANGE),
            case.value("grad_output", &groups.output, RANGE),
        ];
        let work = Throughput::Elements((rows * 2 * groups.input.total()) as u64);
        let op = GroupedLinearSqNorm {
            groups: groups.clone(),
        };
        case.bench(c, op, &inputs, work, |data| {
            let pairs = f32_values(&data.inputs[0])
                .chunks_exact(16)
                .zip(f32_values(&data.inputs[1]).chunks_exact(16));
            for (y, (x, d)) in f32_values_mut(&mut data.outputs[0])
                .chunks_exact_mut(2)
                .zip(pairs)
            {
                y[1] = square(d);
                y[0] = square(x) * y[1];
            }
        });
    }
}

/// Without dropout, so that a row's visible inputs are a sum over columns before it.
fn ordered_linear_sq_norm(c: &mut Criterion) {
    for &(count, rows) in group_counts() {
        let (mut spec, _) = ordered(&vec![4; count], &vec![16; count]);
        spec.dropout = None;
        let mut case = OpCase::new("ordered_linear_sq_norm", format!("{count} columns"), rows);
        let inputs = [
            case.value("columns", &spec.columns, RANGE),
            case.value("sub_columns", &spec.sub_columns, RANGE),
            case.ranks(shuffled_ranks(count)),
            case.value("grad_output", &spec.output, RANGE),
        ];
        let work = Throughput::Elements((rows * (spec.columns.total() + spec.output.total())) as u64);
        case.bench(c, OrderedLinearSqNorm { spec }, &inputs, work, |data| {
            let ranks = u32_values(&data.inputs[2]);
            let pairs = f32_values(&data.inputs[0]).chunks_exact(4 * count);
            let pairs = pairs.zip(f32_values(&data.inputs[3]).chunks_exact(16 * count));
            for (y, (x, d)) in f32_values_mut(&mut data.outputs[0])
                .chunks_exact_mut(2 * count)
                .zip(pairs)
            {
                for s in 0..count {
                    let before = (0..count).filter(|c| ranks[*c] < ranks[s]);
                    let visible: f32 = before.map(|c| square(&x[4 * c..][..4])).sum();
                    y[2 * s + 1] = square(&d[16 * s..][..16]);
                    y[2 * s] = visible * y[2 * s + 1];
                }
            }
        });
    }
}

criterion_group!(
    name = benches;
    config = criterion();
    targets = clip_factor, embedding_sq_norm, grouped_linear_sq_norm, ordered_linear_sq_norm
);
criterion_main!(benches);
