//! Broken linear layers.

use super::{
    Act, Results, assert_caught, keep, known, losing, map, overwriting, with_resource, without_last_block,
    without_last_column,
};
use crate::ir::ops::activation::Dropout;
use crate::ir::ops::linear::{
    GroupedLinear, GroupedLinearGradInput, GroupedLinearGradParams, GroupedLinearSqNorm, LinearGroups,
    OrderedLinear, OrderedLinearGradInput, OrderedLinearGradParams, OrderedLinearSqNorm, OrderedSpec,
};
use crate::ir::{InterpreterContext, Op, ParamView, Tensor};

fn last_column(view: &ParamView, i: usize) -> bool {
    view.range().contains(&i) && (i - view.offset) % view.columns == view.columns - 1
}

/// The first two layers of equal shape change places.
fn swapped(groups: &LinearGroups) -> LinearGroups {
    let mut layers = groups.layers.to_vec();
    'search: for a in 0..layers.len() {
        for b in a + 1..layers.len() {
            let (Some(x), Some(y)) = (layers[a], layers[b]) else {
                continue;
            };
            if (x.weight.rows, x.weight.columns) == (y.weight.rows, y.weight.columns) {
                layers.swap(a, b);
                break 'search;
            }
        }
    }
    LinearGroups {
        layers: layers.into(),
        ..groups.clone()
    }
}

#[test]
fn grouped_layers() {
    let broken: [(&'static str, &str, Act); 5] = [
        ("grouped_linear", "its bias skipped", |op, cx| {
            let groups = &known::<GroupedLinear>(op).groups;
            with_resource(op, cx, |i, x| {
                let bias = |(_, l): (usize, crate::ir::ops::linear::Layer)| l.bias.range().contains(&i);
                if groups.layers_present().any(bias) { 0.0 } else { x }
            })
        }),
        (
            "grouped_linear",
            "the last column of each weight dropped",
            |op, cx| {
                let groups = &known::<GroupedLinear>(op).groups;
                with_resource(op, cx, |i, x| {
                    let last = groups.layers_present().any(|(_, l)| last_column(&l.weight, i));
                    if last { 0.0 } else { x }
                })
            },
        ),
        ("grouped_linear", "two groups swapped", |op, cx| {
            let op = known::<GroupedLinear>(op);
            let groups = swapped(&op.groups);
            GroupedLinear { groups, ..op.clone() }.interpret(cx)
        }),
        (
            "grouped_linear",
            "its last block of rows lost",
            without_last_block,
        ),
        ("grouped_linear", "groups without a layer at zero", |op, cx| {
            let groups = &known::<GroupedLinear>(op).groups;
            let mut results = op.interpret(cx)?;
            let passing = (0..groups.layers.len()).filter(|g| groups.layers[*g].is_none());
            for column in passing.flat_map(|g| groups.output.range(g)) {
                (0..results[0].rows).for_each(|b| results[0].set(b, column, 0.0, 0.0));
            }
            Ok(results)
        }),
    ];
    assert_caught("linear", "", &broken);
}

#[test]
fn gradients_of_grouped_layers() {
    let broken: [(&'static str, &str, Act); 8] = [
        (
            "grouped_linear_grad_input",
            "its last column dropped",
            without_last_column,
        ),
        ("grouped_linear_grad_input", "two groups swapped", |op, cx| {
            let op = known::<GroupedLinearGradInput>(op);
            let groups = swapped(&op.groups);
            GroupedLinearGradInput { groups, ..op.clone() }.interpret(cx)
        }),
        (
            "grouped_linear_grad_input",
            "its last block of rows lost",
            without_last_block,
        ),
        ("grouped_linear_grad_params", "gradients overwritten", overwriting),
        (
            "grouped_linear_grad_params",
            "the gradient of a bias skipped",
            |op, cx| {
                let layer = known::<GroupedLinearGradParams>(op)
                    .groups
                    .layers_present()
                    .next();
                losing(op, cx, |i| {
                    layer.is_some_and(|(_, l)| l.bias.range().contains(&i))
                })
            },
        ),
        (
            "grouped_linear_grad_params",
            "the last column of each weight lost",
            |op, cx| {
                let groups = &known::<GroupedLinearGradParams>(op).groups;
                losing(op, cx, |i| {
                    groups.layers_present().any(|(_, l)| last_column(&l.weight, i))
                })
            },
        ),
        (
            "grouped_linear_sq_norm",
            "norms in place of their squares",
            |op, cx| Ok(vec![map(&op.interpret(cx)?[0], f64::sqrt)]),
        ),
        ("grouped_linear_sq_norm", "weight and bias swapped", |op, cx| {
            let y = &op.interpret(cx)?[0];
            assert_eq!(
                y.width,
                2 * known::<GroupedLinearSqNorm>(op).groups.layers_present().count()
            );
            let data = y.data.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
            Ok(vec![Tensor::from_data(y.rows, y.width, data)])
        }),
    ];
    assert_caught("linear", "", &broken);
}

/// The op with another spec.
fn respecified(op: &dyn Op, cx: &mut InterpreterContext<'_>, change: impl Fn(&mut OrderedSpec)) -> Results {
    let any = op.as_any();
    if let Some(op) = any.downcast_ref::<OrderedLinear>() {
        let mut op = op.clone();
        change(&mut op.spec);
        op.interpret(cx)
    } else if let Some(op) = any.downcast_ref::<OrderedLinearGradInput>() {
        let mut op = op.clone();
        change(&mut op.spec);
        op.interpret(cx)
    } else if let Some(op) = any.downcast_ref::<OrderedLinearGradParams>() {
        let mut op = op.clone();
        change(&mut op.spec);
        op.interpret(cx)
    } else {
        let mut op = known::<OrderedLinearSqNorm>(op).clone();
        change(&mut op.spec);
        op.interpret(cx)
    }
}

/// Sees the columns after its own in place of those before.
fn wrong_rank_comparison(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    let last = cx.inputs[2].width as f64 - 1.0;
    cx.inputs[2] = keep(map(cx.inputs[2], |rank| last - rank));
    op.interpret(cx)
}

fn without_dropout(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    respecified(op, cx, |spec| spec.dropout = None)
}

fn site_of_another_dropout(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    respecified(op, cx, |spec| {
        spec.dropout = spec.dropout.map(|d| Dropout {
            site: d.site + 1,
            ..d
        });
    })
}

fn mask_of_the_next_step(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    cx.run.first_step += 1;
    op.interpret(cx)
}

/// The scale of kept units is forgotten: inputs are smaller by it.
fn without_dropout_scale(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    let dropout = known::<OrderedLinear>(op).spec.dropout;
    let scale = dropout.map_or(1.0, |d| f64::from(d.scale()));
    for i in 0..2 {
        cx.inputs[i] = keep(map(cx.inputs[i], |x| x / scale));
    }
    op.interpret(cx)
}

fn blind_to_siblings(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    cx.inputs[1] = keep(map(cx.inputs[1], |_| 0.0));
    op.interpret(cx)
}

#[test]
fn ordered_layers() {
    let broken: [(&'static str, &str, Act); 8] = [
        ("ordered_linear", "a wrong rank comparison", wrong_rank_comparison),
        ("ordered_linear", "dropout forgotten", without_dropout),
        (
            "ordered_linear",
            "the dropout scale forgotten",
            without_dropout_scale,
        ),
        (
            "ordered_linear",
            "the mask of the next step",
            mask_of_the_next_step,
        ),
        (
            "ordered_linear",
            "the mask of another site",
            site_of_another_dropout,
        ),
        ("ordered_linear", "siblings unseen", blind_to_siblings),
        ("ordered_linear", "its bias skipped", |op, cx| {
            let layers = &known::<OrderedLinear>(op).spec.layers;
            with_resource(op, cx, |i, x| {
                if layers.iter().any(|l| l.bias.range().contains(&i)) {
                    0.0
                } else {
                    x
                }
            })
        }),
        (
            "ordered_linear",
            "its last block of rows lost",
            without_last_block,
        ),
    ];
    assert_caught("linear", "", &broken);
}

#[test]
fn gradients_of_ordered_layers() {
    let broken: [(&'static str, &str, Act); 9] = [
        (
            "ordered_linear_grad_input",
            "a wrong rank comparison",
            wrong_rank_comparison,
        ),
        ("ordered_linear_grad_input", "dropout forgotten", without_dropout),
        (
            "ordered_linear_grad_input",
            "the gradient of siblings lost",
            |op, cx| {
                let mut results = op.interpret(cx)?;
                if results.len() == 2 {
                    results[1] = map(&results[1], |_| 0.0);
                }
                Ok(results)
            },
        ),
        ("ordered_linear_grad_params", "gradients overwritten", overwriting),
        (
            "ordered_linear_grad_params",
            "a wrong rank comparison",
            wrong_rank_comparison,
        ),
        (
            "ordered_linear_grad_params",
            "the mask of the next step",
            mask_of_the_next_step,
        ),
        (
            "ordered_linear_sq_norm",
            "a wrong rank comparison",
            wrong_rank_comparison,
        ),
        ("ordered_linear_sq_norm", "dropout forgotten", without_dropout),
        ("ordered_linear_sq_norm", "siblings unseen", blind_to_siblings),
    ];
    assert_caught("linear", "", &broken);
}
