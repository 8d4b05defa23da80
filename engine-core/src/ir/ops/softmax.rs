//! Softmax of all sub-columns at once, and its cross-entropy.

use std::any::Any;

use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::{GradError, Gradient, Op};
use crate::ir::resource::Resource;
use crate::ir::shape::{Groups, Shape, ShapeError, expect_inputs, expect_shape, rows_of};
use crate::ir::tensor::Tensor;

/// `probs[b, group s] = exp(logits - max) / sum of exp(logits - max)` within each group
///
/// logits `f32[B, sum of cardinalities]` -> probs `f32[B, sum of cardinalities]`.
#[derive(Debug, Clone)]
pub struct Softmax {
    /// One group per sub-column.
    pub groups: Groups,
}

/// `losses[b, s] = ln sum exp(logits[b, group s]) - logits[b, group s][codes[b, s]]`, probs as [`Softmax`]
///
/// logits `f32[B, sum of cardinalities]`, codes `u32[B, S]` -> losses `f32[B, S]`, probs `f32[B, sum of cardinalities]`.
#[derive(Debug, Clone)]
pub struct SoftmaxCrossEntropy {
    /// One group per sub-column.
    pub groups: Groups,
}

/// `grad_logits[b, s, v] = grad_losses[b, s] (probs[b, s, v] - [v = codes[b, s]])`
///
/// probs `f32[B, sum of cardinalities]`, codes `u32[B, S]`, grad_losses `f32[B, S]` -> grad_logits shaped as probs.
#[derive(Debug, Clone)]
pub struct SoftmaxCrossEntropyGrad {
    /// One group per sub-column.
    pub groups: Groups,
}

/// Softmax of one group: (probabilities, logarithm of the sum of exponentials).
fn softmax(logits: &[f64]) -> (Vec<f64>, f64) {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = logits.iter().map(|l| (l - max).exp()).collect();
    let sum: f64 = exps.iter().sum();
    (exps.iter().map(|e| e / sum).collect(), max + sum.ln())
}

/// Sum of absolute terms behind a probability: the exponent's rounding grows with the size of the logits.
fn probability_terms(logits: &[f64], p: f64) -> f64 {
    let largest = logits.iter().fold(0.0f64, |m, l| m.max(l.abs()));
    p * (2.0 + 2.0 * largest)
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        let shape = Shape::f32(rows_of(inputs, 0), self.groups.clone());
        expect_shape(inputs, 0, "logits", &shape)?;
        Ok(vec![shape])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let logits = cx.inputs[0];
        let mut probs = Tensor::zeros(logits.rows, logits.width);
        for b in 0..logits.rows {
            for s in 0..self.groups.len() {
                let group = &logits.row(b)[self.groups.range(s)];
                let (p, _) = softmax(group);
                for (v, p) in p.into_iter().enumerate() {
                    probs.set(b, self.groups.offset(s) + v, p, probability_terms(group, p));
                }
            }
        }
        Ok(vec![probs])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 2)?;
        let (rows, count) = (rows_of(inputs, 0), self.groups.len());
        let shape = Shape::f32(rows, self.groups.clone());
        expect_shape(inputs, 0, "logits", &shape)?;
        expect_shape(inputs, 1, "codes", &Shape::u32(rows, count))?;
        Ok(vec![Shape::f32(rows, Groups::ones(count)), shape])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let logits = cx.inputs[0];
        let mut losses = Tensor::zeros(logits.rows, self.groups.len());
        let mut probs = Tensor::zeros(logits.rows, logits.width);
        for b in 0..logits.rows {
            for s in 0..self.groups.len() {
                let code = cx.code(1, b, s, self.groups.width(s))?;
                let group = &logits.row(b)[self.groups.range(s)];
                let (p, log_sum) = softmax(group);
                let largest = group.iter().fold(0.0f64, |m, l| m.max(l.abs()));
                losses.set(b, s, log_sum - group[code], 2.0 + 3.0 * largest + log_sum.abs());
                for (v, p) in p.into_iter().enumerate() {
                    probs.set(b, self.groups.offset(s) + v, p, probability_terms(group, p));
                }
            }
        }
        Ok(vec![losses, probs])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        if cx.grad_output(1).is_some() {
            return Err(cx.not_differentiable("softmax_cross_entropy (probabilities)"));
        }
        let Some(grad_losses) = cx.grad_output(0) else {
            return Ok(());
        };
        let op = SoftmaxCrossEntropyGrad {
            groups: self.groups.clone(),
        };
        let grad = cx.emit(op, &[cx.output(1), cx.input(1), grad_losses])?[0];
        cx.accumulate(0, grad)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for SoftmaxCrossEntropyGrad {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy_grad"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 3)?;
        let (rows, count) = (rows_of(inputs, 0), self.groups.len());
        let shape = Shape::f32(rows, self.groups.clone());
        expect_shape(inputs, 0, "probs", &shape)?;
        expect_shape(inputs, 1, "codes", &Shape::u32(rows, count))?;
        expect_shape(inputs, 2, "grad_losses", &Shape::f32(rows, Groups::ones(count)))?;
        Ok(vec![shape])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (probs, grad_losses) = (cx.inputs[0], cx.inputs[2]);
        let mut grad = Tensor::zeros(probs.rows, probs.width);
        for b in 0..probs.rows {
            for s in 0..self.groups.len() {
                let code = cx.code(1, b, s, self.groups.width(s))?;
                let d = grad_losses.at(b, s);
                for (v, column) in self.groups.range(s).enumerate() {
                    grad.add(b, column, d * probs.at(b, column));
                    if v == code {
                        grad.add(b, column, -d);
                    }
                }
            }
        }
        Ok(vec![grad])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
