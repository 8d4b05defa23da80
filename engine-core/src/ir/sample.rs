//! The program that draws rows of a folded model.

use std::sync::Arc;

use super::fold::FoldError;
use super::ops::sampling::{FoldedModel, OrderedSample, RequestedOutputs, SampleInputs, SamplingRules};
use super::program::{Builder, Program};
use super::resource::ResourceKind;
use super::shape::{Groups, Shape};

/// What a program draws, by which rules, and which outputs it has besides the codes.
#[derive(Debug, Clone, Default)]
pub struct SampleSpec {
    /// Sub-columns in the order of the draws; siblings ascending.
    pub draws: Vec<usize>,
    /// Rules of the draw.
    pub rules: SamplingRules,
    /// Optional inputs, `cells` and `uniforms`.
    pub inputs: SampleInputs,
    /// Optional results, `probs`, `weights` and `log_probs`.
    pub requested: RequestedOutputs,
}

/// The program that draws rows of a folded model. Resource: `folded`. Results: `codes` and the requested outputs.
///
/// # Errors
/// [`FoldError::Draws`] when a sub-column that is drawn or requested does not exist, is drawn twice or before an earlier sibling.
pub fn sample_program(model: &Arc<FoldedModel>, spec: SampleSpec) -> Result<Program, FoldError> {
    check_draws(model, &spec.draws)?;
    check_requested(model, &spec.requested)?;
    let mut builder = Builder::new("sample");
    let folded = builder.resource("folded", ResourceKind::F32)?;
    let sub_columns = model.cardinalities.len();
    let mut values = Vec::new();
    if spec.inputs.cells {
        values.push(builder.input("cells", Shape::codes(sub_columns))?);
    }
    if spec.inputs.uniforms {
        values.push(builder.input("uniforms", Shape::batch(Groups::ones(sub_columns)))?);
    }
    let names = spec.requested.names();
    let op = OrderedSample {
        folded,
        model: Arc::clone(model),
        draws: spec.draws.into(),
        rules: Arc::new(spec.rules),
        inputs: spec.inputs,
        requested: spec.requested,
    };
    let outputs = builder.push(Arc::new(op), &values)?;
    for (name, value) in names.into_iter().zip(outputs) {
        builder.output(name, value)?;
    }
    Ok(builder.finish())
}

fn check_draws(model: &FoldedModel, draws: &[usize]) -> Result<(), FoldError> {
    let mut drawn = vec![false; model.sub_columns.len()];
    for s in draws.iter().copied() {
        let sub = model.sub_columns.get(s).filter(|_| !drawn[s]);
        let sub = sub.ok_or(FoldError::Draws { sub_column: s })?;
        let later_sibling =
            (s + 1..drawn.len()).find(|n| drawn[*n] && model.sub_columns[*n].column == sub.column);
        if later_sibling.is_some() {
            return Err(FoldError::Draws { sub_column: s });
        }
        drawn[s] = true;
    }
    Ok(())
}

fn check_requested(model: &FoldedModel, requested: &RequestedOutputs) -> Result<(), FoldError> {
    let mut columns = requested.probs.iter().chain(&requested.weights);
    match columns.find(|s| **s >= model.sub_columns.len()) {
        Some(s) => Err(FoldError::Draws { sub_column: *s }),
        None => Ok(()),
    }
}
