//! How many multiply-adds a second do the linear layers reach: with 15, 100 and 1,000 groups, of equal and of very unequal widths,
//! grouped and, with dropout, ordered?
//!
//! Throughput counts multiply-adds without those of hidden blocks, with those that dropout zeroes; FLOP per second are twice the
//! figure.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{
    Data, OpCase, criterion, equal_widths, f32_values, f32_values_mut, group_counts, grouped, ordered,
    shuffled_ranks, u32_values, unequal_widths,
};
use engine_core::backend::HostData;
use engine_core::ir::ops::linear::{
    Block, GroupedLinear, GroupedLinearGradInput, GroupedLinearGradParams, LinearGroups, OrderedLinear,
    OrderedLinearGradInput, OrderedLinearGradParams, OrderedSpec,
};

const RANGE: (f32, f32) = (-1.0, 1.0);
/// Outputs of each group.
const OUTPUTS: usize = 16;
/// Embedding width of each column that ordered layers see.
const COLUMN: usize = 4;

fn grouped_linear(c: &mut Criterion) {
    for &(count, rows) in group_counts() {
        for (widths, inputs) in [("equal", equal_widths(count)), ("unequal", unequal_widths(count))] {
            let (groups, layout) = grouped(&inputs, &vec![OUTPUTS; count]);
            let work = Throughput::Elements((rows * groups.input.total() * OUTPUTS) as u64);
            let label = format!("{count} {widths} groups");

            let mut case = OpCase::new("grouped_linear", &label, rows);
            let params = case.arena("params", &layout, RANGE);
            let inputs = [case.value("x", &groups.input, RANGE)];
            let op = GroupedLinear {
                params,
                groups: groups.clone(),
            };
            case.bench(c, op, &inputs, work.clone(), |data| forward(data, &groups));

            let mut case = OpCase::new("grouped_linear_grad_input", &label, rows);
            let params = case.arena("params", &layout, RANGE);
            let inputs = [case.value("grad_output", &groups.output, RANGE)];
            let op = GroupedLinearGradInput {
                params,
                groups: groups.clone(),
            };
            case.bench(c, op, &inputs, work.clone(), |data| grad_input(data, &groups));

            let mut case = OpCase::new("grouped_linear_grad_params", &label, rows);
            let grads = case.arena("params.grads", &layout, RANGE);
            let inputs = [
                case.value("x", &groups.input, RANGE),
                case.value("grad_output", &groups.output, RANGE),
            ];
            let op = GroupedLinearGradParams {
                grads,
                groups: groups.clone(),
            };
            case.bench(c, op, &inputs, work, |data| grad_params(data, &groups));
        }
    }
}

fn forward(data: &mut Data, groups: &LinearGroups) {
    let (params, x) = (f32_values(&data.resources[0]), f32_values(&data.inputs[0]));
    let rows = f32_values_mut(&mut data.outputs[0]).chunks_exact_mut(groups.output.total());
    for (y, x) in rows.zip(x.chunks_exact(groups.input.total())) {
        for (g, layer) in groups.layers_present() {
            let x = &x[groups.input.range(g)];
            let weights = params[layer.weight.range()].chunks_exact(x.len());
            let biases = &params[layer.bias.range()];
            for ((y, w), bias) in y[groups.output.range(g)].iter_mut().zip(weights).zip(biases) {
                *y = bias + w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
            }
        }
    }
}

fn grad_input(data: &mut Data, groups: &LinearGroups) {
    let (params, d) = (f32_values(&data.resources[0]), f32_values(&data.inputs[0]));
    let rows = f32_values_mut(&mut data.outputs[0]).chunks_exact_mut(groups.input.total());
    for (y, d) in rows.zip(d.chunks_exact(groups.output.total())) {
        y.fill(0.0);
        for (g, layer) in groups.layers_present() {
            let y = &mut y[groups.input.range(g)];
            let weights = params[layer.weight.range()].chunks_exact(y.len());
            for (d, w) in d[groups.output.range(g)].iter().zip(weights) {
                y.iter_mut().zip(w).for_each(|(y, w)| *y += d * w);
            }
        }
    }
}

fn grad_params(data: &mut Data, groups: &LinearGroups) {
    let (x, d) = (f32_values(&data.inputs[0]), f32_values(&data.inputs[1]));
    let grads = f32_values_mut(&mut data.resources[0]);
    let rows = x.chunks_exact(groups.input.total());
    for (x, d) in rows.zip(d.chunks_exact(groups.output.total())) {
        for (g, layer) in groups.layers_present() {
            let x = &x[groups.input.range(g)];
            for (n, d) in d[groups.output.range(g)].iter().enumerate() {
                grads[layer.bias.offset + n] += d;
                let w = &mut grads[layer.weight.offset + n * x.len()..][..x.len()];
                w.iter_mut().zip(x).for_each(|(w, x)| *w += d * x);
            }
        }
    }
}

fn ordered_linear(c: &mut Criterion) {
    for &(count, rows) in group_counts() {
        let (spec, layout) = ordered(&vec![COLUMN; count], &vec![OUTPUTS; count]);
        let visible = COLUMN * count * (count - 1) / 2;
        let work = Throughput::Elements((rows * visible * OUTPUTS) as u64);
        let label = format!("{count} columns");
        let values = |case: &mut OpCase| {
            let columns = case.value("columns", &spec.columns, RANGE);
            let subs = case.value("sub_columns", &spec.sub_columns, RANGE);
            vec![columns, subs, case.ranks(shuffled_ranks(count))]
        };

        let mut case = OpCase::new("ordered_linear", &label, rows);
        let params = case.arena("params", &layout, RANGE);
        let inputs = values(&mut case);
        let op = OrderedLinear {
            params,
            spec: spec.clone(),
        };
        case.bench(c, op, &inputs, work.clone(), |data| ordered_forward(data, &spec));

        let mut case = OpCase::new("ordered_linear_grad_input", &label, rows);
        let params = case.arena("params", &layout, RANGE);
        let mut inputs = values(&mut case);
        inputs.push(case.value("grad_output", &spec.output, RANGE));
        let op = OrderedLinearGradInput {
            params,
            spec: spec.clone(),
        };
        case.bench(c, op, &inputs, work.clone(), |data| {
            ordered_grad_input(data, &spec)
        });

        let mut case = OpCase::new("ordered_linear_grad_params", &label, rows);
        let grads = case.arena("params.grads", &layout, RANGE);
        let mut inputs = values(&mut case);
        inputs.push(case.value("grad_output", &spec.output, RANGE));
        let op = OrderedLinearGradParams {
            grads,
            spec: spec.clone(),
        };
        case.bench(c, op, &inputs, work, |data| ordered_grad_params(data, &spec));
    }
}

/// The f32 values of a binding, which is left empty until they are stored again.
fn take_f32(data: &mut HostData) -> Vec<f32> {
    match std::mem::replace(data, HostData::F32(Vec::new())) {
        HostData::F32(values) => values,
        other => f32_values(&other).to_vec(),
    }
}

/// Calls `each` with row, sub-column, block, and the factors of dropout along the block. Columns have one sub-column each.
fn visit(data: &Data, spec: &OrderedSpec, mut each: impl FnMut(usize, usize, Block, &[f32])) {
    let ranks = u32_values(&data.inputs[2]);
    let (mut blocks, mut factors) = (Vec::new(), Vec::new());
    for s in 0..spec.output.len() {
        spec.blocks(s, ranks, &mut blocks);
        for b in 0..data.rows() {
            let mut position = 0;
            for block in &blocks {
                factors.clear();
                for at in position..position + block.width {
                    let factor = spec.dropout.map(|d| d.factor(&data.run, b, s, at));
                    factors.push(factor.unwrap_or(1.0) as f32);
                }
                position += block.width;
                each(b, s, *block, &factors);
            }
        }
    }
}

fn ordered_forward(data: &mut Data, spec: &OrderedSpec) {
    let mut y = take_f32(&mut data.outputs[0]);
    let (params, x) = (f32_values(&data.resources[0]), f32_values(&data.inputs[0]));
    for y in y.chunks_exact_mut(spec.output.total()) {
        for (s, layer) in spec.layers.iter().enumerate() {
            y[spec.output.range(s)].copy_from_slice(&params[layer.bias.range()]);
        }
    }
    visit(data, spec, |b, s, block, factors| {
        let weight = spec.layers[s].weight;
        let x = &x[b * spec.columns.total() + block.feature..][..block.width];
        for n in 0..weight.rows {
            let w = &params[weight.offset + n * weight.columns + block.weight_column..][..block.width];
            let terms = w.iter().zip(x).zip(factors).map(|((w, x), f)| w * (x * f));
            y[b * spec.output.total() + spec.output.offset(s) + n] += terms.sum::<f32>();
        }
    });
    data.outputs[0] = HostData::F32(y);
}

fn ordered_grad_input(data: &mut Data, spec: &OrderedSpec) {
    let mut y = take_f32(&mut data.outputs[0]);
    let (params, d) = (f32_values(&data.resources[0]), f32_values(&data.inputs[3]));
    y.fill(0.0);
    visit(data, spec, |b, s, block, factors| {
        let weight = spec.layers[s].weight;
        let y = &mut y[b * spec.columns.total() + block.feature..][..block.width];
        for n in 0..weight.rows {
            let w = &params[weight.offset + n * weight.columns + block.weight_column..][..block.width];
            let d = d[b * spec.output.total() + spec.output.offset(s) + n];
            y.iter_mut()
                .zip(w)
                .zip(factors)
                .for_each(|((y, w), f)| *y += d * w * f);
        }
    });
    data.outputs[0] = HostData::F32(y);
}

fn ordered_grad_params(data: &mut Data, spec: &OrderedSpec) {
    let mut grads = take_f32(&mut data.resources[0]);
    let (x, d) = (f32_values(&data.inputs[0]), f32_values(&data.inputs[3]));
    for d in d.chunks_exact(spec.output.total()) {
        for (s, layer) in spec.layers.iter().enumerate() {
            let biases = &mut grads[layer.bias.range()];
            biases
                .iter_mut()
                .zip(&d[spec.output.range(s)])
                .for_each(|(g, d)| *g += d);
        }
    }
    visit(data, spec, |b, s, block, factors| {
        let weight = spec.layers[s].weight;
        let x = &x[b * spec.columns.total() + block.feature..][..block.width];
        for n in 0..weight.rows {
            let w = &mut grads[weight.offset + n * weight.columns + block.weight_column..][..block.width];
            let d = d[b * spec.output.total() + spec.output.offset(s) + n];
            w.iter_mut()
                .zip(x)
                .zip(factors)
                .for_each(|((w, x), f)| *w += d * x * f);
        }
    });
    data.resources[0] = HostData::F32(grads);
}

criterion_group!(name = benches; config = criterion(); targets = grouped_linear, ordered_linear);
criterion_main!(benches);
