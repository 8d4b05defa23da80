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

/// What a code of a sub-column adds to the hidden units of all others: rows of one number per hidden unit. They are zero for the
/// sub-column itself and for its earlier siblings, which never see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contribution {
    /// A row of a table `[cardinality, hidden units]`.
    Table {
        /// First element.
        offset: usize,
    },
    /// An embedding row times a table `[embedding width, hidden units]`; smaller where the cardinality is large. A row of
    /// constants `[hidden units]` follows the table.
    Factored {
        /// First element of the embedding `[cardinality, width]`.
        embedding: usize,
        /// Embedding width.
        width: usize,
        /// First element of the table.
        offset: usize,
    },
}

/// One sub-column of a folded model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedSubColumn {
    /// The column that it is a part of.
    pub column: usize,
    /// Number of codes.
    pub cardinality: usize,
    /// Its hidden units.
    pub hidden: Range<usize>,
    /// What its code adds to the hidden units.
    pub contribution: Contribution,
    /// First element of the predictor's weight `[cardinality, hidden]`.
    pub head_weight: usize,
    /// First element of the predictor's bias.
    pub head_bias: usize,
}

/// Layout of a folded model. It serves every column order; the hidden units lie in the order in which columns are drawn most of
/// the time, so that what is drawn later lies together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldedModel {
    /// Sub-columns in model order.
    pub sub_columns: Vec<FoldedSubColumn>,
    /// Number of hidden units; their start values begin at element 0.
    pub hidden: usize,
    /// Cardinalities of the sub-columns in model order.
    pub cardinalities: Groups,
    /// Number of elements of the folded arena.
    pub len: usize,
}

impl FoldedModel {
    /// Lays out a model for columns drawn in `layout` (each column once); a sub-column gets a full table while the tables so far
    /// stay below `table_budget` elements, else a factored one.
    pub fn new(source: &FoldSource, layout: &[usize], table_budget: usize) -> Self {
        let (column_of, tables) = (&source.ordered.column_of, &source.tables);
        let empty = |s: usize| FoldedSubColumn {
            column: column_of[s],
            cardinality: tables[s].rows,
            hidden: 0..0,
            contribution: Contribution::Table { offset: 0 },
            head_weight: 0,
            head_bias: 0,
        };
        let mut sub_columns: Vec<FoldedSubColumn> = (0..column_of.len()).map(empty).collect();
        let of_column = |c: &usize| {
            let c = *c;
            (0..column_of.len()).filter(move |s| column_of[*s] == c)
        };
        let laid_out: Vec<usize> = layout.iter().flat_map(of_column).collect();
        let mut hidden = 0;
        for s in &laid_out {
            let start = hidden;
            hidden += source.heads.input.width(*s);
            sub_columns[*s].hidden = start..hidden;
        }
        let (mut len, mut in_tables) = (hidden, 0);
        for s in laid_out {
            let (sub, table) = (&mut sub_columns[s], tables[s]);
            let full = sub.cardinality * hidden;
            let factored = table.len() + (table.columns + 1) * hidden;
            sub.contribution = if full <= factored || in_tables + full <= table_budget {
                in_tables += full;
                Contribution::Table {
                    offset: take(&mut len, full),
                }
            } else {
                let (embedding, width) = (take(&mut len, table.len()), table.columns);
                Contribution::Factored {
                    embedding,
                    width,
                    offset: take(&mut len, (width + 1) * hidden),
                }
            };
            sub.head_weight = take(&mut len, sub.cardinality * sub.hidden.len());
            sub.head_bias = take(&mut len, sub.cardinality);
        }
        let cardinalities = Groups::from_widths(tables.iter().map(|t| t.rows));
        Self {
            sub_columns,
            hidden,
            cardinalities,
            len,
        }
    }

    /// The sub-columns of columns, in the order of the columns.
    pub fn sub_columns_of(&self, columns: &[usize]) -> Vec<usize> {
        let of_column = |c: &usize| {
            let c = *c;
            (0..self.sub_columns.len()).filter(move |s| self.sub_columns[*s].column == c)
        };
        columns.iter().flat_map(of_column).collect()
    }
}

/// Every piece begins at a multiple of so many elements: devices load several numbers at once where they are aligned.
const ALIGNMENT: usize = 4;

fn take(len: &mut usize, count: usize) -> usize {
    let offset = len.next_multiple_of(ALIGNMENT);
    *len = offset + count;
    offset
}

/// Computes the folded arena of a model: start values, tables, predictors.
///
/// With `W = W2 W1`, `b = W2 b1 + b2` (or W1, b1 when there is one layer), E the embedding, A and a the compressor of the
/// column: `start_j = b_j`, table of s for another column's regressor j: `W_j[:, column of s] (A[:, s] E_s[v]) + W_j[:, column] a`
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
        for s in 0..joined.len() {
            folded[self.model.sub_columns[s].hidden.clone()].copy_from_slice(&joined[s].bias);
            self.head(params, s, &mut folded);
            self.contribution(params, &joined, s, &mut folded);
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

    fn head(&self, params: &[f64], s: usize, folded: &mut [f64]) {
        let sub = &self.model.sub_columns[s];
        if let Some(Layer { weight, bias }) = self.source.heads.layers[s] {
            folded[sub.head_weight..sub.head_weight + weight.len()].copy_from_slice(&params[weight.range()]);
            folded[sub.head_bias..sub.head_bias + bias.len()].copy_from_slice(&params[bias.range()]);
        }
    }

    /// Fills the table of one sub-column: each hidden unit is linear in the embedding, so the weights of that linear map are
    /// found first, then applied to each embedding row.
    fn contribution(&self, params: &[f64], joined: &[Joined], s: usize, folded: &mut [f64]) {
        let (sub, table) = (&self.model.sub_columns[s], self.source.tables[s]);
        let (width, hidden) = (table.columns, self.model.hidden);
        let mut linear = vec![0.0; (width + 1) * hidden];
        for (next, regressor) in joined.iter().enumerate() {
            // A sub-column sees all other columns and its earlier siblings.
            if self.model.sub_columns[next].column != sub.column || next > s {
                self.linear_map(params, regressor, s, next, &mut linear);
            }
        }
        let embedding = &params[table.range()];
        match sub.contribution {
            Contribution::Factored {
                embedding: at,
                offset,
                ..
            } => {
                folded[at..at + embedding.len()].copy_from_slice(embedding);
                folded[offset..offset + linear.len()].copy_from_slice(&linear);
            }
            Contribution::Table { offset } => {
                for v in 0..sub.cardinality {
                    let row = &mut folded[offset + v * hidden..offset + (v + 1) * hidden];
                    row.copy_from_slice(&linear[width * hidden..]);
                    for k in 0..width {
                        let e = embedding[v * width + k];
                        for (to, w) in row.iter_mut().zip(&linear[k * hidden..(k + 1) * hidden]) {
                            *to += e * w;
                        }
                    }
                }
            }
        }
    }

    /// Adds the map from the embedding of sub-column `s` to the hidden units of `next`; row `k` of `linear` belongs to
    /// embedding feature k, the last row holds constants.
    fn linear_map(&self, params: &[f64], regressor: &Joined, s: usize, next: usize, linear: &mut [f64]) {
        let OrderedSpec {
            columns,
            sub_columns,
            column_of,
            ..
        } = &self.source.ordered;
        let (c, width) = (column_of[s], self.source.tables[s].columns);
        let (to, hidden) = (self.model.sub_columns[next].hidden.start, self.model.hidden);
        let first = self.source.ordered.first_sibling(s);
        let within = sub_columns.offset(s) - sub_columns.offset(first);
        let compressor = self.source.compressors.as_ref().and_then(|g| g.layers[c]);
        let is_last = s + 1 == column_of.len() || column_of[s + 1] != c;
        for n in 0..regressor.bias.len() {
            let row = &regressor.weight[n * regressor.inputs..(n + 1) * regressor.inputs];
            let mut add = |k: usize, w: f64| linear[k * hidden + to + n] += w;
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
            "{} sub-columns, {} hidden units, {} elements",
            self.model.sub_columns.len(),
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
