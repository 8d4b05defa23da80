//! Broken sampling.

use std::sync::Arc;

use super::{Act, Results, assert_caught, keep, known, losing, map, with_resource};
use crate::ir::ops::sampling::{Cell, Contribution, OrderedSample, SampleInputs, SamplingRules};
use crate::ir::{InterpreterContext, Op};

/// The op under other rules.
fn ruled(op: &dyn Op, cx: &mut InterpreterContext<'_>, change: impl Fn(&mut SamplingRules)) -> Results {
    let mut op = known::<OrderedSample>(op).clone();
    let mut rules = SamplingRules::clone(&op.rules);
    change(&mut rules);
    op.rules = Arc::new(rules);
    op.interpret(cx)
}

/// The op with fewer inputs than it is given.
fn with_inputs(op: &dyn Op, cx: &mut InterpreterContext<'_>, inputs: SampleInputs) -> Results {
    let op = known::<OrderedSample>(op);
    let mut changed = op.clone();
    // Rows with time are known by an input alone.
    let is_kept = op.inputs.cells && inputs.cells || op.inputs.uniforms && inputs.uniforms;
    if cx.run.time > 1 && !is_kept {
        return op.interpret(cx);
    }
    if op.inputs.cells && !inputs.cells {
        cx.inputs.remove(0);
    }
    if op.inputs.uniforms && !inputs.uniforms {
        cx.inputs.pop();
    }
    changed.inputs = SampleInputs {
        cells: op.inputs.cells && inputs.cells,
        uniforms: op.inputs.uniforms && inputs.uniforms,
    };
    changed.interpret(cx)
}

/// Draws as if some elements of the folded arena were zero.
fn without(op: &dyn Op, cx: &mut InterpreterContext<'_>, lost: impl Fn(usize) -> bool) -> Results {
    with_resource(op, cx, |i, x| if lost(i) { 0.0 } else { x })
}

#[test]
fn drawing() {
    let broken: [(&'static str, &str, Act); 6] = [
        ("ordered_sample", "the temperature ignored", |op, cx| {
            ruled(op, cx, |r| r.temperature = None)
        }),
        ("ordered_sample", "top-p ignored", |op, cx| {
            ruled(op, cx, |r| r.top_p = None)
        }),
        ("ordered_sample", "fixed codes ignored", |op, cx| {
            ruled(op, cx, |r| r.fixed.clear())
        }),
        ("ordered_sample", "parity ignored", |op, cx| {
            ruled(op, cx, |r| r.parity = None)
        }),
        (
            "ordered_sample",
            "teacher-forced and observed cells ignored",
            |op, cx| {
                with_inputs(
                    op,
                    cx,
                    SampleInputs {
                        cells: false,
                        uniforms: true,
                    },
                )
            },
        ),
        ("ordered_sample", "given uniforms ignored", |op, cx| {
            with_inputs(
                op,
                cx,
                SampleInputs {
                    cells: true,
                    uniforms: false,
                },
            )
        }),
    ];
    assert_caught("sampling", "small", &broken);
}

/// Changes the state of each cell.
fn with_cells(op: &dyn Op, cx: &mut InterpreterContext<'_>, change: impl Fn(Cell) -> Cell) -> Results {
    let sample = known::<OrderedSample>(op);
    if let Some(i) = sample.cells_input() {
        let changed = map(cx.inputs[i], |word| {
            f64::from(change(Cell::from_bits(word as u32)).to_bits())
        });
        cx.inputs[i] = keep(changed);
    }
    op.interpret(cx)
}

#[test]
fn cells_of_all_kinds() {
    let broken: [(&'static str, &str, Act); 6] = [
        (
            "ordered_sample",
            "observed cells conditioned on from their own step only",
            |op, cx| {
                with_cells(op, cx, |cell| match cell {
                    Cell::Observed(code) => Cell::TeacherForced(code),
                    cell => cell,
                })
            },
        ),
        (
            "ordered_sample",
            "teacher-forced cells conditioned on from the start",
            |op, cx| {
                with_cells(op, cx, |cell| match cell {
                    Cell::TeacherForced(code) => Cell::Observed(code),
                    cell => cell,
                })
            },
        ),
        ("ordered_sample", "hidden cells drawn", |op, cx| {
            with_cells(op, cx, |cell| match cell {
                Cell::Masked => Cell::Sampled,
                cell => cell,
            })
        }),
        ("ordered_sample", "draws in model order", |op, cx| {
            let mut op = known::<OrderedSample>(op).clone();
            let mut draws = op.draws.to_vec();
            draws.sort_unstable();
            op.draws = draws.into();
            op.interpret(cx)
        }),
        ("ordered_sample", "logarithms of observed cells", |op, cx| {
            let mut results = op.interpret(cx)?;
            if known::<OrderedSample>(op).requested.log_probs {
                let last = results.len() - 1;
                results[last] = map(&results[last], |l| if l == 0.0 { -1.0 } else { l });
            }
            Ok(results)
        }),
        (
            "ordered_sample",
            "the last requested probability lost",
            |op, cx| {
                let mut results = op.interpret(cx)?;
                if !known::<OrderedSample>(op).requested.probs.is_empty() {
                    let probs = &mut results[1];
                    (0..probs.rows).for_each(|b| probs.set(b, probs.width - 1, 0.0, 0.0));
                }
                Ok(results)
            },
        ),
    ];
    assert_caught("sampling", "mixed columns, small", &broken);
}

#[test]
fn rows_and_folded_models() {
    let broken: [(&'static str, &str, Act); 6] = [
        ("ordered_sample", "rows counted within the batch", |op, cx| {
            cx.run.first_row = 0;
            op.interpret(cx)
        }),
        ("ordered_sample", "the first code in place of a draw", |op, cx| {
            let mut results = op.interpret(cx)?;
            results[0] = map(&results[0], |_| 0.0);
            Ok(results)
        }),
        ("ordered_sample", "uniforms reversed", |op, cx| {
            let sample = known::<OrderedSample>(op);
            if let Some(i) = sample.uniforms_input() {
                cx.inputs[i] = keep(map(cx.inputs[i], |u| 1.0 - u));
            }
            op.interpret(cx)
        }),
        ("ordered_sample", "initial weights forgotten", |op, cx| {
            let hidden = known::<OrderedSample>(op).model.hidden;
            without(op, cx, |i| i < hidden)
        }),
        (
            "ordered_sample",
            "the contribution of the first draw forgotten",
            |op, cx| {
                let sample = known::<OrderedSample>(op);
                let first = sample.model.sub_columns[*sample.draws.first().unwrap_or(&0)].clone();
                let start = match first.contribution {
                    Contribution::Table { offset } | Contribution::Factored { offset, .. } => offset,
                };
                without(op, cx, |i| (start..first.head_weight).contains(&i))
            },
        ),
        (
            "ordered_sample",
            "the bias of the last predictor forgotten",
            |op, cx| {
                let sample = known::<OrderedSample>(op);
                let last = sample.model.sub_columns[*sample.draws.last().unwrap_or(&0)].clone();
                without(op, cx, |i| {
                    (last.head_bias..last.head_bias + last.cardinality).contains(&i)
                })
            },
        ),
    ];
    assert_caught("sampling", "small", &broken);
}

/// `losing` and `with_resource` put back what they took.
#[test]
fn the_tools_leave_a_sound_kernel_sound() {
    let kept = super::failures("embedding", "", "embedding", |op, cx| {
        with_resource(op, cx, |_, x| x)
    });
    assert!(kept.is_empty(), "{kept:?}");
    let kept = super::failures("optimizer", "", "adamw", |op, cx| losing(op, cx, |_| false));
    assert!(kept.is_empty(), "{kept:?}");
}
