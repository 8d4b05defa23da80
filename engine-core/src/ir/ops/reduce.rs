//! Sums over groups and rows, and the broadcasts that are their gradients.

use std::any::Any;

use crate::ir::access::{Access, AccessKind, Extent};
use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::{GradError, Gradient, Op};
use crate::ir::resource::{Resource, ResourceId, ResourceKind};
use crate::ir::shape::{Groups, Rows, Shape, ShapeError, expect_inputs, expect_shape, rows_of};
use crate::ir::tensor::Tensor;

/// Weight of each sample's loss in the objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossWeight {
    /// `1 / (rows * micro_batches)`: the mean over the rows of the loss in all micro-batches of a step.
    Mean {
        /// Micro-batches that are accumulated into one step.
        micro_batches: u32,
    },
    /// 1: per-sample gradients are summed, as clipping needs it.
    Sum,
}

/// `y = a + b`
///
/// a, b `f32[B, W]` -> y `f32[B, W]`.
#[derive(Debug, Clone)]
pub struct Add;

/// `y[b] = sum over k of x[b, k]`
///
/// x `f32[B, W]` -> y `f32[B, 1]`.
#[derive(Debug, Clone)]
pub struct SumGroups;

/// `y[b, k] = x[b]`
///
/// x `f32[B, 1]` -> y `f32[B, width]`.
#[derive(Debug, Clone)]
pub struct BroadcastGroups {
    /// Groups of the output.
    pub groups: Groups,
}

/// `y[b] = weight of a row's loss`
///
/// nothing -> y `f32[B, 1]`.
#[derive(Debug, Clone)]
pub struct FillRows {
    /// 1, or one over rows and micro-batches.
    pub weight: LossWeight,
    /// Rows of the result.
    pub rows: Rows,
}

/// `y[b, k] = factor[b] x[b, k]`
///
/// x `f32[B, W]`, factor `f32[B, 1]` -> y `f32[B, W]`.
#[derive(Debug, Clone)]
pub struct ScaleRows;

/// `trace[step in run] = sum over b of x[b]`
///
/// x `f32[B, 1]` -> nothing; the trace is at least as long as a run.
#[derive(Debug, Clone)]
pub struct RecordSum {
    /// Numbers that receive the sums.
    pub trace: ResourceId,
}

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 2)?;
        let shape = Shape::f32(rows_of(inputs, 0), inputs[0].groups.clone());
        expect_shape(inputs, 0, "a", &shape)?;
        expect_shape(inputs, 1, "b", &shape)?;
        Ok(vec![shape])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (a, b) = (cx.inputs[0], cx.inputs[1]);
        let mut y = a.clone();
        for (i, v) in b.data.iter().enumerate() {
            y.magnitude[i] = y.data[i].abs() + v.abs();
            y.data[i] += v;
        }
        Ok(vec![y])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        let Some(grad) = cx.grad_output(0) else {
            return Ok(());
        };
        cx.accumulate(0, grad)?;
        cx.accumulate(1, grad)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for SumGroups {
    fn name(&self) -> &'static str {
        "sum_groups"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        let rows = rows_of(inputs, 0);
        expect_shape(inputs, 0, "x", &Shape::f32(rows, inputs[0].groups.clone()))?;
        Ok(vec![Shape::f32(rows, Groups::single(1))])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let x = cx.inputs[0];
        let mut y = Tensor::zeros(x.rows, 1);
        for b in 0..x.rows {
            for v in x.row(b) {
                y.add(b, 0, *v);
            }
        }
        Ok(vec![y])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        let Some(grad_output) = cx.grad_output(0) else {
            return Ok(());
        };
        let groups = cx.input_groups(0);
        let grad = cx.emit(BroadcastGroups { groups }, &[grad_output])?[0];
        cx.accumulate(0, grad)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for BroadcastGroups {
    fn name(&self) -> &'static str {
        "broadcast_groups"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        let rows = rows_of(inputs, 0);
        expect_shape(inputs, 0, "x", &Shape::f32(rows, Groups::single(1)))?;
        Ok(vec![Shape::f32(rows, self.groups.clone())])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (x, width) = (cx.inputs[0], self.groups.total());
        let data = x
            .data
            .iter()
            .flat_map(|v| std::iter::repeat_n(*v, width))
            .collect();
        Ok(vec![Tensor::from_data(x.rows, width, data)])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        let Some(grad_output) = cx.grad_output(0) else {
            return Ok(());
        };
        let grad = cx.emit(SumGroups, &[grad_output])?[0];
        cx.accumulate(0, grad)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl FillRows {
    /// The value of each of `rows` rows.
    pub fn value(&self, rows: u32) -> f64 {
        match self.weight {
            LossWeight::Sum => 1.0,
            LossWeight::Mean { micro_batches } => {
                1.0 / (f64::from(rows.max(1)) * f64::from(micro_batches.max(1)))
            }
        }
    }
}

impl Op for FillRows {
    fn name(&self) -> &'static str {
        "fill_rows"
    }

    fn attributes(&self) -> String {
        match self.weight {
            LossWeight::Sum => "1".to_owned(),
            LossWeight::Mean { micro_batches: 1 } => "1 / rows".to_owned(),
            LossWeight::Mean { micro_batches } => format!("1 / (rows * {micro_batches})"),
        }
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 0)?;
        Ok(vec![Shape::f32(self.rows, Groups::single(1))])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let rows = self.rows.count(&cx.run);
        Ok(vec![Tensor::from_data(
            rows,
            1,
            vec![self.value(rows as u32); rows],
        )])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for ScaleRows {
    fn name(&self) -> &'static str {
        "scale_rows"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 2)?;
        let shape = Shape::f32(rows_of(inputs, 0), inputs[0].groups.clone());
        expect_shape(inputs, 0, "x", &shape)?;
        expect_shape(inputs, 1, "factor", &Shape::f32(shape.rows, Groups::single(1)))?;
        Ok(vec![shape])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (x, factor) = (cx.inputs[0], cx.inputs[1]);
        let mut y = Tensor::zeros(x.rows, x.width);
        for b in 0..x.rows {
            for k in 0..x.width {
                y.add(b, k, factor.at(b, 0) * x.at(b, k));
            }
        }
        Ok(vec![y])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for RecordSum {
    fn name(&self) -> &'static str {
        "record_sum"
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        expect_shape(inputs, 0, "x", &Shape::f32(rows_of(inputs, 0), Groups::single(1)))?;
        let resource = &resources[self.trace.index()];
        if resource.kind != ResourceKind::F32 {
            return Err(ShapeError::Resource {
                resource: resource.name.clone(),
                expected: "an f32 buffer",
            });
        }
        Ok(Vec::new())
    }

    fn accesses(&self) -> Vec<Access> {
        let kinds = [AccessKind::Clear, AccessKind::Accumulate];
        kinds
            .map(|kind| Access::new(self.trace, kind, Extent::StepInRun))
            .to_vec()
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let x = cx.inputs[0];
        let (sum, terms) = (x.data.iter().sum(), x.data.iter().map(|v| v.abs()).sum());
        cx.set(self.trace, cx.step_in_run as usize, sum, terms);
        Ok(Vec::new())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
