//! Folding: in evaluation everything up to the relu is linear in one-hot codes, so embedding times weight is a table.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use crate::ir::interpret::{InterpretError, Reference};
use crate::ir::op::{Access, Op, ShapeError, expect_inputs};
use crate::ir::ops::linear::{Layer, LinearGroups, OrderedSpec, writes};
use crate::ir::params::ParamView;
use crate::ir::program::{Resource, ResourceId, ResourceKind};
use crate::ir::shape::{Groups, Shape};
use crate::ir::tensor::Tensor;

/// The layers that are folded, as found in the forward program.
#[derive(Debug, Clone)]
pub struct FoldSource {
    /// Embedding of each sub-column.
    pub tables: Arc<[ParamView]>,
    /// Column compressors, if any.
    pub compressors: Option<LinearGroups>,
    /// First regressor layers.
    pub ordered: OrderedSpec,
    /// Second regressor layers, if any.
    pub second: Option<LinearGroups>,
    /// Predictors.
    pub heads: LinearGroups,
}

/// What a drawn code adds to the hidden units of later draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contribution {
    /// A row of a table `[cardinality, later hidden units]`.
    Table {
        /// First element.
        offset: usize,
    },
    /// An embedding row times a table `[embedding width, later hidden units]`; smaller where the cardinality is large. A row
    /// of constants `[later hidden units]` follows the table.
    Factored {
        /// First element of the embedding `[cardinality, width]`.
        embedding: usize,
        /// Embedding width.
        width: usize,
        /// First element of the table.
        offset: usize,
    },
}

/// One draw of a folded model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedDraw {
    /// The sub-column, in model order.
    pub sub_column: usize,
    /// Number of codes.
    pub cardinality: usize,
    /// Its hidden units, in draw order.
    pub hidden: Range<usize>,
    /// What its code adds to the hidden units `hidden.end..`.
    pub contribution: Contribution,
    /// First element of the predictor's weight `[cardinality, hidden]`.
    pub head_weight: usize,
    /// First element of the predictor's bias.
    pub head_bias: usize,
}

/// Layout of a model folded for one column order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedModel {
    /// Draws, in the order in which they happen.
    pub draws: Vec<FoldedDraw>,
    /// Start values of all hidden units; they begin at element 0.
    pub hidden: usize,
    /// Cardinalities of the sub-columns in model order.
    pub cardinalities: Groups,
    /// Number of elements of the folded arena.
    pub len: usize,
}

impl FoldedModel {
    /// Lays out a model for columns drawn in `order`; a sub-column gets a full table while the tables so far stay below
    /// `table_budget` elements, else a factored one.
    pub fn new(source: &FoldSource, order: &[usize], table_budget: usize) -> Self {
        let column_of = &source.ordered.column_of;
        let drawn = order
            .iter()
            .flat_map(|c| (0..column_of.len()).filter(|s| column_of[*s] == *c));
        let widths = source.heads.input.clone();
        let mut draws = Vec::with_capacity(column_of.len());
        let mut start = 0;
        for s in drawn {
            let hidden = start..start + widths.width(s);
            start = hidden.end;
            let contribution = Contribution::Table { offset: 0 };
            let cardinality = source.tables[s].rows;
            draws.push(FoldedDraw {
                sub_column: s,
                cardinality,
                hidden,
                contribution,
                head_weight: 0,
                head_bias: 0,
            });
        }
        let hidden = start;
        let mut len = hidden;
        let mut tables = 0;
        for draw in &mut draws {
            let (later, table) = (hidden - draw.hidden.end, source.tables[draw.sub_column]);
            let full = draw.cardinality * later;
            let factored = table.len() + (table.columns + 1) * later;
            draw.contribution = if full <= factored || tables + full <= table_budget {
                tables += full;
                Contribution::Table {
                    offset: take(&mut len, full),
                }
            } else {
                let (embedding, width) = (take(&mut len, table.len()), table.columns);
                Contribution::Factored {
                    embedding,
                    width,
                    offset: take(&mut len, (width + 1) * later),
                }
            };
            draw.head_weight = take(&mut len, draw.cardinality * draw.hidden.len());
            draw.head_bias = take(&mut len, draw.cardinality);
        }
        let cardinalities = Groups::from_widths(source.tables.iter().map(|t| t.rows));
        Self {
            draws,
            hidden,
            cardinalities,
            len,
        }
    }
}

fn take(len: &mut usize, count: usize) -> usize {
    let offset = *len;
    *len += count;
    offset
}

/// Computes the folded arena of a model: start values, tables, predictors.
///
/// With `W = W2 W1`, `b = W2 b1 + b2` (or W1, b1 when there is one layer), E the embedding, A and a the compressor of the
/// column: `start_j = b_j`, table of s for a later column's regressor j: `W_j[:, column of s] (A[:, s] E_s[v]) + W_j[:, column] a`
/// (the constant with the column's last sub-column), for a later sibling: `W_j[:, sibling s] E_s[v]`.
///
/// nothing -> nothing; reads the parameters, writes the folded arena.
#[derive(Debug, Clone)]
pub struct FoldTables {
    /// Arena of parameters.
    pub params: ResourceId,
    /// Numbers that receive the folded model.
    pub folded: ResourceId,
    /// What is folded.
    pub source: FoldSource,
    /// Its layout.
    pub model: Arc<FoldedModel>,
}

/// Weight rows of a folded regressor: `[outputs, inputs]` and bias, after joining its one or two layers.
struct Joined {
    weight: Vec<f64>,
    inputs: usize,
    bias: Vec<f64>,
}

impl FoldTables {
    /// The folded arena of the given parameters, in double precision. Backends for which this single pass is not worth a kernel
    /// may call it and store the result.
    pub fn evaluate(&self, params: &[f64]) -> Vec<f64> {
        let mut folded = vec![0.0; self.model.len];
        let joined: Vec<Joined> = (0..self.source.tables.len())
            .map(|s| self.join(params, s))
            .collect();
        for draw in &self.model.draws {
            let own = &joined[draw.sub_column];
            folded[draw.hidden.clone()].copy_from_slice(&own.bias);
            self.head(params, draw, &mut folded);
        }
        for (position, draw) in self.model.draws.iter().enumerate() {
            self.contribution(params, &joined, position, draw, &mut folded);
        }
        folded
    }

    fn join(&self, params: &[f64], s: usize) -> Joined {
        let Layer { weight, bias } = self.source.ordered.layers[s];
        let (w1, b1) = (&params[weight.range()], &params[bias.range()]);
        let Some(second) = self.source.second.as_ref().and_then(|g| g.layers[s]) else {
            return Joined {
                weight: w1.to_vec(),
                inputs: weight.columns,
                bias: b1.to_vec(),
            };
        };
        let w2 = &params[second.weight.range()];
        let mut joined = vec![0.0; second.weight.rows * weight.columns];
        let mut constant = params[second.bias.range()].to_vec();
        for n in 0..second.weight.rows {
            let row = &mut joined[n * weight.columns..(n + 1) * weight.columns];
            for m in 0..weight.rows {
                let w = w2[n * weight.rows + m];
                constant[n] += w * b1[m];
                for (to, from) in row
                    .iter_mut()
                    .zip(&w1[m * weight.columns..(m + 1) * weight.columns])
                {
                    *to += w * from;
                }
            }
        }
        Joined {
            weight: joined,
            inputs: weight.columns,
            bias: constant,
        }
    }

    fn head(&self, params: &[f64], draw: &FoldedDraw, folded: &mut [f64]) {
        if let Some(Layer { weight, bias }) = self.source.heads.layers[draw.sub_column] {
            folded[draw.head_weight..draw.head_weight + weight.len()]
                .copy_from_slice(&params[weight.range()]);
            folded[draw.head_bias..draw.head_bias + bias.len()].copy_from_slice(&params[bias.range()]);
        }
    }

    /// Fills the table of one draw: each later hidden unit is linear in the embedding, so the weights of that linear map are
    /// found first, then applied to each embedding row.
    fn contribution(
        &self,
        params: &[f64],
        joined: &[Joined],
        position: usize,
        draw: &FoldedDraw,
        folded: &mut [f64],
    ) {
        let table = self.source.tables[draw.sub_column];
        let (width, later) = (table.columns, self.model.hidden - draw.hidden.end);
        let mut linear = vec![0.0; (width + 1) * later];
        for next in &self.model.draws[position + 1..] {
            let to = next.hidden.start - draw.hidden.end;
            self.linear_map(
                params,
                &joined[next.sub_column],
                draw.sub_column,
                next.sub_column,
                to,
                later,
                &mut linear,
            );
        }
        let embedding = &params[table.range()];
        match draw.contribution {
            Contribution::Factored {
                embedding: at,
                offset,
                ..
            } => {
                folded[at..at + embedding.len()].copy_from_slice(embedding);
                folded[offset..offset + linear.len()].copy_from_slice(&linear);
            }
            Contribution::Table { offset } => {
                for v in 0..draw.cardinality {
                    let row = &mut folded[offset + v * later..offset + (v + 1) * later];
                    row.copy_from_slice(&linear[width * later..]);
                    for k in 0..width {
                        let e = embedding[v * width + k];
                        for (to, w) in row.iter_mut().zip(&linear[k * later..(k + 1) * later]) {
                            *to += e * w;
                        }
                    }
                }
            }
        }
    }

    /// Adds the map from the embedding of sub-column `s` to the hidden units of `next`; row `k` of `linear` belongs to
    /// embedding feature k, the last row holds constants.
    #[allow(clippy::too_many_arguments)]
    fn linear_map(
        &self,
        params: &[f64],
        regressor: &Joined,
        s: usize,
        next: usize,
        to: usize,
        later: usize,
        linear: &mut [f64],
    ) {
        let OrderedSpec {
            columns,
            sub_columns,
            column_of,
            ..
        } = &self.source.ordered;
        let (c, width) = (column_of[s], self.source.tables[s].columns);
        let first = self.source.ordered.first_sibling(s);
        let within = sub_columns.offset(s) - sub_columns.offset(first);
        let compressor = self.source.compressors.as_ref().and_then(|g| g.layers[c]);
        let is_last = s + 1 == column_of.len() || column_of[s + 1] != c;
        for n in 0..regressor.bias.len() {
            let row = &regressor.weight[n * regressor.inputs..(n + 1) * regressor.inputs];
            let mut add = |k: usize, w: f64| linear[k * later + to + n] += w;
            if column_of[next] == c {
                (0..width).for_each(|k| add(k, row[columns.total() + within + k]));
                continue;
            }
            let block = &row[columns.range(c)];
            let Some(Layer { weight, bias }) = compressor else {
                (0..width).for_each(|k| add(k, block[within + k]));
                continue;
            };
            for (m, w) in block.iter().enumerate() {
                let a = &params[weight.offset + m * weight.columns + within..][..width];
                (0..width).for_each(|k| add(k, w * a[k]));
                if is_last {
                    add(width, w * params[bias.offset + m]);
                }
            }
        }
    }
}

impl Op for FoldTables {
    fn name(&self) -> &'static str {
        "fold_tables"
    }

    fn attributes(&self) -> String {
        format!(
            "{} draws, {} hidden units, {} elements",
            self.model.draws.len(),
            self.model.hidden,
            self.model.len
        )
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        expect_inputs(inputs, 0)?;
        let resource = &resources[self.folded.index()];
        if resource.kind != ResourceKind::Numbers {
            return Err(ShapeError::Resource {
                resource: resource.name.clone(),
                expected: "numbers",
            });
        }
        Ok(Vec::new())
    }

    fn resources(&self) -> Vec<Access> {
        vec![
            Access {
                resource: self.params,
                write: false,
            },
            writes(self.folded),
        ]
    }

    fn reference(&self, cx: &mut Reference<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let params = cx.numbers(self.params)?;
        let folded = self.evaluate(params);
        let magnitudes = self.evaluate(&params.iter().map(|p| p.abs()).collect::<Vec<_>>());
        for (i, (value, terms)) in folded.into_iter().zip(magnitudes).enumerate() {
            cx.set(self.folded, i, value, terms);
        }
        Ok(Vec::new())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
