//! The ordered linear layer: the first layer of all regressors. Sub-column s of column j sees the embeddings of the columns
//! before j in the column order, and of the earlier sub-columns of its own column. The order is data: hidden blocks are
//! skipped, not multiplied by zero.

use std::any::Any;
use std::sync::Arc;

use super::Layer;
use crate::ir::access::Access;
use crate::ir::interpret::{InterpretError, InterpreterContext};
use crate::ir::op::{Clipping, GradError, Gradient, Op};
use crate::ir::ops::activation::Dropout;
use crate::ir::params::ParamView;
use crate::ir::resource::{Resource, ResourceId};
use crate::ir::run::Run;
use crate::ir::shape::{Groups, Rows, Shape, ShapeError, expect_inputs, expect_shape, rows_of};
use crate::ir::tensor::Tensor;

/// Widths, layers and dropout of an ordered linear op.
#[derive(Debug, Clone)]
pub struct OrderedSpec {
    /// Embedding of each column.
    pub columns: Groups,
    /// Embedding of each sub-column; sub-columns of one column follow each other, columns in order.
    pub sub_columns: Groups,
    /// Column of each sub-column, rising.
    pub column_of: Arc<[usize]>,
    /// Output of each sub-column.
    pub output: Groups,
    /// Layer of each sub-column; its inputs are all column embeddings, then the earlier siblings.
    pub layers: Arc<[Layer]>,
    /// Dropout on the visible inputs, an independent mask per sub-column.
    pub dropout: Option<Dropout>,
}

/// Where a visible block of inputs comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockSource {
    /// The column embeddings.
    Columns,
    /// The sub-column embeddings.
    SubColumns,
}

/// A run of visible inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Value it comes from.
    pub source: BlockSource,
    /// First feature in that value.
    pub feature: usize,
    /// First column of the weight that meets it.
    pub weight_column: usize,
    /// Number of inputs.
    pub width: usize,
}

impl OrderedSpec {
    /// First sub-column of the column of `s`.
    pub fn first_sibling(&self, s: usize) -> usize {
        self.column_of.partition_point(|c| *c < self.column_of[s])
    }

    /// Number of inputs of sub-column `s`, hidden ones included.
    pub fn input_width(&self, s: usize) -> usize {
        let first = self.sub_columns.offset(self.first_sibling(s));
        self.columns.total() + self.sub_columns.offset(s) - first
    }

    /// Whether some column has more than one sub-column.
    pub fn has_siblings(&self) -> bool {
        self.column_of.windows(2).any(|w| w[0] == w[1])
    }

    /// The visible inputs of sub-column `s`, in the order of the weight's columns; adjacent ones are merged.
    ///
    /// `ranks[c]` is the position of column c in the column order. Dropout counts positions along these blocks.
    pub fn blocks(&self, s: usize, ranks: &[u32], blocks: &mut Vec<Block>) {
        blocks.clear();
        let own = self.column_of[s];
        for c in 0..self.columns.len() {
            if ranks[c] >= ranks[own] || self.columns.width(c) == 0 {
                continue;
            }
            let (start, width) = (self.columns.offset(c), self.columns.width(c));
            match blocks.last_mut() {
                Some(last) if last.feature + last.width == start => last.width += width,
                _ => blocks.push(Block {
                    source: BlockSource::Columns,
                    feature: start,
                    weight_column: start,
                    width,
                }),
            }
        }
        let first = self.first_sibling(s);
        if first < s {
            let start = self.sub_columns.offset(first);
            blocks.push(Block {
                source: BlockSource::SubColumns,
                feature: start,
                weight_column: self.columns.total(),
                width: self.sub_columns.offset(s) - start,
            });
        }
    }

    fn weights(&self) -> impl Iterator<Item = ParamView> + '_ {
        self.layers.iter().map(|l| l.weight)
    }

    fn params(&self) -> impl Iterator<Item = ParamView> + '_ {
        self.layers.iter().flat_map(Layer::params)
    }

    fn describe(&self) -> String {
        let dropout = self
            .dropout
            .map_or_else(String::new, |d| format!(", dropout {}", d.rate()));
        format!("{} columns -> {}{dropout}", self.columns.len(), self.output)
    }

    fn check(&self, arena: ResourceId, resources: &[Resource]) -> Result<(), ShapeError> {
        let expected = self.column_of.len();
        for (role, got) in [
            ("the output", self.output.len()),
            ("the list of layers", self.layers.len()),
            ("the sub-columns", self.sub_columns.len()),
        ] {
            if got != expected {
                return Err(ShapeError::GroupCount { role, expected, got });
            }
        }
        if let Some(at) = self.column_of.windows(2).position(|w| w[0] > w[1]) {
            return Err(ShapeError::ColumnOrder {
                sub_column: at + 1,
                column: self.column_of[at + 1],
                before: self.column_of[at],
            });
        }
        let last = self.column_of.last().map_or(0, |c| c + 1);
        if last > self.columns.len() {
            let (role, expected) = ("the list of columns of sub-columns", self.columns.len());
            return Err(ShapeError::GroupCount {
                role,
                expected,
                got: last,
            });
        }
        for (s, layer) in self.layers.iter().enumerate() {
            layer.check(s, self.output.width(s), self.input_width(s), arena, resources)?;
        }
        Ok(())
    }

    /// Checks the inputs; returns the rows of all but the ranks.
    fn expect(&self, inputs: &[Shape], with_grad: bool) -> Result<Rows, ShapeError> {
        expect_inputs(inputs, if with_grad { 4 } else { 3 })?;
        let rows = rows_of(inputs, 0);
        let f32 = |groups: &Groups| Shape::f32(rows, groups.clone());
        expect_shape(inputs, 0, "column embeddings", &f32(&self.columns))?;
        expect_shape(inputs, 1, "sub-column embeddings", &f32(&self.sub_columns))?;
        expect_shape(inputs, 2, "ranks", &Shape::ranks(self.columns.len()))?;
        if with_grad {
            expect_shape(inputs, 3, "grad_output", &f32(&self.output))?;
        }
        if let Some(dropout) = &self.dropout {
            dropout.check()?;
        }
        Ok(rows)
    }

    /// Calls `visit(b, s, input, feature, weight column, dropout factor)` for every visible input.
    fn visit(
        &self,
        run: &Run,
        rows: usize,
        ranks: &Tensor,
        mut visit: impl FnMut(usize, usize, BlockSource, usize, usize, f64),
    ) {
        let ranks: Vec<u32> = ranks.data.iter().map(|r| *r as u32).collect();
        let mut blocks = Vec::new();
        for s in 0..self.output.len() {
            self.blocks(s, &ranks, &mut blocks);
            for b in 0..rows {
                let mut position = 0;
                for block in &blocks {
                    for i in 0..block.width {
                        let factor = self.dropout.map_or(1.0, |d| d.factor(run, b, s, position));
                        visit(
                            b,
                            s,
                            block.source,
                            block.feature + i,
                            block.weight_column + i,
                            factor,
                        );
                        position += 1;
                    }
                }
            }
        }
    }
}

fn source<'a>(cx: &InterpreterContext<'a>, source: BlockSource) -> &'a Tensor {
    match source {
        BlockSource::Columns => cx.inputs[0],
        BlockSource::SubColumns => cx.inputs[1],
    }
}

/// `y[b, out_s] = b_s + sum over visible inputs i of m[b, s, i] u[b, i] W_s[:, i]`
///
/// columns `f32[B, sum of column widths]`, sub-columns `f32[B, sum of widths]`, ranks `u32[1, C]` -> y `f32[B, sum of out_s]`;
/// u are the column embeddings followed by the earlier siblings, m the dropout mask scaled by `1 / (1 - rate)`.
#[derive(Debug, Clone)]
pub struct OrderedLinear {
    /// Arena of weights and biases.
    pub params: ResourceId,
    /// Widths, layers, dropout.
    pub spec: OrderedSpec,
}

/// `grad_u[b, i] = sum over s that see i of m[b, s, i] W_s[:, i]^T grad_output[b, out_s]`, for columns and, if any column has
/// several, sub-columns
///
/// inputs as [`OrderedLinear`] and grad_output `f32[B, sum of out_s]` -> one or two values shaped as the first two inputs.
#[derive(Debug, Clone)]
pub struct OrderedLinearGradInput {
    /// Arena of weights.
    pub params: ResourceId,
    /// Widths, layers, dropout.
    pub spec: OrderedSpec,
}

/// `grads W_s[:, i] += sum over b of m[b, s, i] u[b, i] grad_output[b, out_s]` for visible i,
/// `grads b_s += sum over b of grad_output[b, out_s]`
///
/// inputs as [`OrderedLinear`] and grad_output `f32[B, sum of out_s]` -> nothing; adds to the arena.
#[derive(Debug, Clone)]
pub struct OrderedLinearGradParams {
    /// Arena of gradients.
    pub grads: ResourceId,
    /// Widths, layers, dropout.
    pub spec: OrderedSpec,
}

/// `y[b, 2s] = |m u|^2 |grad_output[b, out_s]|^2` over the visible inputs, `y[b, 2s + 1] = |grad_output[b, out_s]|^2`; with time it is
/// the norm of one time step, not that of a sample
///
/// inputs as [`OrderedLinear`] and grad_output `f32[B, sum of out_s]` -> y `f32[B, 2 S]`.
#[derive(Debug, Clone)]
pub struct OrderedLinearSqNorm {
    /// Widths, layers, dropout.
    pub spec: OrderedSpec,
}

impl Op for OrderedLinear {
    fn name(&self) -> &'static str {
        "ordered_linear"
    }

    fn attributes(&self) -> String {
        self.spec.describe()
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        let rows = self.spec.expect(inputs, false)?;
        self.spec.check(self.params, resources)?;
        Ok(vec![Shape::f32(rows, self.spec.output.clone())])
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::reads_params(self.params, self.spec.params())]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let params = cx.f64(self.params)?;
        let OrderedSpec { output, layers, .. } = &self.spec;
        let rows = cx.inputs[0].rows;
        let mut y = Tensor::zeros(rows, output.total());
        for b in 0..rows {
            for (s, layer) in layers.iter().enumerate() {
                for n in 0..layer.bias.rows {
                    y.add(b, output.offset(s) + n, params[layer.bias.offset + n]);
                }
            }
        }
        self.spec.visit(
            &cx.run,
            rows,
            cx.inputs[2],
            |b, s, from, feature, column, factor| {
                let u = source(cx, from).at(b, feature) * factor;
                let weight = &layers[s].weight;
                for n in 0..weight.rows {
                    let w = params[weight.offset + n * weight.columns + column];
                    y.add(b, output.offset(s) + n, w * u);
                }
            },
        );
        Ok(vec![y])
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        let Some(grad_output) = cx.grad_output(0) else {
            return Ok(());
        };
        let inputs = [cx.input(0), cx.input(1), cx.input(2), grad_output];
        let grad_input = OrderedLinearGradInput {
            params: self.params,
            spec: self.spec.clone(),
        };
        for (i, grad) in cx.emit(grad_input, &inputs)?.into_iter().enumerate() {
            cx.accumulate(i, grad)?;
        }
        let grads = cx.grads_of(self.params)?;
        cx.emit(
            OrderedLinearGradParams {
                grads,
                spec: self.spec.clone(),
            },
            &inputs,
        )?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for OrderedLinearGradInput {
    fn name(&self) -> &'static str {
        "ordered_linear_grad_input"
    }

    fn attributes(&self) -> String {
        self.spec.describe()
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        let rows = self.spec.expect(inputs, true)?;
        self.spec.check(self.params, resources)?;
        let mut outputs = vec![Shape::f32(rows, self.spec.columns.clone())];
        if self.spec.has_siblings() {
            outputs.push(Shape::f32(rows, self.spec.sub_columns.clone()));
        }
        Ok(outputs)
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::reads_params(self.params, self.spec.weights())]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let params = cx.f64(self.params)?;
        let OrderedSpec {
            output,
            layers,
            columns,
            sub_columns,
            ..
        } = &self.spec;
        let rows = cx.inputs[0].rows;
        let mut grad_columns = Tensor::zeros(rows, columns.total());
        let mut grad_subs = Tensor::zeros(rows, sub_columns.total());
        self.spec.visit(
            &cx.run,
            rows,
            cx.inputs[2],
            |b, s, from, feature, column, factor| {
                let weight = &layers[s].weight;
                for n in 0..weight.rows {
                    let w = params[weight.offset + n * weight.columns + column];
                    let term = factor * w * cx.inputs[3].at(b, output.offset(s) + n);
                    match from {
                        BlockSource::Columns => grad_columns.add(b, feature, term),
                        BlockSource::SubColumns => grad_subs.add(b, feature, term),
                    }
                }
            },
        );
        let mut outputs = vec![grad_columns];
        if self.spec.has_siblings() {
            outputs.push(grad_subs);
        }
        Ok(outputs)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for OrderedLinearGradParams {
    fn name(&self) -> &'static str {
        "ordered_linear_grad_params"
    }

    fn attributes(&self) -> String {
        self.spec.describe()
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        self.spec.expect(inputs, true)?;
        self.spec.check(self.grads, resources)?;
        Ok(Vec::new())
    }

    fn accesses(&self) -> Vec<Access> {
        vec![Access::accumulates(self.grads, self.spec.params())]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let OrderedSpec { output, layers, .. } = &self.spec;
        let (run, ranks, grad_output) = (cx.run, cx.inputs[2], cx.inputs[3]);
        let rows = grad_output.rows;
        for b in 0..rows {
            for (s, layer) in layers.iter().enumerate() {
                for n in 0..layer.bias.rows {
                    cx.add(
                        self.grads,
                        layer.bias.offset + n,
                        grad_output.at(b, output.offset(s) + n),
                    );
                }
            }
        }
        self.spec
            .visit(&run, rows, ranks, |b, s, from, feature, column, factor| {
                let u = source(cx, from).at(b, feature) * factor;
                let weight = &layers[s].weight;
                for n in 0..weight.rows {
                    let term = u * grad_output.at(b, output.offset(s) + n);
                    cx.add(self.grads, weight.offset + n * weight.columns + column, term);
                }
            });
        Ok(Vec::new())
    }

    fn clipping(&self) -> Option<Clipping> {
        let norm = OrderedLinearSqNorm {
            spec: self.spec.clone(),
        };
        Some(Clipping {
            norm: Arc::new(norm),
            signal: 3,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Op for OrderedLinearSqNorm {
    fn name(&self) -> &'static str {
        "ordered_linear_sq_norm"
    }

    fn attributes(&self) -> String {
        self.spec.describe()
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        let rows = self.spec.expect(inputs, true)?;
        Ok(vec![Shape::f32(rows, Groups::ones(2 * self.spec.output.len()))])
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let output = &self.spec.output;
        let rows = cx.inputs[0].rows;
        let mut u = Tensor::zeros(rows, output.len());
        self.spec
            .visit(&cx.run, rows, cx.inputs[2], |b, s, from, feature, _, factor| {
                u.add(b, s, (source(cx, from).at(b, feature) * factor).powi(2));
            });
        let mut y = Tensor::zeros(rows, 2 * output.len());
        for b in 0..rows {
            for s in 0..output.len() {
                let dd: f64 = output.range(s).map(|n| cx.inputs[3].at(b, n).powi(2)).sum();
                y.add(b, 2 * s, u.at(b, s) * dd);
                y.add(b, 2 * s + 1, dd);
            }
        }
        Ok(vec![y])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
