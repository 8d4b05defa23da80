//! Kernels that take rows with time for something else: caught for every op that works row by row.

use super::{Act, Results, failures, keep};
use crate::backend::Run;
use crate::ir::ops::OP_NAMES;
use crate::ir::{InterpreterContext, Op, Tensor};

/// Ops that work row by row, by family.
const ROW_WISE: [(&str, &[&str]); 7] = [
    ("embedding", &["embedding", "embedding_grad", "embedding_sq_norm"]),
    (
        "linear",
        &[
            "grouped_linear",
            "grouped_linear_grad_input",
            "grouped_linear_grad_params",
            "grouped_linear_sq_norm",
            "ordered_linear",
            "ordered_linear_grad_input",
            "ordered_linear_grad_params",
            "ordered_linear_sq_norm",
        ],
    ),
    ("activation", &["relu", "relu_grad", "dropout"]),
    (
        "softmax",
        &["softmax", "softmax_cross_entropy", "softmax_cross_entropy_grad"],
    ),
    (
        "reduce",
        &[
            "add",
            "sum_groups",
            "broadcast_groups",
            "fill_rows",
            "scale_rows",
            "record_sum",
        ],
    ),
    ("sampling", &["ordered_sample"]),
    ("batch", &["mask_rows"]),
];

/// Ops whose values have the rows of a batch, a single one, or none.
const WITHOUT_TIME: [&str; 4] = ["gather_rows", "column_order", "clip_factor", "adamw"];

/// Ops to which it makes no difference where a row stands: all rows are equal, or they are summed.
const BLIND: [&str; 2] = ["fill_rows", "record_sum"];

/// Ops to which it matters which row of the batch and which time step a row is: by its random numbers, or its length.
const ADDRESSED: [&str; 7] = [
    "mask_rows",
    "dropout",
    "ordered_linear",
    "ordered_linear_grad_input",
    "ordered_linear_grad_params",
    "ordered_linear_sq_norm",
    "ordered_sample",
];

fn extent(run: &Run) -> (usize, usize) {
    (run.rows as usize, run.time as usize)
}

/// Puts row `from(b, t)` of a tensor with time where row `to(b, t)` stood; other tensors stay as they are.
fn moved(run: &Run, tensor: &Tensor, rows: impl Fn(usize, usize) -> (usize, usize)) -> Tensor {
    let (batch, time) = extent(run);
    let mut result = tensor.clone();
    if tensor.rows != batch * time || time < 2 {
        return result;
    }
    for (b, t) in (0..batch).flat_map(|b| (0..time).map(move |t| (b, t))) {
        let (to, from) = rows(b, t);
        for k in 0..tensor.width {
            let i = from * tensor.width + k;
            result.set(to, k, tensor.data[i], tensor.magnitude[i]);
        }
    }
    result
}

/// A time-major tensor in batch-major order.
fn to_batch_major(run: &Run, tensor: &Tensor) -> Tensor {
    let (batch, time) = extent(run);
    moved(run, tensor, |b, t| (b * time + t, t * batch + b))
}

/// A batch-major tensor in time-major order.
fn to_time_major(run: &Run, tensor: &Tensor) -> Tensor {
    let (batch, time) = extent(run);
    moved(run, tensor, |b, t| (t * batch + b, b * time + t))
}

/// Reads rows in time-major order and writes them in batch-major order; an op without results reads its first input in batch-major order.
fn swapped(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    let run = cx.run;
    if !writes_rows(op) {
        cx.inputs[0] = keep(to_batch_major(&run, cx.inputs[0]));
        return op.interpret(cx);
    }
    let results = op.interpret(cx)?;
    Ok(results.iter().map(|y| to_batch_major(&run, y)).collect())
}

fn writes_rows(op: &dyn Op) -> bool {
    !op.accesses().iter().any(|access| access.kind.writes())
}

/// Takes all rows for batch-major ones: only the counters of random numbers tell them apart.
fn batch_major(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    let run = cx.run;
    for input in &mut cx.inputs {
        *input = keep(to_time_major(&run, input));
    }
    let results = op.interpret(cx)?;
    Ok(results.iter().map(|y| to_batch_major(&run, y)).collect())
}

/// Knows the first time step alone.
fn first_step_alone(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    let (batch, time) = extent(&cx.run);
    let cut = |tensor: &Tensor| {
        let mut tensor = tensor.clone();
        if tensor.rows == batch * time && time > 1 {
            tensor.data[batch * tensor.width..].fill(0.0);
        }
        tensor
    };
    if !writes_rows(op) {
        let last = cx.inputs.len() - 1;
        cx.inputs[last] = keep(cut(cx.inputs[last]));
        return op.interpret(cx);
    }
    Ok(op.interpret(cx)?.iter().map(cut).collect())
}

/// Runs the op once for each time step, over slices of its inputs; time step t has the number `number(first, t)`.
fn step_by_step(op: &dyn Op, cx: &mut InterpreterContext<'_>, number: impl Fn(u32, u32) -> u32) -> Results {
    let (run, inputs) = (cx.run, cx.inputs.clone());
    let (batch, time) = extent(&run);
    // A sum over all rows is none over those of one step.
    if time < 2 || BLIND.contains(&op.name()) || !inputs.iter().any(|x| x.rows == batch * time) {
        return op.interpret(cx);
    }
    let mut concatenated: Vec<Tensor> = Vec::new();
    for t in 0..time {
        cx.run = Run {
            time: 1,
            first_time: number(run.first_time, t as u32),
            ..run
        };
        cx.inputs = inputs.iter().map(|x| slice(x, batch, time, t)).collect();
        for (i, part) in op.interpret(cx)?.into_iter().enumerate() {
            match concatenated.get_mut(i) {
                None => concatenated.push(part),
                Some(whole) => {
                    whole.rows += part.rows;
                    whole.data.extend(part.data);
                    whole.magnitude.extend(part.magnitude);
                }
            }
        }
    }
    Ok(concatenated)
}

/// One time step of a value with time, which is a contiguous slice; other values as they are.
fn slice(x: &Tensor, batch: usize, time: usize, t: usize) -> &'static Tensor {
    if x.rows != batch * time {
        return keep(x.clone());
    }
    let range = t * batch * x.width..(t + 1) * batch * x.width;
    keep(Tensor {
        rows: batch,
        width: x.width,
        data: x.data[range.clone()].to_vec(),
        magnitude: x.magnitude[range].to_vec(),
    })
}

fn every_step_as_the_first(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    step_by_step(op, cx, |first, _| first)
}

fn each_step_by_its_number(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    step_by_step(op, cx, |first, t| first + t)
}

fn ops() -> impl Iterator<Item = (&'static str, &'static str)> {
    let of_family = |(family, ops): &(&'static str, &'static [&'static str])| {
        let family = *family;
        ops.iter().map(move |op| (family, *op)).collect::<Vec<_>>()
    };
    ROW_WISE
        .iter()
        .flat_map(of_family)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Asserts that the cases with time catch a broken kernel of each op for which `concerned` is true, and let pass those of the others.
fn assert_caught(what: &str, act: Act, concerned: impl Fn(&str) -> bool) {
    for (family, op) in ops() {
        let found = failures(family, "time length", op, act);
        let expected = concerned(op);
        assert_eq!(!found.is_empty(), expected, "{op} with {what}: {found:?}");
    }
}

#[test]
fn every_op_is_known_to_work_row_by_row_or_not() {
    let mut known: Vec<&str> = ops().map(|(_, op)| op).chain(WITHOUT_TIME).collect();
    let mut all = OP_NAMES.to_vec();
    known.sort_unstable();
    all.sort_unstable();
    assert_eq!(known, all);
}

#[test]
fn batch_and_time_swapped() {
    assert_caught("batch and time swapped", swapped, |op| !BLIND.contains(&op));
}

#[test]
fn time_forgotten() {
    assert_caught("time forgotten", first_step_alone, |_| true);
}

#[test]
fn batch_and_time_swapped_in_addresses() {
    assert_caught("swapped addresses", batch_major, |op| ADDRESSED.contains(&op));
}

#[test]
fn time_forgotten_in_addresses() {
    assert_caught("addresses without time", every_step_as_the_first, |op| {
        ADDRESSED.contains(&op)
    });
}

/// A sequence that is computed step by step has the values of one that is computed at once.
#[test]
fn step_by_step_is_the_same_as_at_once() {
    assert_caught("one step at a time", each_step_by_its_number, |_| false);
}
