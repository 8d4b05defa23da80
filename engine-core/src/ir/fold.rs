//! Folding: in evaluation everything up to the relu is linear in one-hot codes, so embedding times weight is a table. The tables of a
//! model are computed once, on the host; programs that draw ([`super::sample_program`]) read them.

use std::sync::Arc;

use rayon::prelude::*;
use thiserror::Error;

use super::ops::linear::{Layer, LinearGroups, OrderedSpec};
use super::ops::sampling::{Contribution, FoldedModel, FoldedSubColumn};
use super::params::ParamView;
use super::program::BuildError;
use super::shape::Groups;

/// Full tables are made up to this many elements (64 MiB in single precision); larger models use factored ones.
const TABLE_BUDGET: usize = 16 << 20;

/// The layers of a flat model, as a model offers them to be folded.
#[derive(Debug, Clone)]
pub struct FoldSource {
    /// Embedding of each sub-column.
    pub tables: Arc<[ParamView]>,
    /// Column compressors, if any.
    pub compressors: Option<LinearGroups>,
    /// First regressor layers; their dropout plays no part.
    pub ordered: OrderedSpec,
    /// Second regressor layers, if any.
    pub second: Option<LinearGroups>,
    /// Predictors.
    pub heads: LinearGroups,
}

/// Numbers in double precision of a row that are worked on at once: 4 KiB.
const BLOCK: usize = 512;

/// A model made ready for generation in any column order.
#[derive(Debug, Clone)]
pub struct Folded {
    /// Layout of the arena.
    pub model: Arc<FoldedModel>,
    /// The folded arena `f32[model.len]`: the resource `folded` of programs that draw.
    pub arena: Vec<f32>,
}

/// Why a model cannot be folded or drawn from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FoldError {
    /// The column order is not a permutation of the model's columns.
    #[error("the column order does not match: it must name each of the {columns} columns once")]
    Order {
        /// Number of columns.
        columns: usize,
    },
    /// The parameters end before those of the model.
    #[error("the model reads {needed} parameters, {got} were given; the weights belong to another model")]
    Parameters {
        /// Parameters that the layers read, by the end of the last.
        needed: usize,
        /// Parameters given.
        got: usize,
    },
    /// The tables do not fit into one buffer of the device.
    #[error(
        "the model's tables for generation take {needed} bytes, a buffer of the device {allowed} at most; generate on another \
         device, or train a smaller model"
    )]
    TooLarge {
        /// Bytes of the tables.
        needed: u64,
        /// Bytes of the largest buffer.
        allowed: u64,
    },
    /// A sub-column cannot be drawn where the order of the draws has it.
    #[error(
        "sub-column {sub_column} cannot be drawn: it does not exist, is drawn twice, or comes after a later part of its column"
    )]
    Draws {
        /// Its index.
        sub_column: usize,
    },
    /// The program that draws does not fit together.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Folds a model with the given parameters. The result serves every order of the columns; the one that is given (each column once)
/// is the fastest. Sums are in double precision, each in one order whatever the number of threads. `allowed` is the number of bytes
/// that the tables may take, where there is a limit ([`crate::backend::DeviceInfo::buffer_limit`]); it is checked before anything is
/// computed.
///
/// # Errors
/// [`FoldError::Order`] when the order is no permutation, [`FoldError::Parameters`] when there are too few parameters,
/// [`FoldError::TooLarge`] when the tables are larger than `allowed`.
pub fn fold(
    source: &FoldSource,
    params: &[f32],
    order: &[usize],
    allowed: Option<u64>,
) -> Result<Folded, FoldError> {
    let model = lay_out(source, order, TABLE_BUDGET)?;
    let (needed, allowed) = (model.bytes(), allowed.unwrap_or(u64::MAX));
    if needed > allowed {
        return Err(FoldError::TooLarge { needed, allowed });
    }
    let arena = fold_tables(source, &model, params, |x| x as f32)?;
    Ok(Folded {
        model: Arc::new(model),
        arena,
    })
}

/// The layout of a folded model with full tables of at most `table_budget` elements together.
pub(crate) fn lay_out(
    source: &FoldSource,
    order: &[usize],
    table_budget: usize,
) -> Result<FoldedModel, FoldError> {
    let columns = source.ordered.columns.len();
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if sorted != (0..columns).collect::<Vec<_>>() {
        return Err(FoldError::Order { columns });
    }
    Ok(FoldedModel::new(source, order, table_budget))
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
}

/// Every piece begins at a multiple of so many elements: devices load several elements at once where they are aligned.
const ALIGNMENT: usize = 4;

fn take(len: &mut usize, count: usize) -> usize {
    let offset = len.next_multiple_of(ALIGNMENT);
    *len = offset + count;
    offset
}

/// The folded arena of a model: initial weights, tables, predictors; each element is rounded by `round` once it is complete.
///
/// With `W = W2 W1`, `b = W2 b1 + b2` (or W1, b1 when there is one layer), E the embedding, A and a the compressor of the
/// column: `start_j = b_j`, table of s for another column's regressor j: `W_j[:, column of s] (A[:, s] E_s[v]) + W_j[:, column] a`
/// (the constant with the column's last sub-column), for a later sibling: `W_j[:, sibling s] E_s[v]`.
pub(crate) fn fold_tables<T: Copy + Default + Send>(
    source: &FoldSource,
    model: &FoldedModel,
    params: &[f32],
    round: impl Fn(f64) -> T + Sync,
) -> Result<Vec<T>, FoldError> {
    let (needed, got) = (source.params(), params.len());
    if needed > got {
        return Err(FoldError::Parameters { needed, got });
    }
    let folding = Folding {
        source,
        model,
        params,
        joined: (0..source.tables.len())
            .into_par_iter()
            .map(|s| source.join(params, s))
            .collect(),
    };
    let mut arena = vec![T::default(); model.len];
    for (sub, joined) in model.sub_columns.iter().zip(&folding.joined) {
        copy(
            &mut arena[sub.hidden.clone()],
            joined.bias.iter().copied(),
            &round,
        );
    }
    // The pieces of a sub-column lie together, so that each thread fills its own part of the arena.
    let mut parts: Vec<(usize, usize)> = (0..model.sub_columns.len())
        .map(|s| (model.sub_columns[s].start(), s))
        .collect();
    parts.sort_unstable();
    let mut rest = &mut arena[..];
    let mut filled = Vec::with_capacity(parts.len());
    for (start, s) in parts.into_iter().rev() {
        let (before, part) = rest.split_at_mut(start);
        rest = before;
        filled.push((s, start, part));
    }
    filled
        .into_par_iter()
        .for_each(|(s, start, part)| folding.fill(s, start, part, &round));
    Ok(arena)
}

fn copy<T>(to: &mut [T], from: impl Iterator<Item = f64>, round: impl Fn(f64) -> T) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = round(from);
    }
}

/// Parameters in double precision.
fn doubled(params: &[f32]) -> impl Iterator<Item = f64> + '_ {
    params.iter().map(|p| f64::from(*p))
}

/// Weight rows of a folded regressor: `[outputs, inputs]` and bias, after joining its one or two layers.
struct Joined {
    weight: Vec<f64>,
    inputs: usize,
    bias: Vec<f64>,
}

impl FoldSource {
    /// Parameters that the layers read, by the end of the last.
    fn params(&self) -> usize {
        let layers = [self.compressors.as_ref(), self.second.as_ref(), Some(&self.heads)];
        let layers = layers.into_iter().flatten().flat_map(|g| g.layers.iter());
        let layers = layers.flatten().chain(self.ordered.layers.iter());
        let views = layers.flat_map(|l| [l.weight, l.bias]);
        let views = views.chain(self.tables.iter().copied());
        views.map(|view| view.range().end).max().unwrap_or(0)
    }

    fn join(&self, params: &[f32], s: usize) -> Joined {
        let Layer { weight, bias } = self.ordered.layers[s];
        let [w1, b1]: [Vec<f64>; 2] = [weight, bias].map(|view| doubled(&params[view.range()]).collect());
        let Some(second) = self.second.as_ref().and_then(|g| g.layers[s]) else {
            return Joined {
                weight: w1,
                inputs: weight.columns,
                bias: b1,
            };
        };
        let w2 = &params[second.weight.range()];
        let mut joined = vec![0.0; second.weight.rows * weight.columns];
        let mut constant: Vec<f64> = doubled(&params[second.bias.range()]).collect();
        // A block of the first layer stays in the cache while all rows of the second pass over it.
        for first in (0..weight.columns).step_by(BLOCK) {
            let block = first..(first + BLOCK).min(weight.columns);
            for n in 0..second.weight.rows {
                let row = &mut joined[n * weight.columns..][block.clone()];
                for m in 0..weight.rows {
                    let w = f64::from(w2[n * weight.rows + m]);
                    add_scaled(row, w, &w1[m * weight.columns..][block.clone()]);
                }
            }
        }
        for (n, constant) in constant.iter_mut().enumerate() {
            for (w, b) in w2[n * weight.rows..].iter().zip(&b1) {
                *constant += f64::from(*w) * b;
            }
        }
        Joined {
            weight: joined,
            inputs: weight.columns,
            bias: constant,
        }
    }
}

/// `to += scale * from`
fn add_scaled(to: &mut [f64], scale: f64, from: &[f64]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += scale * from;
    }
}

/// A model while it is folded.
struct Folding<'a> {
    source: &'a FoldSource,
    model: &'a FoldedModel,
    params: &'a [f32],
    /// The joined layers of each regressor.
    joined: Vec<Joined>,
}

impl Folding<'_> {
    /// Fills the part of the arena that belongs to sub-column `s`; it begins at element `start`.
    fn fill<T>(&self, s: usize, start: usize, part: &mut [T], round: &impl Fn(f64) -> T) {
        let sub = &self.model.sub_columns[s];
        if let Some(Layer { weight, bias }) = self.source.heads.layers[s] {
            for (at, view) in [(sub.head_weight, weight), (sub.head_bias, bias)] {
                copy(
                    &mut part[at - start..],
                    doubled(&self.params[view.range()]),
                    round,
                );
            }
        }
        let linear = self.linear(s);
        let embedding = &self.params[self.source.tables[s].range()];
        match sub.contribution {
            Contribution::Factored {
                embedding: at,
                offset,
                ..
            } => {
                copy(&mut part[at - start..], doubled(embedding), round);
                copy(&mut part[offset - start..], linear.into_iter(), round);
            }
            Contribution::Table { offset } => {
                self.fill_table(sub, &linear, embedding, &mut part[offset - start..], round);
            }
        }
    }

    /// Each row of the table: the linear map of its embedding.
    fn fill_table<T>(
        &self,
        sub: &FoldedSubColumn,
        linear: &[f64],
        embedding: &[f32],
        table: &mut [T],
        round: &impl Fn(f64) -> T,
    ) {
        let hidden = self.model.hidden;
        if hidden == 0 {
            return;
        }
        let width = linear.len() / hidden - 1;
        let mut row = [0.0; BLOCK];
        // A block of the map stays in the cache while all rows of the embedding pass over it.
        for first in (0..hidden).step_by(BLOCK) {
            let block = first..(first + BLOCK).min(hidden);
            let row = &mut row[..block.len()];
            for (v, to) in table.chunks_mut(hidden).take(sub.cardinality).enumerate() {
                row.copy_from_slice(&linear[width * hidden..][block.clone()]);
                for (e, weights) in doubled(&embedding[v * width..]).zip(linear.chunks(hidden).take(width)) {
                    add_scaled(row, e, &weights[block.clone()]);
                }
                copy(&mut to[block.clone()], row.iter().copied(), round);
            }
        }
    }

    /// The linear map from the embedding of a sub-column to all hidden units `[embedding width + 1, hidden units]`; the last row
    /// holds constants.
    fn linear(&self, s: usize) -> Vec<f64> {
        let (sub, width) = (&self.model.sub_columns[s], self.source.tables[s].columns);
        let mut linear = vec![0.0; (width + 1) * self.model.hidden];
        for next in 0..self.joined.len() {
            // A sub-column sees all other columns and its earlier siblings.
            if self.model.sub_columns[next].column != sub.column || next > s {
                self.write_linear_map(s, next, &mut linear);
            }
        }
        linear
    }

    /// Writes the map from the embedding of sub-column `s` to the hidden units of `next`; row `k` of `linear` belongs to
    /// embedding feature k, the last row holds constants.
    fn write_linear_map(&self, s: usize, next: usize, linear: &mut [f64]) {
        let OrderedSpec {
            columns,
            sub_columns,
            column_of,
            ..
        } = &self.source.ordered;
        let (c, width) = (column_of[s], self.source.tables[s].columns);
        let (regressor, hidden) = (&self.joined[next], self.model.hidden);
        let to = self.model.sub_columns[next].hidden.start;
        let first = self.source.ordered.first_sibling(s);
        let within = sub_columns.offset(s) - sub_columns.offset(first);
        let compressor = self.source.compressors.as_ref().and_then(|g| g.layers[c]);
        let is_last = s + 1 == column_of.len() || column_of[s + 1] != c;
        let mut sums = vec![0.0; width + 1];
        for n in 0..regressor.bias.len() {
            let row = &regressor.weight[n * regressor.inputs..(n + 1) * regressor.inputs];
            let block = &row[columns.range(c)];
            let part = match compressor {
                _ if column_of[next] == c => &row[columns.total() + within..][..width],
                None => &block[within..][..width],
                Some(Layer { weight, bias }) => {
                    sums.fill(0.0);
                    for (m, w) in block.iter().enumerate() {
                        let a = &self.params[weight.offset + m * weight.columns + within..][..width];
                        for (sum, a) in sums.iter_mut().zip(a) {
                            *sum += w * f64::from(*a);
                        }
                        if is_last {
                            sums[width] += w * f64::from(self.params[bias.offset + m]);
                        }
                    }
                    &sums
                }
            };
            for (k, value) in part.iter().enumerate() {
                linear[k * hidden + to + n] = *value;
            }
        }
    }
}
