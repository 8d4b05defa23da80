//! How many logits a second do the softmax, its cross-entropy and its gradient reach, with census-like and very unequal groups?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_benches::{
    Data, OpCase, cardinalities, criterion, f32_values, f32_values_mut, group_counts, sized, u32_values,
};
use engine_core::ir::Groups;
use engine_core::ir::ops::softmax::{Softmax, SoftmaxCrossEntropy, SoftmaxCrossEntropyGrad};

const LOGITS: (f32, f32) = (-4.0, 4.0);

fn shapes() -> Vec<(String, usize, Vec<usize>)> {
    let census = |&(count, rows): &(usize, usize)| (format!("{count} groups"), rows, cardinalities(count));
    let mut shapes: Vec<_> = group_counts().iter().map(census).collect();
    let mut unequal = vec![2; 15];
    unequal[7] = sized(10_000, 1_000);
    shapes.push((
        format!("15 groups, one of {}", unequal[7]),
        sized(512, 32),
        unequal,
    ));
    shapes
}

fn softmax(c: &mut Criterion) {
    for (label, rows, widths) in shapes() {
        let groups = Groups::from_widths(widths.iter().copied());
        let work = Throughput::Elements((rows * groups.total()) as u64);

        let mut case = OpCase::new("softmax", &label, rows);
        let inputs = [case.value("logits", &groups, LOGITS)];
        let op = Softmax {
            groups: groups.clone(),
        };
        case.bench(c, op, &inputs, work.clone(), |data| {
            probabilities(data, &groups, 0)
        });

        let mut case = OpCase::new("softmax_cross_entropy", &label, rows);
        let inputs = [
            case.value("logits", &groups, LOGITS),
            case.codes("codes", &widths),
        ];
        let op = SoftmaxCrossEntropy {
            groups: groups.clone(),
        };
        case.bench(c, op, &inputs, work.clone(), |data| cross_entropy(data, &groups));

        let mut case = OpCase::new("softmax_cross_entropy_grad", &label, rows);
        let inputs = [
            case.value("probs", &groups, (0.0, 1.0)),
            case.codes("codes", &widths),
            case.value("grad_losses", &Groups::ones(groups.len()), (0.0, 1.0)),
        ];
        let op = SoftmaxCrossEntropyGrad {
            groups: groups.clone(),
        };
        case.bench(c, op, &inputs, work, |data| cross_entropy_grad(data, &groups));
    }
}

fn probabilities(data: &mut Data, groups: &Groups, output: usize) {
    let logits = f32_values(&data.inputs[0]).chunks_exact(groups.total());
    let rows = f32_values_mut(&mut data.outputs[output]).chunks_exact_mut(groups.total());
    for (probs, logits) in rows.zip(logits) {
        for g in 0..groups.len() {
            let (probs, logits) = (&mut probs[groups.range(g)], &logits[groups.range(g)]);
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            probs
                .iter_mut()
                .zip(logits)
                .for_each(|(p, l)| *p = (l - max).exp());
            let sum: f32 = probs.iter().sum();
            probs.iter_mut().for_each(|p| *p /= sum);
        }
    }
}

fn cross_entropy(data: &mut Data, groups: &Groups) {
    probabilities(data, groups, 1);
    let logits = f32_values(&data.inputs[0]).chunks_exact(groups.total());
    let codes = u32_values(&data.inputs[1]).chunks_exact(groups.len());
    let rows = f32_values_mut(&mut data.outputs[0]).chunks_exact_mut(groups.len());
    for ((losses, logits), codes) in rows.zip(logits).zip(codes) {
        for (g, loss) in losses.iter_mut().enumerate() {
            let logits = &logits[groups.range(g)];
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f32 = logits.iter().map(|l| (l - max).exp()).sum();
            *loss = max + sum.ln() - logits[codes[g] as usize];
        }
    }
}

fn cross_entropy_grad(data: &mut Data, groups: &Groups) {
    let probs = f32_values(&data.inputs[0]).chunks_exact(groups.total());
    let codes = u32_values(&data.inputs[1]).chunks_exact(groups.len());
    let grad_losses = f32_values(&data.inputs[2]).chunks_exact(groups.len());
    let rows = f32_values_mut(&mut data.outputs[0]).chunks_exact_mut(groups.total());
    for (((grad, probs), codes), grad_losses) in rows.zip(probs).zip(codes).zip(grad_losses) {
        for (g, d) in grad_losses.iter().enumerate() {
            let grad = &mut grad[groups.range(g)];
            grad.iter_mut()
                .zip(&probs[groups.range(g)])
                .for_each(|(y, p)| *y = d * p);
            grad[codes[g] as usize] -= d;
        }
    }
}

criterion_group!(name = benches; config = criterion(); targets = softmax);
criterion_main!(benches);
