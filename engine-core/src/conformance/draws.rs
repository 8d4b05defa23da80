//! Cases that draw codes. Backends round differently, so a uniform number near the edge between two codes may fall to either, and from
//! there on the rows differ. Therefore the interpreter is forced to take the codes that the backend drew: its probabilities must agree, the
//! weights must be what the rules make of the backend's own probabilities, and each code must cover its uniform number.

use std::sync::Arc;

use super::case::{Case, CaseError, Outcome, expected, interpreter_buffers, tensors};
use super::compare::{Comparison, Mismatch, check_draw};
use crate::backend::HostData;
use crate::ir::ops::sampling::{Cell, OrderedSample, RequestedOutputs, SampleInputs};
use crate::ir::{Builder, Groups, Interpreter, ResourceKind, Rows, Shape, Tensor};

/// Roundings behind a weight: those of the rules' sums and divisions.
const RULE_TERMS: f64 = 8.0;

impl Case {
    pub(super) fn check_draws(&self, op: &OrderedSample, outcome: &Outcome) -> Result<Comparison, CaseError> {
        let (rows, count) = (self.rows(), op.model.cardinalities.len());
        let codes = self.codes(op, &outcome.outputs[0])?;
        let led = self.led_along(op, codes)?;
        let mut comparison = Comparison::default();
        let names = op.requested.names();
        let output = |name: &str| names.iter().position(|n| *n == name).map(|i| &outcome.outputs[i]);
        let (all, mut weights) = (&op.model.cardinalities, led.weights.data.clone());
        if let Some(got) = output("log_probs") {
            comparison.merge(&expected("log_probs", &led.log_probs).elements(got)?);
        }
        if let Some(got) = output("probs") {
            let want = columns(&led.probs, all, &op.requested.probs);
            comparison.merge(&expected("probs", &want).elements(got)?);
        }
        if let Some(got) = output("weights") {
            // What the rules make of the backend's own probabilities, where it returns them.
            let want = match output("probs").filter(|_| op.requested.probs == op.requested.weights) {
                Some(HostData::F32(probs)) => weights_of(op, codes, rows, probs),
                _ => columns(&led.weights, all, &op.requested.weights),
            };
            comparison.merge(&expected("weights", &want).elements(got)?);
            if let HostData::F32(got) = got {
                scatter(op, got, &mut weights);
            }
        }
        let last = self.run.single(self.run.steps - 1);
        for i in 0..rows * count {
            let (b, s) = (i / count, i % count);
            comparison.compared += 1;
            let drawn = op.draws.contains(&s);
            match self.cell(op, i) {
                Cell::TeacherForced(given) | Cell::Observed(given) => same_code(given, codes[i], b, s)?,
                Cell::Sampled if drawn => {
                    let uniform = match op.uniforms_input().map(|input| &self.inputs[input]) {
                        Some(HostData::F32(uniforms)) => uniforms[i],
                        _ => OrderedSample::uniform_of(&last, b, s),
                    };
                    let row = &weights[b * all.total()..][all.range(s)];
                    check_draw(row, codes[i], f64::from(uniform), (b, s))?;
                }
                Cell::Sampled | Cell::Masked => same_code(0, codes[i], b, s)?,
            }
        }
        Ok(comparison)
    }

    /// Rows of the codes.
    fn symbol(&self) -> Rows {
        let codes = self.program.outputs().first();
        codes.map_or(Rows::Batch, |(_, value)| self.program.shape(*value).rows)
    }

    fn rows(&self) -> usize {
        self.symbol().count(&self.run)
    }

    /// The drawn codes, each below its cardinality.
    fn codes<'a>(&self, op: &OrderedSample, got: &'a HostData) -> Result<&'a [u32], Mismatch> {
        let cards = &op.model.cardinalities;
        let (value, expected) = ("codes".to_owned(), self.rows() * cards.len());
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

    /// The state of cell number `i`, row-major.
    fn cell(&self, op: &OrderedSample, i: usize) -> Cell {
        match op.cells_input().map(|input| &self.inputs[input]) {
            Some(HostData::U32(words)) => Cell::from_bits(words[i]),
            _ => Cell::Sampled,
        }
    }

    /// The interpreter's results where every draw takes the given code (teacher forcing).
    fn led_along(&self, op: &OrderedSample, codes: &[u32]) -> Result<Led, CaseError> {
        let count = op.model.cardinalities.len();
        let mut builder = Builder::new("led along");
        let folded = builder.resource("folded", ResourceKind::F32)?;
        let symbol = self.symbol();
        let cells = builder.input("cells", Shape::u32(symbol, count))?;
        let led = OrderedSample {
            folded,
            requested: RequestedOutputs::all(count),
            inputs: SampleInputs {
                cells: true,
                uniforms: false,
            },
            ..op.clone()
        };
        let names = led.requested.names();
        let outputs = builder.push(Arc::new(led), &[cells])?;
        for (name, value) in names.into_iter().zip(outputs) {
            builder.output(name, value)?;
        }
        let program = builder.finish();
        let run = self.run.single(self.run.steps - 1);
        let mut interpreter = Interpreter::new(&program);
        let word = |(i, code): (usize, &u32)| match self.cell(op, i) {
            Cell::Sampled => Cell::TeacherForced(*code).to_bits(),
            cell => cell.to_bits(),
        };
        let words = codes.iter().enumerate().map(word).collect();
        let inputs = tensors(&program, &run, &[HostData::U32(words)]);
        interpreter.run(&run, &mut interpreter_buffers(&self.resources), &inputs)?;
        let result = |name| interpreter.output(name).cloned().ok_or(Mismatch::Nothing);
        Ok(Led {
            probs: result("probs")?,
            weights: result("weights")?,
            log_probs: result("log_probs")?,
        })
    }
}

/// The interpreter's results along the codes of a backend.
struct Led {
    probs: Tensor,
    weights: Tensor,
    log_probs: Tensor,
}

/// The columns of some sub-columns in a matrix with one column per code.
fn columns(all: &Tensor, cards: &Groups, sub_columns: &[usize]) -> Tensor {
    let width = sub_columns.iter().map(|s| cards.width(*s)).sum();
    let mut some = Tensor::zeros(all.rows, width);
    let from = || sub_columns.iter().flat_map(|s| cards.range(*s));
    for b in 0..all.rows {
        for (to, from) in from().enumerate() {
            let i = b * all.width + from;
            some.set(b, to, all.data[i], all.magnitude[i]);
        }
    }
    some
}

/// Puts requested weights where they stand in a matrix with one column per code.
fn scatter(op: &OrderedSample, got: &[f32], all: &mut [f64]) {
    let cards = &op.model.cardinalities;
    let groups = op.requested_groups(&op.requested.weights);
    for (b, row) in got.chunks_exact(groups.total().max(1)).enumerate() {
        for (place, s) in op.requested.weights.iter().enumerate() {
            let to = &mut all[b * cards.total()..][cards.range(*s)];
            to.iter_mut()
                .zip(&row[groups.range(place)])
                .for_each(|(to, w)| *to = f64::from(*w));
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

/// What the rules make of requested probabilities, and the absolute terms of each weight: a temperature divides logarithms, and with
/// them their roundings.
fn weights_of(op: &OrderedSample, codes: &[u32], rows: usize, probs: &[f32]) -> Tensor {
    let (groups, count) = (
        op.requested_groups(&op.requested.probs),
        op.model.cardinalities.len(),
    );
    let mut tensor = Tensor::zeros(rows, groups.total());
    let sharpness = op.rules.temperature.map_or(0.0, |t| 1.0 / f64::from(t).max(1e-3));
    for b in 0..rows {
        for (place, s) in op.requested.probs.iter().enumerate() {
            if !op.draws.contains(s) {
                continue;
            }
            let row = &probs[b * groups.total()..][groups.range(place)];
            let mut weights = row.to_vec();
            op.rules.balance(*s, &mut weights, |s| codes[b * count + s]);
            op.rules.apply(*s, &mut weights);
            let alive = row.iter().zip(&weights).filter(|(_, w)| **w > 0.0);
            let logs = alive.map(|(p, _)| f64::from(p.max(f32::MIN_POSITIVE)).ln().abs());
            let terms = RULE_TERMS + 2.0 * sharpness * logs.fold(0.0, f64::max);
            for (to, w) in groups.range(place).zip(weights) {
                tensor.set(b, to, f64::from(w), f64::from(w) * terms);
            }
        }
    }
    tensor
}
