//! Activations: relu and dropout.

use std::any::Any;

use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::{GradError, Gradient, Op};
use crate::ir::resource::Resource;
use crate::ir::run::Run;
use crate::ir::shape::{Groups, Shape, ShapeError, expect_inputs, expect_shape, rows_of};
use crate::ir::tensor::Tensor;
use crate::random::{Purpose, SITES_WITH_TIME, Stream};

/// A site where units are dropped. Masks are never stored: whether a unit is kept follows from (seed, site, step, row of the
/// batch, time step, group, position) alone. One Philox block decides 16 positions, a byte each, so the rate is a multiple of 1/256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropout {
    /// A unit is zeroed when its byte is below this.
    pub threshold: u8,
    /// Tells apart the dropouts of a program; below 256.
    pub site: u32,
}

impl Dropout {
    /// Dropout with a rate in `[0, 255/256]`, rounded to a multiple of 1/256; `None` when nothing is dropped.
    pub fn new(rate: f64, site: u32) -> Option<Self> {
        let threshold = (rate.clamp(0.0, 1.0) * 256.0).round().min(255.0) as u8;
        (threshold > 0).then_some(Self { threshold, site })
    }

    /// Chance that a unit is zeroed.
    pub fn rate(&self) -> f64 {
        f64::from(self.threshold) / 256.0
    }

    /// What kept units are multiplied by.
    pub fn scale(&self) -> f32 {
        (1.0 / (1.0 - self.rate())) as f32
    }

    /// The random words of this site.
    pub fn stream(&self, seed: u64) -> Stream {
        Stream::new(seed, Purpose::Dropout, self.site)
    }

    /// Column word of the counter that decides positions `16 * (position / 16) ..` of `group`. Groups stay below 2^18,
    /// positions below 2^18.
    pub fn counter_column(group: usize, position: usize) -> u32 {
        (group as u32) << 14 | (position / 16) as u32
    }

    /// Checks that the site leaves bits for time steps.
    ///
    /// # Errors
    /// [`ShapeError::Site`] when it does not.
    pub(crate) fn check(&self) -> Result<(), ShapeError> {
        if self.site < SITES_WITH_TIME {
            return Ok(());
        }
        let (site, limit) = (self.site, SITES_WITH_TIME);
        Err(ShapeError::Site { site, limit })
    }

    /// 0 or [`Self::scale`] for one unit of a row of a value.
    pub fn factor(&self, run: &Run, row: usize, group: usize, position: usize) -> f64 {
        let (at, column) = (run.place(row), Self::counter_column(group, position));
        let words = self
            .stream(run.seed)
            .block_at(run.first_step, at.batch_row, at.time, column);
        let byte = (words[position % 16 / 4] >> (8 * (position % 4))) as u8;
        if byte < self.threshold {
            0.0
        } else {
            f64::from(self.scale())
        }
    }
}

/// `y = max(x, 0)`; NaN stays NaN, so that a model that diverges does not look like one that learns
///
/// x `f32[B, W]` -> y `f32[B, W]`.
#[derive(Debug, Clone)]
pub struct Relu;

/// `grad_x = grad_output where y > 0, else 0`
///
/// y `f32[B, W]` (the output of [`Relu`]), grad_output `f32[B, W]` -> grad_x `f32[B, W]`.
#[derive(Debug, Clone)]
pub struct ReluGrad;

/// `y[b, k] = m[b, k] x[b, k]`, m being 0 with the dropout rate and `1 / (1 - rate)` otherwise; its own gradient
///
/// x `f32[B, W]` -> y `f32[B, W]`; a position is counted within its group.
#[derive(Debug, Clone)]
pub struct DropoutOp {
    /// Rate and site.
    pub dropout: Dropout,
    /// Groups within which positions are counted.
    pub groups: Groups,
}

fn same_shape(inputs: &[Shape], count: usize) -> Result<Vec<Shape>, ShapeError> {
    expect_inputs(inputs, count)?;
    let shape = Shape::f32(rows_of(inputs, 0), inputs[0].groups.clone());
    for i in 0..count {
        expect_shape(inputs, i, "operand", &shape)?;
    }
    Ok(vec![shape])
}

impl Op for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        same_shape(inputs, 1)
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let x = cx.inputs[0];
        let data = x.data.iter().map(|v| if *v < 0.0 { 0.0 } else { *v }).collect();
        Ok(vec![Tensor::from_data(x.rows, x.width, data)])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        let Some(grad_output) = cx.grad_output(0) else {
            return Ok(());
        };
        let grad_x = cx.emit(ReluGrad, &[cx.output(0), grad_output])?[0];
        cx.accumulate(0, grad_x)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for ReluGrad {
    fn name(&self) -> &'static str {
        "relu_grad"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        same_shape(inputs, 2)
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (y, grad_output) = (cx.inputs[0], cx.inputs[1]);
        let pairs = y.data.iter().zip(&grad_output.data);
        let data = pairs.map(|(y, d)| if *y > 0.0 { *d } else { 0.0 }).collect();
        Ok(vec![Tensor::from_data(y.rows, y.width, data)])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for DropoutOp {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn attributes(&self) -> String {
        format!("rate {}", self.dropout.rate())
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        self.dropout.check()?;
        let shape = Shape::f32(rows_of(inputs, 0), self.groups.clone());
        expect_shape(inputs, 0, "x", &shape)?;
        Ok(vec![shape])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let x = cx.inputs[0];
        let mut y = Tensor::zeros(x.rows, x.width);
        for b in 0..x.rows {
            for g in 0..self.groups.len() {
                for (position, k) in self.groups.range(g).enumerate() {
                    y.add(b, k, x.at(b, k) * self.dropout.factor(&cx.run, b, g, position));
                }
            }
        }
        Ok(vec![y])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        let Some(grad_output) = cx.grad_output(0) else {
            return Ok(());
        };
        let grad_x = cx.emit(self.clone(), &[grad_output])?[0];
        cx.accumulate(0, grad_x)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_units_is_dropped_and_the_mean_is_kept() {
        let dropout = Dropout::new(0.25, 3).expect("a rate above zero");
        assert_eq!((dropout.threshold, dropout.rate()), (64, 0.25));
        let run = Run {
            seed: 5,
            ..Run::evaluate(2000)
        };
        let kept: usize = (0..2000)
            .flat_map(|b| (0..40).map(move |p| (b, p)))
            .filter(|(b, p)| dropout.factor(&run, *b, 2, *p) > 0.0)
            .count();
        let rate = kept as f64 / 80_000.0;
        assert!((rate - 0.75).abs() < 0.01, "{rate} of the units are kept");
        assert!(Dropout::new(0.0, 0).is_none());
    }
}
