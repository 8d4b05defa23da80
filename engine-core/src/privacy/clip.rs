//! Per-sample clipping as a Program -> Program transform.

use std::ops::Range;
use std::sync::Arc;

use crate::ir::ops::privacy::ClipFactor;
use crate::ir::ops::reduce::{Add, ScaleRows, SumGroups};
use crate::ir::{Access, Builder, Clipping, Extent, GradError, Node, Program, ResourceId, ValueId};

/// Rewrites a differentiated program (loss weight [`crate::ir::LossWeight::Sum`]) so that the resources into which its ops accumulate
/// receive the sum of per-sample gradients, each clipped to `max_grad_norm` over all parameters together.
///
/// Nothing stores a per-sample gradient: the norms follow from activations and back-propagated signals, which do not depend on
/// the clip factors, so one backward pass suffices. Results are added: `per_sample_sq_norm` and `clip_factor` (both `[B, 1]`), and
/// `per_sample_sq_norm.<i>` with one column per parameter of the i-th gradient op.
///
/// # Errors
/// [`GradError::NoNormRule`] names an op that touches the gradients without a norm rule; [`GradError::OverlappingGradients`] names two
/// ops that accumulate into the same elements.
pub fn clip(program: &Program, max_grad_norm: f64) -> Result<Program, GradError> {
    let gradients = gradient_ops(program)?;
    expect_disjoint(program, &gradients)?;
    let mut builder = Builder::rebuild(program, &format!("{}_clipped", program.name()));
    for (at, node) in program.nodes().iter().enumerate() {
        if !gradients.iter().any(|(other, ..)| *other == at) {
            builder.replay(node)?;
        }
    }
    let mut total: Option<ValueId> = None;
    for (i, (_, node, clipping)) in gradients.iter().enumerate() {
        let by_param = builder.push(Arc::clone(&clipping.norm), &node.inputs)?[0];
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
    for (_, node, clipping) in gradients {
        let mut inputs = node.inputs.clone();
        inputs[clipping.signal] = builder.push_one(ScaleRows, &[inputs[clipping.signal], factor])?;
        builder.push(Arc::clone(&node.op), &inputs)?;
    }
    Ok(builder.finish())
}

/// A node that accumulates gradients, with its place and its norm rule.
type GradientOp<'p> = (usize, &'p Node, Clipping);

/// The nodes that accumulate into resources. No other node may touch these resources: it would see them before they are clipped.
fn gradient_ops(program: &Program) -> Result<Vec<GradientOp<'_>>, GradError> {
    let mut accumulated: Vec<ResourceId> = Vec::new();
    for node in program.nodes() {
        accumulated.extend(Access::added(&node.op.accesses()).map(|a| a.resource));
    }
    let mut gradients = Vec::new();
    for (at, node) in program.nodes().iter().enumerate() {
        let accesses = node.op.accesses();
        if !accesses.iter().any(|a| accumulated.contains(&a.resource)) {
            continue;
        }
        let clipping = node.op.clipping();
        gradients.push((
            at,
            node,
            clipping.ok_or_else(|| GradError::NoNormRule {
                op: node.op.name(),
                program: program.name().to_owned(),
            })?,
        ));
    }
    Ok(gradients)
}

/// Checks that no element gets gradients twice.
fn expect_disjoint(program: &Program, gradients: &[GradientOp<'_>]) -> Result<(), GradError> {
    let mut ranges: Vec<(usize, Range<usize>, usize)> = Vec::new();
    for (at, node, _) in gradients {
        for access in Access::added(&node.op.accesses()) {
            let resource = access.resource.index();
            match &access.extent {
                Extent::Elements(some) => ranges.extend(some.iter().map(|r| (resource, r.clone(), *at))),
                Extent::Whole | Extent::StepInRun => ranges.push((resource, 0..usize::MAX, *at)),
            }
        }
    }
    ranges.sort_unstable_by_key(|(resource, range, at)| (*resource, range.start, *at));
    for pair in ranges.windows(2) {
        let [(resource, before, a), (other, after, b)] = pair else {
            continue;
        };
        // Where none overlaps its follower, none overlaps any other.
        if resource == other && after.start < before.end {
            let name = |at: usize| program.nodes()[at].op.name();
            return Err(GradError::OverlappingGradients {
                first: name(*a.min(b)),
                second: name(*a.max(b)),
                resource: program.resources()[*resource].name.clone(),
                elements: after.start..before.end.min(after.end),
                program: program.name().to_owned(),
            });
        }
    }
    Ok(())
}
