//! Generation with given codes and given random numbers, reporting all probabilities: for tests and golden files.

use std::sync::Arc;

use super::loaded::LoadedModel;
use super::plan::DrawSite;
use super::{Cells, GenerateError};
use crate::argn::Model;
use crate::backend::Backend;
use crate::ir::ops::sampling::{RequestedOutputs, SamplingRules};
use crate::schema::CodeTable;

/// What is given rather than drawn. Matrices are `[rows, sub-columns]`, row-major, sub-columns in model order.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayInputs<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Seed of the draws that have no given number.
    pub seed: u64,
    /// What is observed and teacher-forced.
    pub cells: Option<&'a Cells>,
    /// The uniform numbers of the draws, in [0, 1).
    pub uniforms: Option<&'a [f32]>,
}

/// Drawn codes with what they were drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Given and drawn codes.
    pub codes: CodeTable,
    /// The model's probabilities, `[rows, sum of cardinalities]`.
    pub probs: Vec<f32>,
    /// What the rules have made of them, in the same shape; not normalised.
    pub weights: Vec<f32>,
    /// Logarithms of the model's probabilities of sampled and teacher-forced codes, `[rows, sub-columns]`.
    pub log_probs: Vec<f32>,
}

/// Draws rows in `order` (indices of the model's columns) under `rules`, except where codes are given, and reports the
/// probabilities of every draw.
///
/// # Errors
/// [`GenerateError::ReplayLength`] when a matrix does not fit; other variants as in [`LoadedModel::new`] and
/// [`LoadedModel::plan`].
pub fn replay(
    backend: Arc<dyn Backend>,
    (model, params): (&dyn Model, &[f32]),
    order: &[usize],
    rules: SamplingRules,
    inputs: ReplayInputs<'_>,
) -> Result<Replay, GenerateError> {
    let model = LoadedModel::new(backend, model, params)?;
    let (rows, expected) = (inputs.rows, inputs.rows * model.sub_columns());
    let check = |what: &'static str, got: Option<usize>| match got {
        Some(got) if got != expected => Err(GenerateError::ReplayLength { what, expected, got }),
        _ => Ok(()),
    };
    check("given codes", inputs.cells.map(|c| c.rows() * c.sub_columns()))?;
    check("uniform numbers", inputs.uniforms.map(<[_]>::len))?;
    let plan = model.plan(order, rules, RequestedOutputs::all(model.sub_columns()))?;
    let site = DrawSite {
        seed: inputs.seed,
        first_row: 0,
    };
    let nothing = Cells::sampled(rows, model.sub_columns());
    let cells = inputs.cells.unwrap_or(&nothing);
    let drawn = model.run_batches(&plan, cells, inputs.uniforms, site)?;
    Ok(Replay {
        codes: model.table(&drawn.codes, rows)?,
        probs: drawn.probs,
        weights: drawn.weights,
        log_probs: drawn.log_probs,
    })
}
