//! Cases that draw codes. Backends round differently, so a uniform number near the edge between two codes may fall to either, and from
//! there on the rows differ. Therefore the reference is led along the codes that the backend drew: its probabilities must agree, the
//! weights must be what the rules make of the backend's own probabilities, and each code must cover its uniform number.

use std::sync::Arc;

use super::case::{Case, CaseError, Outcome, expected, reference_buffers, tensors};
use super::compare::{Comparison, Expected, Mismatch, check_draw};
use crate::backend::HostData;
use crate::ir::ops::sampling::{GIVEN_NOTHING, OrderedSample, SamplingRules};
use crate::ir::{Builder, Groups, Interpreter, ResourceKind, Shape, Tensor};

/// Roundings behind a weight: those of the rules' sums and divisions.
const RULE_TERMS: f64 = 8.0;

impl Case {
    pub(super) fn check_draws(&self, op: &OrderedSample, outcome: &Outcome) -> Result<Comparison, CaseError> {
        let (rows, cards) = (self.run.rows as usize, &op.model.cardinalities);
        let codes = self.codes(op, &outcome.outputs[0])?;
        let (probs, weights) = self.led_along(op, codes)?;
        let mut comparison = Comparison::default();
        let mut shares = weights.data;
        if op.report {
            let (got_probs, got_weights) = (&outcome.outputs[1], &outcome.outputs[2]);
            comparison.merge(&expected("probs", &probs).numbers(got_probs)?);
            let HostData::F32(got_probs) = got_probs else {
                return Err(Mismatch::Nothing.into());
            };
            let (data, magnitude) = weights_of(&op.rules, cards, rows, got_probs);
            let ruled = Expected {
                value: "weights",
                width: cards.total(),
                data: &data,
                magnitude: &magnitude,
            };
            comparison.merge(&ruled.numbers(got_weights)?);
            if let HostData::F32(got) = got_weights {
                shares = got.iter().map(|w| f64::from(*w)).collect();
            }
        }
        let last = self.run.single(self.run.steps - 1);
        let stream = OrderedSample::stream(&last);
        for b in 0..rows {
            for s in 0..cards.len() {
                let i = b * cards.len() + s;
                comparison.compared += 1;
                if let Some(given) = self.given(op, i).filter(|c| *c != GIVEN_NOTHING) {
                    same_code(given, codes[i], b, s)?;
                    continue;
                }
                let uniform = match op.uniforms_input().map(|input| &self.inputs[input]) {
                    Some(HostData::F32(uniforms)) => uniforms[i],
                    _ => OrderedSample::uniform(&stream, last.first_row + b as u64, s),
                };
                let row = &shares[b * cards.total()..][cards.range(s)];
                check_draw(row, codes[i], f64::from(uniform), (b, s))?;
            }
        }
        Ok(comparison)
    }

    /// The drawn codes, each below its cardinality.
    fn codes<'a>(&self, op: &OrderedSample, got: &'a HostData) -> Result<&'a [u32], Mismatch> {
        let cards = &op.model.cardinalities;
        let (value, expected) = ("codes".to_owned(), self.run.rows as usize * cards.len());
        let HostData::U32(codes) = got else {
            let expected = "codes";
            return Err(Mismatch::Kind { value, expected });
        };
        if codes.len() != expected {
            let got = codes.len();
            return Err(Mismatch::Length { value, expected, got });
        }
        for (i, code) in codes.iter().enumerate() {
            let (row, column) = (i / cards.len(), i % cards.len());
            let highest = cards.width(column) as u32 - 1;
            if *code > highest {
                return Err(Mismatch::Code {
                    value,
                    row,
                    column,
                    expected: highest,
                    got: *code,
                });
            }
        }
        Ok(codes)
    }

    fn given(&self, op: &OrderedSample, i: usize) -> Option<u32> {
        match &self.inputs[op.given_input()?] {
            HostData::U32(given) => Some(given[i]),
            _ => None,
        }
    }

    /// The reference's probabilities and weights along given codes.
    fn led_along(&self, op: &OrderedSample, codes: &[u32]) -> Result<(Tensor, Tensor), CaseError> {
        let mut builder = Builder::new("led along");
        let folded = builder.resource("folded", ResourceKind::Numbers)?;
        let given = builder.input("given", Shape::codes(op.model.cardinalities.len()))?;
        let mut led = OrderedSample {
            folded,
            report: true,
            ..op.clone()
        };
        led.inputs.given = true;
        led.inputs.uniforms = false;
        let outputs = builder.push(Arc::new(led), &[given])?;
        builder.output("probs", outputs[1])?;
        builder.output("weights", outputs[2])?;
        let program = builder.finish();
        let run = self.run.single(self.run.steps - 1);
        let mut interpreter = Interpreter::new(&program);
        let inputs = tensors(&program, &run, &[HostData::U32(codes.to_vec())]);
        interpreter.run(&run, &mut reference_buffers(&self.resources), &inputs)?;
        match (interpreter.output("probs"), interpreter.output("weights")) {
            (Some(probs), Some(weights)) => Ok((probs.clone(), weights.clone())),
            _ => Err(Mismatch::Nothing.into()),
        }
    }
}

fn same_code(expected: u32, got: u32, row: usize, column: usize) -> Result<(), Mismatch> {
    if expected == got {
        return Ok(());
    }
    Err(Mismatch::Code {
        value: "codes".to_owned(),
        row,
        column,
        expected,
        got,
    })
}

/// What the rules make of probabilities, and the absolute terms of each weight: a temperature divides logarithms, and with them
/// their roundings.
fn weights_of(rules: &SamplingRules, cards: &Groups, rows: usize, probs: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let (mut data, mut magnitude) = (vec![0.0; probs.len()], vec![0.0; probs.len()]);
    let sharpness = rules.temperature.map_or(0.0, |t| 1.0 / f64::from(t).max(1e-3));
    for b in 0..rows {
        for s in 0..cards.len() {
            let range = b * cards.total() + cards.offset(s)..b * cards.total() + cards.range(s).end;
            let mut weights = probs[range.clone()].to_vec();
            rules.apply(s, &mut weights);
            let alive = probs[range.clone()]
                .iter()
                .zip(&weights)
                .filter(|(_, w)| **w > 0.0);
            let logs = alive.map(|(p, _)| f64::from(p.max(f32::MIN_POSITIVE)).ln().abs());
            let terms = RULE_TERMS + 2.0 * sharpness * logs.fold(0.0, f64::max);
            for (i, w) in range.zip(weights) {
                (data[i], magnitude[i]) = (f64::from(w), f64::from(w) * terms);
            }
        }
    }
    (data, magnitude)
}
