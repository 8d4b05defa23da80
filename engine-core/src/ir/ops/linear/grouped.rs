//! The grouped linear layer: every group has its own weight and bias, or passes through.

use std::any::Any;
use std::sync::Arc;

use super::Layer;
use crate::ir::access::Access;
use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::{Clipping, GradError, Gradient, Op};
use crate::ir::params::ParamView;
use crate::ir::resource::{Resource, ResourceId};
use crate::ir::shape::{Groups, Rows, Shape, ShapeError, expect_inputs, expect_shape, rows_of};
use crate::ir::tensor::Tensor;

/// Widths and layers of a grouped linear op. A group without a layer passes its input through.
#[derive(Debug, Clone)]
pub struct LinearGroups {
    /// Input groups.
    pub input: Groups,
    /// Output groups.
    pub output: Groups,
    /// Layer of each group.
    pub layers: Arc<[Option<Layer>]>,
}

impl LinearGroups {
    fn check(&self, arena: ResourceId, resources: &[Resource]) -> Result<(), ShapeError> {
        let expected = self.layers.len();
        for (role, groups) in [("the input", &self.input), ("the output", &self.output)] {
            if groups.len() != expected {
                return Err(ShapeError::GroupCount {
                    role,
                    expected,
                    got: groups.len(),
                });
            }
        }
        for (g, layer) in self.layers.iter().enumerate() {
            let (outputs, inputs) = (self.output.width(g), self.input.width(g));
            match layer {
                Some(layer) => layer.check(g, outputs, inputs, arena, resources)?,
                None if inputs != outputs => {
                    let (role, expected, got) = ("output of a group that passes through", inputs, outputs);
                    return Err(ShapeError::Width {
                        input: 0,
                        role,
                        expected,
                        got,
                    });
                }
                None => {}
            }
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let layers = self.layers.iter().filter(|l| l.is_some()).count();
        format!("{} -> {}, {layers} layers", self.input, self.output)
    }

    /// Weight and bias of the groups that have them, in order.
    pub fn layers_present(&self) -> impl Iterator<Item = (usize, Layer)> + '_ {
        self.layers
            .iter()
            .enumerate()
            .filter_map(|(g, l)| l.map(|l| (g, l)))
    }

    fn weights(&self) -> impl Iterator<Item = ParamView> + '_ {
        self.layers.iter().flatten().map(|l| l.weight)
    }

    fn params(&self) -> impl Iterator<Item = ParamView> + '_ {
        self.layers.iter().flatten().flat_map(Layer::params)
    }
}

/// `y[:, out_g] = x[:, in_g] W_g^T + b_g`, or `x[:, in_g]` for a group without a layer
///
/// x `f32[B, sum of in_g]` -> y `f32[B, sum of out_g]`; `W_g` is `[out_g, in_g]`, `b_g` is `[out_g]`.
#[derive(Debug, Clone)]
pub struct GroupedLinear {
    /// Arena of weights and biases.
    pub params: ResourceId,
    /// Widths and layers.
    pub groups: LinearGroups,
}

/// `grad_x[:, in_g] = grad_output[:, out_g] W_g`
///
/// grad_output `f32[B, sum of out_g]` -> grad_x `f32[B, sum of in_g]`.
#[derive(Debug, Clone)]
pub struct GroupedLinearGradInput {
    /// Arena of weights.
    pub params: ResourceId,
    /// Widths and layers.
    pub groups: LinearGroups,
}

/// `grads W_g += grad_output[:, out_g]^T x[:, in_g]`, `grads b_g += sum over rows of grad_output[:, out_g]`
///
/// x `f32[B, sum of in_g]`, grad_output `f32[B, sum of out_g]` -> nothing; adds to the arena.
#[derive(Debug, Clone)]
pub struct GroupedLinearGradParams {
    /// Arena of gradients.
    pub grads: ResourceId,
    /// Widths and layers.
    pub groups: LinearGroups,
}

/// `y[b, 2i] = |x[b, in_g]|^2 |grad_output[b, out_g]|^2`, `y[b, 2i + 1] = |grad_output[b, out_g]|^2` for the i-th group with a
/// layer: the gradient of one row used once is an outer product (Goodfellow 2015, "Efficient per-example gradient
/// computations", arXiv 1510.01799). With time it is the norm of one time step, not that of a sample.
///
/// x `f32[B, sum of in_g]`, grad_output `f32[B, sum of out_g]` -> y `f32[B, 2 * layers]`.
#[derive(Debug, Clone)]
pub struct GroupedLinearSqNorm {
    /// Widths and layers.
    pub groups: LinearGroups,
}

impl Op for GroupedLinear {
    fn name(&self) -> &'static str {
        "grouped_linear"
    }

    fn attributes(&self) -> String {
        self.groups.describe()
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        let rows = rows_of(inputs, 0);
        expect_shape(inputs, 0, "x", &Shape::f32(rows, self.groups.input.clone()))?;
        self.groups.check(self.params, resources)?;
        Ok(vec![Shape::f32(rows, self.groups.output.clone())])
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::reads_params(self.params, self.groups.params())]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (params, x) = (cx.f64(self.params)?, cx.inputs[0]);
        let LinearGroups {
            input,
            output,
            layers,
        } = &self.groups;
        let mut y = Tensor::zeros(x.rows, output.total());
        for b in 0..x.rows {
            for (g, layer) in layers.iter().enumerate() {
                let Some(Layer { weight, bias }) = layer else {
                    for k in 0..input.width(g) {
                        y.add(b, output.offset(g) + k, x.at(b, input.offset(g) + k));
                    }
                    continue;
                };
                for n in 0..weight.rows {
                    let column = output.offset(g) + n;
                    y.add(b, column, params[bias.offset + n]);
                    for k in 0..weight.columns {
                        let w = params[weight.offset + n * weight.columns + k];
                        y.add(b, column, w * x.at(b, input.offset(g) + k));
                    }
                }
            }
        }
        Ok(vec![y])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        let Some(grad_output) = cx.grad_output(0) else {
            return Ok(());
        };
        let x = cx.input(0);
        let groups = self.groups.clone();
        let grad_x = cx.emit(
            GroupedLinearGradInput {
                params: self.params,
                groups,
            },
            &[grad_output],
        )?[0];
        cx.accumulate(0, grad_x)?;
        let (grads, groups) = (cx.grads_of(self.params)?, self.groups.clone());
        cx.emit(GroupedLinearGradParams { grads, groups }, &[x, grad_output])?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for GroupedLinearGradInput {
    fn name(&self) -> &'static str {
        "grouped_linear_grad_input"
    }

    fn attributes(&self) -> String {
        self.groups.describe()
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 1)?;
        let rows = rows_of(inputs, 0);
        let grad_output = Shape::f32(rows, self.groups.output.clone());
        expect_shape(inputs, 0, "grad_output", &grad_output)?;
        self.groups.check(self.params, resources)?;
        Ok(vec![Shape::f32(rows, self.groups.input.clone())])
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::reads_params(self.params, self.groups.weights())]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (params, grad_output) = (cx.f64(self.params)?, cx.inputs[0]);
        let LinearGroups {
            input,
            output,
            layers,
        } = &self.groups;
        let mut grad_x = Tensor::zeros(grad_output.rows, input.total());
        for b in 0..grad_output.rows {
            for (g, layer) in layers.iter().enumerate() {
                for k in 0..input.width(g) {
                    let column = input.offset(g) + k;
                    let Some(Layer { weight, .. }) = layer else {
                        grad_x.add(b, column, grad_output.at(b, output.offset(g) + k));
                        continue;
                    };
                    for n in 0..weight.rows {
                        let w = params[weight.offset + n * weight.columns + k];
                        grad_x.add(b, column, w * grad_output.at(b, output.offset(g) + n));
                    }
                }
            }
        }
        Ok(vec![grad_x])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Checks input and incoming gradient; returns their rows.
fn expect_pair(groups: &LinearGroups, inputs: &[Shape]) -> Result<Rows, ShapeError> {
    expect_inputs(inputs, 2)?;
    let rows = rows_of(inputs, 0);
    expect_shape(inputs, 0, "x", &Shape::f32(rows, groups.input.clone()))?;
    expect_shape(inputs, 1, "grad_output", &Shape::f32(rows, groups.output.clone()))?;
    Ok(rows)
}

impl Op for GroupedLinearGradParams {
    fn name(&self) -> &'static str {
        "grouped_linear_grad_params"
    }

    fn attributes(&self) -> String {
        self.groups.describe()
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_pair(&self.groups, inputs)?;
        self.groups.check(self.grads, resources)?;
        Ok(Vec::new())
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::accumulates(self.grads, self.groups.params())]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (x, grad_output) = (cx.inputs[0], cx.inputs[1]);
        let LinearGroups { input, output, .. } = &self.groups;
        for b in 0..x.rows {
            for (g, Layer { weight, bias }) in self.groups.layers_present() {
                for n in 0..weight.rows {
                    let d = grad_output.at(b, output.offset(g) + n);
                    cx.add(self.grads, bias.offset + n, d);
                    for k in 0..weight.columns {
                        let term = d * x.at(b, input.offset(g) + k);
                        cx.add(self.grads, weight.offset + n * weight.columns + k, term);
                    }
                }
            }
        }
        Ok(Vec::new())
    }

    fn clipping(&self) -> Option<Clipping> {
        let norm = GroupedLinearSqNorm {
            groups: self.groups.clone(),
        };
        Some(Clipping {
            norm: Arc::new(norm),
            signal: 1,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for GroupedLinearSqNorm {
    fn name(&self) -> &'static str {
        "grouped_linear_sq_norm"
    }

    fn attributes(&self) -> String {
        self.groups.describe()
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        let rows = expect_pair(&self.groups, inputs)?;
        let columns = Groups::ones(2 * self.groups.layers_present().count());
        Ok(vec![Shape::f32(rows, columns)])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let (x, grad_output) = (cx.inputs[0], cx.inputs[1]);
        let mut y = Tensor::zeros(x.rows, 2 * self.groups.layers_present().count());
        for b in 0..x.rows {
            for (i, (g, _)) in self.groups.layers_present().enumerate() {
                let squares = |t: &Tensor, groups: &Groups| -> f64 {
                    groups.range(g).map(|k| t.at(b, k).powi(2)).sum()
                };
                let (xx, dd) = (
                    squares(x, &self.groups.input),
                    squares(grad_output, &self.groups.output),
                );
                y.add(b, 2 * i, xx * dd);
                y.add(b, 2 * i + 1, dd);
            }
        }
        Ok(vec![y])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
