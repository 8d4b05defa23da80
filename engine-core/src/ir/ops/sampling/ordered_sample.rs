//! Ancestral sampling over a folded model.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use super::cell::Cell;
use super::folded::{Contribution, FoldedModel, FoldedSubColumn};
use super::rules::{SamplingRules, draw};
use crate::ir::access::Access;
use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::Op;
use crate::ir::resource::{Resource, ResourceId, ResourceKind};
use crate::ir::run::Run;
use crate::ir::shape::{Groups, Rows, Shape, ShapeError, expect_inputs, expect_shape, rows_of};
use crate::ir::tensor::Tensor;
use crate::random::{Purpose, Stream, uniform_f32};

/// Which optional inputs an [`OrderedSample`] takes, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleInputs {
    /// `u32[B, S]`: the state of each cell, as [`Cell::to_bits`]; without them every cell is drawn.
    pub cells: bool,
    /// `f32[B, S]`: the uniform numbers of the draws; without them they come from Philox.
    pub uniforms: bool,
}

/// Which optional results an [`OrderedSample`] has besides the codes, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestedOutputs {
    /// Sub-columns whose probabilities by the model are returned, side by side, `f32[B, sum of their cardinalities]`. Of sub-columns
    /// that are not drawn there are none: their columns are zero.
    pub probs: Vec<usize>,
    /// Sub-columns whose weights of the draw are returned, likewise; not normalised.
    pub weights: Vec<usize>,
    /// `f32[B, S]`: logarithms of the model's probabilities of the codes that are drawn or teacher-forced; 0 for all other
    /// cells.
    pub log_probs: bool,
}

impl RequestedOutputs {
    /// Probabilities and weights of all of `sub_columns` sub-columns, and the logarithms.
    pub fn all(sub_columns: usize) -> Self {
        Self {
            probs: (0..sub_columns).collect(),
            weights: (0..sub_columns).collect(),
            log_probs: true,
        }
    }

    /// Names of the results in their order, codes first.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = vec!["codes"];
        names.extend((!self.probs.is_empty()).then_some("probs"));
        names.extend((!self.weights.is_empty()).then_some("weights"));
        names.extend(self.log_probs.then_some("log_probs"));
        names
    }
}

/// The codes of observed cells are looked up in the folded tables first. Then for each draw, in order: `p = softmax(P relu(hidden) +
/// q)`, `code ~ rules(p)` or as teacher-forced, and the code's contribution is added to the hidden units of all later draws. Sub-columns
/// that are not among the draws are conditioned on where they are observed; their other codes are passed through (0 where there is none).
///
/// optional inputs -> codes `u32[B, S]` and the results of [`RequestedOutputs`]. Sub-columns are in model order. The uniform number of a
/// draw is the first word at (seed, draw, row, time step, sub-column), the row counted globally. Without inputs there is one row per
/// row of the batch.
#[derive(Debug, Clone)]
pub struct OrderedSample {
    /// The folded arena.
    pub folded: ResourceId,
    /// Its layout.
    pub model: Arc<FoldedModel>,
    /// Sub-columns in the order of the draws; siblings ascending.
    pub draws: Arc<[usize]>,
    /// Rules of the draw.
    pub rules: Arc<SamplingRules>,
    /// Optional inputs.
    pub inputs: SampleInputs,
    /// Optional results.
    pub requested: RequestedOutputs,
}

impl OrderedSample {
    /// Index of the input with the states of the cells.
    pub fn cells_input(&self) -> Option<usize> {
        self.inputs.cells.then_some(0)
    }

    /// The hidden units that the draws from number `from` on need: from the first to the last of them.
    pub fn span(&self, from: usize) -> Range<usize> {
        let ranges = self.draws[from..]
            .iter()
            .map(|s| &self.model.sub_columns[*s].hidden);
        let joined = ranges.fold(None, |span: Option<Range<usize>>, r| match span {
            Some(span) => Some(span.start.min(r.start)..span.end.max(r.end)),
            None => Some(r.clone()),
        });
        joined.unwrap_or(0..0)
    }

    /// Index of the input with uniform numbers.
    pub fn uniforms_input(&self) -> Option<usize> {
        self.inputs.uniforms.then_some(usize::from(self.inputs.cells))
    }

    /// The random number of a draw that is not supplied; rows are counted globally, time steps from the first of the sequence.
    #[inline]
    pub fn uniform(stream: &Stream, row: u64, time: u32, sub_column: usize) -> f32 {
        uniform_f32(stream.block_at((row >> 32) as u32, row as u32, time, sub_column as u32)[0])
    }

    /// The random number of a draw in row `row` of the result.
    pub fn uniform_of(run: &Run, row: usize, sub_column: usize) -> f32 {
        let place = run.place(row);
        Self::uniform(
            &Self::stream(run),
            run.global_row(place.batch_row),
            place.time,
            sub_column,
        )
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
        format!("{} draws{gap}{rules}", self.draws.len())
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        let sub_columns = self.model.cardinalities.len();
        expect_inputs(
            inputs,
            usize::from(self.inputs.cells) + usize::from(self.inputs.uniforms),
        )?;
        let rows = rows_of(inputs, 0);
        if let Some(i) = self.cells_input() {
            expect_shape(inputs, i, "cells", &Shape::u32(rows, sub_columns))?;
        }
        if let Some(i) = self.uniforms_input() {
            expect_shape(
                inputs,
                i,
                "uniforms",
                &Shape::f32(rows, Groups::ones(sub_columns)),
            )?;
        }
        let resource = &resources[self.folded.index()];
        if resource.kind != ResourceKind::F32 {
            return Err(ShapeError::Resource {
                resource: resource.name.clone(),
                expected: "an f32 buffer",
            });
        }
        let mut outputs = vec![Shape::u32(rows, sub_columns)];
        for columns in [&self.requested.probs, &self.requested.weights] {
            if !columns.is_empty() {
                outputs.push(Shape::f32(rows, self.requested_groups(columns)));
            }
        }
        if self.requested.log_probs {
            outputs.push(Shape::f32(rows, Groups::ones(sub_columns)));
        }
        Ok(outputs)
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::reads(self.folded)]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let count = self.model.cardinalities.len();
        let rows = cx.inputs.first().map_or(Rows::Batch.count(&cx.run), |x| x.rows);
        let groups = [&self.requested.probs, &self.requested.weights].map(|r| self.requested_groups(r));
        let mut out = Results {
            codes: Tensor::zeros(rows, count),
            probs: Tensor::zeros(rows, groups[0].total()),
            weights: Tensor::zeros(rows, groups[1].total()),
            log_probs: Tensor::zeros(rows, count),
        };
        for b in 0..rows {
            self.interpret_row(cx, b, &groups, &mut out)?;
        }
        let mut outputs = vec![out.codes];
        outputs.extend((!self.requested.probs.is_empty()).then_some(out.probs));
        outputs.extend((!self.requested.weights.is_empty()).then_some(out.weights));
        outputs.extend(self.requested.log_probs.then_some(out.log_probs));
        Ok(outputs)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The results of the interpreter.
struct Results {
    codes: Tensor,
    probs: Tensor,
    weights: Tensor,
    log_probs: Tensor,
}

/// Hidden units of one row with the sums of their absolute terms.
struct Hidden {
    units: Vec<f64>,
    terms: Vec<f64>,
}

impl Hidden {
    /// Adds what a code contributes.
    fn contribute(&mut self, folded: &[f64], contribution: Contribution, code: usize) {
        let count = self.units.len();
        let mut add = |offset: usize, factor: f64| {
            for (i, w) in folded[offset..offset + count].iter().enumerate() {
                self.units[i] += factor * w;
                self.terms[i] += (factor * w).abs();
            }
        };
        match contribution {
            Contribution::Table { offset } => add(offset + code * count, 1.0),
            Contribution::Factored {
                embedding,
                width,
                offset,
            } => {
                (0..width).for_each(|k| add(offset + k * count, folded[embedding + code * width + k]));
                add(offset + width * count, 1.0);
            }
        }
    }

    /// Logarithms of the probabilities of a sub-column, and the absolute terms behind them.
    fn log_probs(&self, folded: &[f64], sub: &FoldedSubColumn) -> (Vec<f64>, f64) {
        let width = sub.hidden.len();
        let units: Vec<f64> = self.units[sub.hidden.clone()]
            .iter()
            .map(|h| h.max(0.0))
            .collect();
        let unit_terms: f64 = self.terms[sub.hidden.clone()].iter().sum();
        let mut largest = 1.0f64;
        let logits: Vec<f64> = (0..sub.cardinality)
            .map(|v| {
                let w = &folded[sub.head_weight + v * width..][..width];
                let heaviest = w.iter().fold(0.0f64, |m, w| m.max(w.abs()));
                let bias = folded[sub.head_bias + v];
                largest = largest.max(bias.abs() + heaviest * unit_terms);
                bias + w.iter().zip(&units).map(|(w, u)| w * u).sum::<f64>()
            })
            .collect();
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let log_sum = max + logits.iter().map(|l| (l - max).exp()).sum::<f64>().ln();
        (
            logits.iter().map(|l| l - log_sum).collect(),
            4.0 * (1.0 + largest),
        )
    }
}

impl OrderedSample {
    /// Groups of the sub-columns whose probabilities or weights are requested.
    pub fn requested_groups(&self, sub_columns: &[usize]) -> Groups {
        Groups::from_widths(sub_columns.iter().map(|s| self.model.cardinalities.width(*s)))
    }

    fn interpret_row(
        &self,
        cx: &InterpreterContext<'_>,
        b: usize,
        groups: &[Groups; 2],
        out: &mut Results,
    ) -> Result<(), InterpretError> {
        let (folded, subs) = (cx.f64(self.folded)?, &self.model.sub_columns);
        let units = folded[..self.model.hidden].to_vec();
        let terms = units.iter().map(|h| h.abs()).collect();
        let mut hidden = Hidden { units, terms };
        let cells = self.checked_cells(cx, b)?;
        for (s, cell) in cells.iter().enumerate() {
            if let Cell::TeacherForced(code) | Cell::Observed(code) = cell {
                out.codes.set(b, s, f64::from(*code), 0.0);
            }
            if let Cell::Observed(code) = cell {
                hidden.contribute(folded, subs[s].contribution, *code as usize);
            }
        }
        for s in self.draws.iter().copied() {
            let (log_probs, terms) = hidden.log_probs(folded, &subs[s]);
            let probs: Vec<f32> = log_probs.iter().map(|l| l.exp() as f32).collect();
            let mut weights = probs.clone();
            self.rules.balance(s, &mut weights, |s| out.codes.at(b, s) as u32);
            self.rules.apply(s, &mut weights);
            let results = [
                (&self.requested.probs, &probs),
                (&self.requested.weights, &weights),
            ];
            let tensors = [&mut out.probs, &mut out.weights];
            for (i, ((subs, values), tensor)) in results.into_iter().zip(tensors).enumerate() {
                let Some(place) = subs.iter().position(|r| *r == s) else {
                    continue;
                };
                for (v, value) in values.iter().enumerate() {
                    let error_terms = f64::from(probs[v]) * terms;
                    tensor.set(b, groups[i].offset(place) + v, f64::from(*value), error_terms);
                }
            }
            let code = match cells[s] {
                Cell::Observed(_) | Cell::Masked => continue,
                Cell::TeacherForced(code) => code as usize,
                Cell::Sampled => {
                    let uniform = match self.uniforms_input() {
                        Some(i) => cx.inputs[i].at(b, s),
                        None => f64::from(Self::uniform_of(&cx.run, b, s)),
                    };
                    draw(&weights, uniform)
                }
            };
            out.codes.set(b, s, code as f64, 0.0);
            out.log_probs.set(b, s, log_probs[code], terms);
            hidden.contribute(folded, subs[s].contribution, code);
        }
        Ok(())
    }

    /// The cells of a row, their codes checked.
    fn checked_cells(&self, cx: &InterpreterContext<'_>, b: usize) -> Result<Vec<Cell>, InterpretError> {
        let cards = &self.model.cardinalities;
        let Some(input) = self.cells_input() else {
            return Ok(vec![Cell::Sampled; cards.len()]);
        };
        let cell = |s: usize| match Cell::from_bits(cx.inputs[input].at(b, s) as u32) {
            Cell::TeacherForced(code) | Cell::Observed(code) if code as usize >= cards.width(s) => {
                Err(InterpretError::CodeOutOfRange {
                    op: "ordered_sample",
                    sub_column: s,
                    code: code as usize,
                    cardinality: cards.width(s),
                })
            }
            cell => Ok(cell),
        };
        (0..cards.len()).map(cell).collect()
    }
}
