//! Ancestral sampling over a folded model.

use std::any::Any;
use std::sync::Arc;

use super::fold_tables::{Contribution, FoldedModel};
use super::rules::{SamplingRules, draw};
use crate::backend::Run;
use crate::ir::interpret::{InterpretError, Reference};
use crate::ir::op::{Access, Op, ShapeError, expect_inputs, expect_shape};
use crate::ir::program::{Resource, ResourceId, ResourceKind};
use crate::ir::shape::{Groups, Shape};
use crate::ir::tensor::Tensor;
use crate::random::{Purpose, Stream, uniform_f32};

/// A given code of this value means: draw.
pub const GIVEN_NOTHING: u32 = u32::MAX;

/// Which optional inputs an [`OrderedSample`] takes, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleInputs {
    /// `u32[B, S]`: codes that are given rather than drawn, [`GIVEN_NOTHING`] elsewhere.
    pub given: bool,
    /// `f32[B, S]`: the uniform numbers of the draws; without them they come from Philox.
    pub uniforms: bool,
}

/// For each draw, in order: `p = softmax(P relu(hidden) + q)`, `code ~ rules(p)` or as given, then the code's contribution is
/// added to the hidden units of all later draws.
///
/// optional inputs -> codes `u32[B, S]`, and with `report` also the model's probabilities and the weights of the draw, each
/// `f32[B, sum of cardinalities]`. Sub-columns stand in model order. The uniform number of a draw is the first word at (seed,
/// draw, row, sub-column), the row counted globally.
#[derive(Debug, Clone)]
pub struct OrderedSample {
    /// The folded arena.
    pub folded: ResourceId,
    /// Its layout.
    pub model: Arc<FoldedModel>,
    /// Rules of the draw.
    pub rules: Arc<SamplingRules>,
    /// Optional inputs.
    pub inputs: SampleInputs,
    /// Whether probabilities and weights come out as well.
    pub report: bool,
}

impl OrderedSample {
    /// Index of the input with given codes.
    pub fn given_input(&self) -> Option<usize> {
        self.inputs.given.then_some(0)
    }

    /// Index of the input with uniform numbers.
    pub fn uniforms_input(&self) -> Option<usize> {
        self.inputs.uniforms.then_some(usize::from(self.inputs.given))
    }

    /// The random number of a draw that is not supplied; rows are counted globally.
    #[inline]
    pub fn uniform(stream: &Stream, row: u64, sub_column: usize) -> f32 {
        uniform_f32(stream.block((row >> 32) as u32, row as u32, sub_column as u32)[0])
    }

    /// The stream of all draws of a run.
    pub fn stream(run: &Run) -> Stream {
        Stream::new(run.seed, Purpose::Draw, 0)
    }
}

impl Op for OrderedSample {
    fn name(&self) -> &'static str {
        "ordered_sample"
    }

    fn attributes(&self) -> String {
        let rules = self.rules.describe();
        let gap = if rules.is_empty() { "" } else { ", " };
        format!("{} draws{gap}{rules}", self.model.draws.len())
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        let sub_columns = self.model.cardinalities.len();
        expect_inputs(
            inputs,
            usize::from(self.inputs.given) + usize::from(self.inputs.uniforms),
        )?;
        if let Some(i) = self.given_input() {
            expect_shape(inputs, i, "given codes", &Shape::codes(sub_columns))?;
        }
        if let Some(i) = self.uniforms_input() {
            expect_shape(inputs, i, "uniforms", &Shape::batch(Groups::ones(sub_columns)))?;
        }
        let resource = &resources[self.folded.index()];
        if resource.kind != ResourceKind::Numbers {
            return Err(ShapeError::Resource {
                resource: resource.name.clone(),
                expected: "numbers",
            });
        }
        let mut outputs = vec![Shape::codes(sub_columns)];
        if self.report {
            outputs.push(Shape::batch(self.model.cardinalities.clone()));
            outputs.push(Shape::batch(self.model.cardinalities.clone()));
        }
        Ok(outputs)
    }

    fn resources(&self) -> Vec<Access> {
        vec![Access {
            resource: self.folded,
            write: false,
        }]
    }

    fn reference(&self, cx: &mut Reference<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let rows = cx.rows();
        let cards = &self.model.cardinalities;
        let mut codes = Tensor::zeros(rows, cards.len());
        let (mut probs, mut weights) = (
            Tensor::zeros(rows, cards.total()),
            Tensor::zeros(rows, cards.total()),
        );
        for b in 0..rows {
            self.reference_row(cx, b, &mut codes, &mut probs, &mut weights)?;
        }
        let mut outputs = vec![codes];
        if self.report {
            outputs.push(probs);
            outputs.push(weights);
        }
        Ok(outputs)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl OrderedSample {
    fn reference_row(
        &self,
        cx: &Reference<'_>,
        b: usize,
        codes: &mut Tensor,
        probs: &mut Tensor,
        weights: &mut Tensor,
    ) -> Result<(), InterpretError> {
        let (folded, cards) = (cx.numbers(self.folded)?, &self.model.cardinalities);
        let stream = Self::stream(&cx.run);
        let mut hidden = folded[..self.model.hidden].to_vec();
        let mut terms: Vec<f64> = hidden.iter().map(|h| h.abs()).collect();
        for step in &self.model.draws {
            let (s, width) = (step.sub_column, step.hidden.len());
            let units: Vec<f64> = hidden[step.hidden.clone()].iter().map(|h| h.max(0.0)).collect();
            let unit_terms: f64 = terms[step.hidden.clone()].iter().sum();
            let mut largest = 1.0f64;
            let logits: Vec<f64> = (0..step.cardinality)
                .map(|v| {
                    let w = &folded[step.head_weight + v * width..][..width];
                    let heaviest = w.iter().fold(0.0f64, |m, w| m.max(w.abs()));
                    let bias = folded[step.head_bias + v];
                    largest = largest.max(bias.abs() + heaviest * unit_terms);
                    bias + w.iter().zip(&units).map(|(w, u)| w * u).sum::<f64>()
                })
                .collect();
            let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|l| (l - max).exp()).sum();
            let p: Vec<f32> = logits.iter().map(|l| ((l - max).exp() / sum) as f32).collect();
            let mut w = p.clone();
            self.rules.apply(s, &mut w);
            for v in 0..step.cardinality {
                let error_terms = f64::from(p[v]) * 4.0 * (1.0 + largest);
                probs.set(b, cards.offset(s) + v, f64::from(p[v]), error_terms);
                weights.set(b, cards.offset(s) + v, f64::from(w[v]), error_terms);
            }
            let given = self
                .given_input()
                .map(|i| cx.inputs[i].at(b, s) as u32)
                .filter(|c| *c != GIVEN_NOTHING);
            let code = match given {
                Some(_) => cx.code(0, b, s, step.cardinality)?,
                None => {
                    let u = match self.uniforms_input() {
                        Some(i) => cx.inputs[i].at(b, s),
                        None => f64::from(Self::uniform(&stream, cx.run.first_row + b as u64, s)),
                    };
                    draw(&w, u)
                }
            };
            codes.set(b, s, code as f64, 0.0);
            self.contribute(
                folded,
                step.contribution,
                code,
                &mut hidden[step.hidden.end..],
                &mut terms[step.hidden.end..],
            );
        }
        Ok(())
    }

    fn contribute(
        &self,
        folded: &[f64],
        contribution: Contribution,
        code: usize,
        hidden: &mut [f64],
        terms: &mut [f64],
    ) {
        let later = hidden.len();
        let mut add = |offset: usize, factor: f64| {
            for (i, w) in folded[offset..offset + later].iter().enumerate() {
                hidden[i] += factor * w;
                terms[i] += (factor * w).abs();
            }
        };
        match contribution {
            Contribution::Table { offset } => add(offset + code * later, 1.0),
            Contribution::Factored {
                embedding,
                width,
                offset,
            } => {
                (0..width).for_each(|k| add(offset + k * later, folded[embedding + code * width + k]));
                add(offset + width * later, 1.0);
            }
        }
    }
}
