//! Generation with given codes and given random numbers, reporting all probabilities: for tests and golden files.

use super::GenerateError;
use super::generator::{check_params, fold_on, to_table};
use crate::argn::FlatModel;
use crate::backend::{Backend, Buffer, HostData, Run};
use crate::ir::fold_inference;
use crate::ir::ops::sampling::{GIVEN_NOTHING, SampleInputs, SamplingRules};
use crate::resident::Compiled;
use crate::schema::CodeTable;

/// What is given rather than drawn. Matrices are `[rows, sub-columns]`, row-major, sub-columns in model order.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReplayInputs<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Seed of the draws that have no given number.
    pub seed: u64,
    /// Codes that are given; `None` in a place means that the code is drawn.
    pub given: Option<&'a [Option<u32>]>,
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
}

/// Draws rows in `order` (indices of the model's columns) under `rules`, except where codes are given, and reports the
/// probabilities of every draw.
///
/// # Errors
/// [`GenerateError::ReplayLength`] when a matrix does not fit; other variants as in [`super::Generator::new`].
pub fn replay(
    backend: &dyn Backend,
    (model, params): (&FlatModel, &[f32]),
    order: &[usize],
    rules: SamplingRules,
    inputs: ReplayInputs<'_>,
) -> Result<Replay, GenerateError> {
    check_params(model, params)?;
    let cardinalities: Vec<usize> = model.sub_columns().iter().map(|(_, v)| *v).collect();
    let expected = inputs.rows * cardinalities.len();
    let check = |what: &'static str, got: Option<usize>| match got {
        Some(got) if got != expected => Err(GenerateError::ReplayLength { what, expected, got }),
        _ => Ok(()),
    };
    check("given codes", inputs.given.map(<[_]>::len))?;
    check("uniform numbers", inputs.uniforms.map(<[_]>::len))?;
    let sample_inputs = SampleInputs {
        given: inputs.given.is_some(),
        uniforms: inputs.uniforms.is_some(),
    };
    let folded = fold_inference(&model.forward()?, order, rules, sample_inputs, true)?;
    let mut resident = fold_on(backend, &folded, params)?;
    let mut sample = Compiled::new(backend, &folded.sample, inputs.rows)?;
    let mut bound: Vec<Box<dyn Buffer>> = Vec::new();
    if let Some(given) = inputs.given {
        let codes = given.iter().map(|c| c.unwrap_or(GIVEN_NOTHING));
        bound.push(backend.upload(HostData::U32(codes.collect()))?);
    }
    if let Some(uniforms) = inputs.uniforms {
        bound.push(backend.upload(HostData::F32(uniforms.to_vec()))?);
    }
    let bound: Vec<&dyn Buffer> = bound.iter().map(AsRef::as_ref).collect();
    let run = Run {
        seed: inputs.seed,
        ..Run::evaluate(inputs.rows as u32)
    };
    sample.run(&run, &mut resident, &bound)?;
    Ok(Replay {
        codes: to_table(&sample.codes("codes")?, &cardinalities, inputs.rows)?,
        probs: sample.numbers("probs")?,
        weights: sample.numbers("weights")?,
    })
}
