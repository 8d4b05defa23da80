//! Per-sample clipping as a Program -> Program transform.

use std::sync::Arc;

use crate::ir::ops::privacy::ClipFactor;
use crate::ir::ops::reduce::{Add, ScaleRows, SumGroups};
use crate::ir::{Builder, GradError, Node, Program, ValueId};

/// Rewrites a differentiated program (loss weight [`crate::ir::LossWeight::Sum`]) so that the arena of gradients receives the sum of
/// per-sample gradients, each clipped to `max_grad_norm` over all parameters together.
///
/// Nothing stores a per-sample gradient: the norms follow from activations and back-propagated signals, which do not depend on
/// the clip factors, so one backward pass suffices. Results are added: `per_sample_sq_norm` and `clip_factor` (both `[B, 1]`), and
/// `per_sample_sq_norm.<i>` with one column per parameter of the i-th gradient op.
///
/// # Errors
/// [`GradError::NoNormRule`] names an op that writes gradients without a norm rule.
pub fn clip(program: &Program, max_grad_norm: f64) -> Result<Program, GradError> {
    let mut builder = Builder::rebuild(program, &format!("{}_clipped", program.name()));
    let is_gradient = |node: &Node| {
        let written = node.op.resources().into_iter().filter(|a| a.write);
        written
            .into_iter()
            .any(|a| program.resources()[a.resource.index()].name.ends_with(".grads"))
    };
    let (gradients, others): (Vec<&Node>, Vec<&Node>) = program.nodes().iter().partition(|n| is_gradient(n));
    for node in others {
        builder.replay(node)?;
    }
    let mut total: Option<ValueId> = None;
    for (i, node) in gradients.iter().enumerate() {
        let Some(clipping) = node.op.clipping() else {
            return Err(GradError::NoNormRule {
                op: node.op.name(),
                program: program.name().to_owned(),
            });
        };
        let by_param = builder.push(clipping.norm, &node.inputs)?[0];
        builder.output(&format!("per_sample_sq_norm.{i}"), by_param)?;
        let norm = builder.push_one(SumGroups, &[by_param])?;
        total = Some(match total {
            None => norm,
            Some(sum) => builder.push_one(Add, &[sum, norm])?,
        });
    }
    let Some(total) = total else {
        return Ok(builder.finish());
    };
    let factor = builder.push_one(ClipFactor { max_grad_norm }, &[total])?;
    builder.output("per_sample_sq_norm", total)?;
    builder.output("clip_factor", factor)?;
    for node in gradients {
        if let Some(clipping) = node.op.clipping() {
            let mut inputs = node.inputs.clone();
            inputs[clipping.signal] = builder.push_one(ScaleRows, &[inputs[clipping.signal], factor])?;
            builder.push(Arc::clone(&node.op), &inputs)?;
        }
    }
    Ok(builder.finish())
}
