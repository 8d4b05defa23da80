//! Broken embeddings, activations, softmax, sums, clip factors and AdamW.

use super::{
    Act, Results, assert_caught, keep, known, losing, map, overwriting, without_last_block,
    without_last_column,
};
use crate::ir::ops::activation::DropoutOp;
use crate::ir::ops::embedding::EmbeddingGrad;
use crate::ir::ops::optimizer::AdamW;
use crate::ir::ops::privacy::ClipFactor;
use crate::ir::ops::reduce::{FillRows, RecordSum};
use crate::ir::ops::softmax::{Softmax, SoftmaxCrossEntropyGrad};
use crate::ir::{Groups, InterpreterContext, LossWeight, Op, Tensor};

#[test]
fn embeddings() {
    let broken: [(&'static str, &str, Act); 8] = [
        ("embedding", "its last column dropped", without_last_column),
        ("embedding", "its last block of rows lost", without_last_block),
        ("embedding", "the codes of the row before", |op, cx| {
            let codes = cx.inputs[0];
            let mut data = codes.data.clone();
            data.rotate_right(codes.width.min(codes.data.len()));
            cx.inputs[0] = keep(Tensor::from_data(codes.rows, codes.width, data));
            op.interpret(cx)
        }),
        ("embedding_grad", "gradients overwritten", overwriting),
        ("embedding_grad", "the last row of each table lost", |op, cx| {
            let tables = &known::<EmbeddingGrad>(op).tables;
            losing(op, cx, |i| {
                tables
                    .iter()
                    .any(|t| t.range().contains(&i) && i >= t.range().end - t.columns)
            })
        }),
        (
            "embedding_grad",
            "a code counted once however often it occurs",
            |op, cx| {
                let (codes, mut grad) = (cx.inputs[0], cx.inputs[1].clone());
                for b in 1..codes.rows {
                    if codes.row(b) == codes.row(b - 1) {
                        (0..grad.width).for_each(|k| grad.set(b, k, 0.0, 0.0));
                    }
                }
                cx.inputs[1] = keep(grad);
                op.interpret(cx)
            },
        ),
        (
            "embedding_sq_norm",
            "norms in place of their squares",
            |op, cx| Ok(vec![map(&op.interpret(cx)?[0], f64::sqrt)]),
        ),
        (
            "embedding_sq_norm",
            "its last column dropped",
            without_last_column,
        ),
    ];
    assert_caught("embedding", "", &broken);
}

#[test]
fn activations() {
    let broken: [(&'static str, &str, Act); 8] = [
        ("relu", "a leak", |op, cx| {
            let leak = map(cx.inputs[0], |x| 1e-2 * x.min(0.0));
            let y = &op.interpret(cx)?[0];
            let data = y.data.iter().zip(leak.data).map(|(y, l)| y + l).collect();
            Ok(vec![Tensor::from_data(y.rows, y.width, data)])
        }),
        ("relu", "its last block of rows lost", without_last_block),
        ("relu_grad", "a gradient at zero", |_, cx| {
            let (y, grad) = (cx.inputs[0], cx.inputs[1]);
            let pairs = y.data.iter().zip(&grad.data);
            let data = pairs.map(|(y, d)| if *y >= 0.0 { *d } else { 0.0 }).collect();
            Ok(vec![Tensor::from_data(y.rows, y.width, data)])
        }),
        ("relu_grad", "its last column dropped", without_last_column),
        ("dropout", "the scale forgotten", |op, cx| {
            let scale = f64::from(known::<DropoutOp>(op).dropout.scale());
            Ok(vec![map(&op.interpret(cx)?[0], |y| y / scale)])
        }),
        ("dropout", "positions counted over all groups", |op, cx| {
            let op = known::<DropoutOp>(op);
            let groups = Groups::single(op.groups.total());
            DropoutOp { groups, ..op.clone() }.interpret(cx)
        }),
        ("dropout", "the same mask in every step", |op, cx| {
            cx.run.first_step -= cx.step_in_run;
            op.interpret(cx)
        }),
        ("dropout", "the mask of another seed", |op, cx| {
            cx.run.seed ^= 1 << 40;
            op.interpret(cx)
        }),
    ];
    assert_caught("activation", "", &broken);
}

/// Softmax in single precision without the largest logit taken off.
fn unshifted(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    let mut y = op.interpret(cx)?.swap_remove(0);
    let (x, groups) = (cx.inputs[0], &known::<Softmax>(op).groups);
    for b in 0..y.rows {
        for g in 0..groups.len() {
            let sum: f32 = x.row(b)[groups.range(g)].iter().map(|x| (*x as f32).exp()).sum();
            for k in groups.range(g) {
                y.set(b, k, f64::from((x.at(b, k) as f32).exp() / sum), 0.0);
            }
        }
    }
    Ok(vec![y])
}

#[test]
fn softmaxes() {
    let broken: [(&'static str, &str, Act); 9] = [
        ("softmax", "the largest logit left in, which overflows", unshifted),
        ("softmax", "its last column dropped", without_last_column),
        ("softmax", "one group over all columns", |op, cx| {
            let groups = Groups::single(known::<Softmax>(op).groups.total());
            Softmax { groups }.interpret(cx)
        }),
        ("softmax_cross_entropy", "the loss of code zero", |op, cx| {
            cx.inputs[1] = keep(map(cx.inputs[1], |_| 0.0));
            op.interpret(cx)
        }),
        ("softmax_cross_entropy", "losses in bits", |op, cx| {
            let mut results = op.interpret(cx)?;
            results[0] = map(&results[0], |x| x / std::f64::consts::LN_2);
            Ok(results)
        }),
        (
            "softmax_cross_entropy",
            "logits in place of probabilities",
            |op, cx| {
                let mut results = op.interpret(cx)?;
                results[1] = cx.inputs[0].clone();
                Ok(results)
            },
        ),
        (
            "softmax_cross_entropy_grad",
            "the code's own term forgotten",
            |op, cx| {
                let groups = &known::<SoftmaxCrossEntropyGrad>(op).groups;
                let (probs, grads) = (cx.inputs[0], cx.inputs[2]);
                let mut y = Tensor::zeros(probs.rows, probs.width);
                for b in 0..y.rows {
                    for g in 0..groups.len() {
                        groups
                            .range(g)
                            .for_each(|k| y.add(b, k, grads.at(b, g) * probs.at(b, k)));
                    }
                }
                Ok(vec![y])
            },
        ),
        (
            "softmax_cross_entropy_grad",
            "the incoming gradient ignored",
            |op, cx| {
                cx.inputs[2] = keep(map(cx.inputs[2], |_| 1.0));
                op.interpret(cx)
            },
        ),
        (
            "softmax_cross_entropy_grad",
            "its last block of rows lost",
            without_last_block,
        ),
    ];
    assert_caught("softmax", "", &broken);
}

#[test]
fn sums() {
    let broken: [(&'static str, &str, Act); 11] = [
        ("add", "its second input forgotten", |_, cx| {
            Ok(vec![cx.inputs[0].clone()])
        }),
        ("add", "its last column dropped", without_last_column),
        ("sum_groups", "the last summand forgotten", |op, cx| {
            let mut x = cx.inputs[0].clone();
            (0..x.rows).for_each(|b| x.set(b, x.width - 1, 0.0, 0.0));
            cx.inputs[0] = keep(x);
            op.interpret(cx)
        }),
        ("sum_groups", "its last block of rows lost", without_last_block),
        ("broadcast_groups", "its last column dropped", without_last_column),
        ("fill_rows", "micro-batches forgotten", |op, cx| {
            let weight = match known::<FillRows>(op).weight {
                LossWeight::Sum => LossWeight::Sum,
                LossWeight::Mean { .. } => LossWeight::Mean { micro_batches: 1 },
            };
            let rows = known::<FillRows>(op).rows;
            FillRows { weight, rows }.interpret(cx)
        }),
        ("fill_rows", "its last block of rows lost", without_last_block),
        (
            "scale_rows",
            "the factor of the first row everywhere",
            |op, cx| {
                let factors = cx.inputs[1];
                let first = factors.data.first().copied().unwrap_or_default();
                cx.inputs[1] = keep(map(factors, |_| first));
                op.interpret(cx)
            },
        ),
        ("scale_rows", "its last column dropped", without_last_column),
        ("record_sum", "a mean in place of the sum", |op, cx| {
            let rows = cx.inputs[0].rows.max(1) as f64;
            cx.inputs[0] = keep(map(cx.inputs[0], |x| x / rows));
            op.interpret(cx)
        }),
        ("record_sum", "every step at the first place", |op, cx| {
            let trace = known::<RecordSum>(op).trace;
            let before = cx.f64(trace)?[cx.step_in_run as usize];
            let results = op.interpret(cx)?;
            let sum = cx.f64(trace)?[cx.step_in_run as usize];
            cx.set(trace, cx.step_in_run as usize, before, 0.0);
            cx.set(trace, 0, sum, 0.0);
            Ok(results)
        }),
    ];
    assert_caught("reduce", "", &broken);
}

#[test]
fn clip_factors() {
    let broken: [(&'static str, &str, Act); 3] = [
        ("clip_factor", "small gradients scaled up", |op, cx| {
            let bound = known::<ClipFactor>(op).max_grad_norm;
            Ok(vec![map(cx.inputs[0], |sq| bound / (sq.sqrt() + 1e-6))])
        }),
        ("clip_factor", "squared norms in place of norms", |op, cx| {
            cx.inputs[0] = keep(map(cx.inputs[0], |sq| sq * sq));
            op.interpret(cx)
        }),
        ("clip_factor", "its last block of rows lost", without_last_block),
    ];
    assert_caught("privacy", "", &broken);
}

/// AdamW with other constants.
fn tuned(op: &dyn Op, cx: &mut InterpreterContext<'_>, change: impl Fn(&mut AdamW)) -> Results {
    let mut op = known::<AdamW>(op).clone();
    change(&mut op);
    op.interpret(cx)
}

#[test]
fn optimizers() {
    let broken: [(&'static str, &str, Act); 7] = [
        ("adamw", "no bias correction", |op, cx| {
            cx.run.first_step = 100_000_000;
            op.interpret(cx)
        }),
        ("adamw", "steps counted from zero", |op, cx| {
            cx.run.first_step = cx.run.first_step.max(1) - 1;
            op.interpret(cx)
        }),
        ("adamw", "no weight decay", |op, cx| {
            tuned(op, cx, |adam| adam.weight_decay = 0.0)
        }),
        (
            "adamw",
            "decay of the second moments as of the first",
            |op, cx| tuned(op, cx, |adam| adam.beta2 = adam.beta1),
        ),
        ("adamw", "a hundred times the epsilon", |op, cx| {
            tuned(op, cx, |adam| adam.adam_eps *= 100.0)
        }),
        ("adamw", "gradients kept", |op, cx| {
            let grads = known::<AdamW>(op).grads;
            let before = cx.f64(grads)?.to_vec();
            let results = op.interpret(cx)?;
            before
                .into_iter()
                .enumerate()
                .for_each(|(i, g)| cx.set(grads, i, g, 0.0));
            Ok(results)
        }),
        ("adamw", "its last parameter forgotten", |op, cx| {
            let last = cx.f64(known::<AdamW>(op).params)?.len() - 1;
            losing(op, cx, |i| i == last)
        }),
    ];
    assert_caught("optimizer", "", &broken);
}
