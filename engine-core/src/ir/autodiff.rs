//! Reverse-mode differentiation as a Program -> Program transform.

use std::sync::Arc;

use super::op::{GradError, Gradient, Op};
use super::ops::reduce::{Add, FillRows, LossWeight};
use super::program::{Builder, Program, ValueId};

/// Appends the backward pass of result `loss` (one column, one row per sample, and per time step where it has time) to `program`.
///
/// Parameter gradients are *added* to the arena `<params>.grads`; the op that consumes them clears it.
///
/// # Errors
/// [`GradError`] when the loss is missing or depends on an op without a gradient.
pub fn differentiate(program: &Program, loss: &str, weight: LossWeight) -> Result<Program, GradError> {
    let Some(loss_value) = program.output(loss) else {
        return Err(GradError::NoLoss {
            program: program.name().to_owned(),
            loss: loss.to_owned(),
        });
    };
    let rows = program.shape(loss_value).rows;
    let mut builder = Builder::extend(program, &format!("{}_gradient", program.name()));
    let mut grads: Vec<Option<ValueId>> = vec![None; program.value_count()];
    grads[loss_value.index()] = Some(builder.push_one(FillRows { weight, rows }, &[])?);
    let add: Arc<dyn Op> = Arc::new(Add);
    for node in program.nodes().iter().rev() {
        if node.outputs.iter().all(|v| grads[v.index()].is_none()) {
            continue;
        }
        node.op
            .gradient(&mut Gradient::new(&mut builder, node, &mut grads, &add))?;
    }
    Ok(builder.finish())
}
