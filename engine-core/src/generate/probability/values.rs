//! The distribution of one column of any number of sub-columns, as a list of its most probable codes.

use std::collections::BTreeMap;

use super::super::loaded::LoadedModel;
use super::super::plan::{DrawSite, SamplePlan};
use super::super::{Cells, GenerateError};
use super::ProbabilityOptions;
use super::chain::{BeamLimits, ChainRule, SparseDistribution};
use super::enumerate::{JointSupport, Scorer, draw_uniforms, given_row, log_sum, row_scores};
use super::joint::{Joint, JointQuery, ROWS, Strategy, last_of_interest};
use crate::ir::ops::sampling::{Cell, RequestedOutputs, SamplingRules};

/// A query for the distribution of one column. It is prepared once, and run any number of times from any thread.
#[derive(Debug)]
pub struct ValueQuery {
    column: usize,
    chain: ChainRule,
    limits: BeamLimits,
    /// Plans over all columns in the orders that are averaged beside the chain's.
    orders: Vec<SamplePlan>,
    /// How a fixed-order model answers rows that leave out columns.
    gaps: Option<Gaps>,
    options: ProbabilityOptions,
}

/// What a fixed-order model needs beside the chain.
#[derive(Debug)]
struct Gaps {
    /// All columns in their order, under the rules.
    draw: SamplePlan,
    /// The joint distribution, where the column has few enough codes.
    joint: Option<JointQuery>,
    combinations: JointSupport,
}

impl ValueQuery {
    /// Prepares the query for a column.
    ///
    /// # Errors
    /// [`GenerateError::Targets`] when there is no such column; [`GenerateError::TooFew`].
    pub fn new(
        model: &LoadedModel,
        column: usize,
        options: &ProbabilityOptions,
    ) -> Result<Self, GenerateError> {
        options.check()?;
        let sub_columns: Vec<usize> = model
            .columns()
            .get(column)
            .ok_or(GenerateError::Targets)?
            .clone()
            .collect();
        let rules = SamplingRules {
            fixed: options.fixed.clone(),
            ..SamplingRules::default()
        };
        let logs = || RequestedOutputs {
            log_probs: true,
            ..RequestedOutputs::default()
        };
        let orders = options.column_orders(model);
        let plans = orders
            .iter()
            .skip(1)
            .map(|order| model.plan(order, SamplingRules::default(), logs()));
        let gaps = || {
            let trained: Vec<usize> = (0..model.columns().len()).collect();
            let joint = match JointQuery::new(model, &[column], options) {
                Err(GenerateError::Combinations { .. }) => None,
                joint => Some(joint?),
            };
            Ok::<_, GenerateError>(Gaps {
                draw: model.plan(&trained, rules.clone(), logs())?,
                joint,
                combinations: JointSupport::new(model, sub_columns.clone()),
            })
        };
        Ok(Self {
            column,
            orders: plans.collect::<Result<_, _>>()?,
            gaps: (!model.is_any_order()).then(gaps).transpose()?,
            chain: ChainRule::new(model, sub_columns, &rules)?,
            limits: BeamLimits {
                tolerance: options.tolerance,
                max_values: options.most_values,
            },
            options: options.clone(),
        })
    }

    /// The target column.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The distribution in each row of `known`, given the observed cells; mass that was dropped is stated.
    ///
    /// An any-order model leaves out what is not observed. A fixed-order model sums over it: exactly when there are few
    /// combinations, else by draws, whose effective number is stated.
    ///
    /// # Errors
    /// [`GenerateError::Backend`] when a code is out of range or the device fails.
    pub fn run(&self, model: &LoadedModel, known: &Cells) -> Result<Vec<SparseDistribution>, GenerateError> {
        let mut all = Vec::with_capacity(known.rows());
        let Some(gaps) = &self.gaps else {
            for first in (0..known.rows()).step_by(ROWS) {
                let rows = first..(first + ROWS).min(known.rows());
                let mut atoms = self.chain.run(model, known, rows, self.limits)?;
                self.average_orders(model, known, first, &mut atoms)?;
                all.extend(atoms);
            }
            return Ok(all);
        };
        let sizes = (gaps.combinations.count(), self.options.max_combinations);
        for row in 0..known.rows() {
            match (
                Strategy::of(model, (known, row), &[self.column], sizes),
                &gaps.joint,
            ) {
                (Strategy::Direct, _) => {
                    all.extend(self.chain.run(model, known, row..row + 1, self.limits)?)
                }
                (Strategy::Exact(hidden), Some(joint)) => {
                    all.push(exact(model, known, (row, hidden), joint, &gaps.combinations)?);
                }
                _ => all.push(self.drawn(model, known, row, gaps)?),
            }
        }
        Ok(all)
    }

    /// Averages with the results of the other orders about the values that the chain has found: the observed cells and each value are scored
    /// together, and the score of each is its share of what was not dropped.
    fn average_orders(
        &self,
        model: &LoadedModel,
        known: &Cells,
        first_row: usize,
        atoms: &mut [SparseDistribution],
    ) -> Result<(), GenerateError> {
        let (column, count) = (&model.columns()[self.column], self.orders.len() as f64 + 1.0);
        for plan in &self.orders {
            let mut scorer = Scorer::new(model, plan);
            for (row, atoms) in atoms.iter().enumerate() {
                let base = given_row(known, first_row + row, |_| Cell::Masked);
                for codes in atoms.codes.chunks_exact(column.len()) {
                    scorer.push(&base, column.clone().zip(codes.iter().copied()), &[])?;
                }
            }
            let scores = scorer.finish()?;
            let mut from = 0;
            for atoms in atoms.iter_mut() {
                let of_row = &scores[from..from + atoms.probs.len()];
                from += of_row.len();
                let (total, kept) = (log_sum(of_row.iter().copied()), 1.0 - atoms.dropped);
                // The chain's own result is in `probs` and weighs as much as each of the others.
                for (p, score) in atoms.probs.iter_mut().zip(of_row) {
                    *p += kept * (score - total).exp();
                }
            }
        }
        let all = atoms.iter_mut().flat_map(|atoms| &mut atoms.probs);
        all.for_each(|p| *p /= count);
        Ok(())
    }

    /// Draws of the column and of what is left out, weighted by what they make of the observed cells.
    fn drawn(
        &self,
        model: &LoadedModel,
        known: &Cells,
        row: usize,
        gaps: &Gaps,
    ) -> Result<SparseDistribution, GenerateError> {
        let (draws, width, column) = (
            self.options.draws,
            model.sub_columns(),
            &model.columns()[self.column],
        );
        let last = last_of_interest(model, known, row, &[self.column]);
        let base = given_row(
            known,
            row,
            |s| if s < last { Cell::Sampled } else { Cell::Masked },
        );
        let (mut words, mut uniforms) = (Vec::new(), Vec::new());
        for draw in 0..draws {
            words.extend_from_slice(&base);
            for s in column.clone() {
                words[draw * width + s] = Cell::Sampled.to_bits();
            }
            uniforms.extend(draw_uniforms(self.options.seed, row as u64, draw as u32, width));
        }
        let cells = Cells::from_words(width, words);
        let drawn = model.run_batches(&gaps.draw, &cells, Some(&uniforms), DrawSite::default())?;
        let scores = row_scores(model, &drawn, &cells);
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
        let (total, squares) = (
            weights.iter().sum::<f64>(),
            weights.iter().map(|w| w * w).sum::<f64>(),
        );
        let mut by_codes: BTreeMap<Vec<u32>, f64> = BTreeMap::new();
        for (row, weight) in weights.iter().enumerate() {
            let mut codes = drawn.codes[row * width + column.start..row * width + column.end].to_vec();
            if let Some(flag) = model
                .null_flag(self.column)
                .filter(|f| codes[f - column.start] == 1)
            {
                let others = column.clone().filter(|s| *s != flag);
                others.for_each(|s| codes[s - column.start] = model.null_fill(s));
            }
            *by_codes.entry(codes).or_default() += weight / total;
        }
        Ok(SparseDistribution {
            codes: by_codes.keys().flatten().copied().collect(),
            probs: by_codes.into_values().collect(),
            dropped: 0.0,
            draws: Some(total * total / squares),
        })
    }
}

/// Sums over what a row does not observe.
fn exact(
    model: &LoadedModel,
    known: &Cells,
    (row, hidden): (usize, JointSupport),
    query: &JointQuery,
    combinations: &JointSupport,
) -> Result<SparseDistribution, GenerateError> {
    let alone = Cells::from_words(model.sub_columns(), known.row(row).to_vec());
    let mut joint = Joint {
        sub_columns: combinations.sub_columns.clone(),
        cardinalities: Vec::new(),
        probs: vec![0.0; combinations.count()],
        standard_errors: None,
    };
    query.summed(model, &alone, &[(0, hidden)], &mut joint)?;
    let possible = (0..joint.probs.len()).filter(|t| joint.probs[*t] > 0.0);
    let codes = |t: usize| combinations.codes(t).into_iter().map(|(_, code)| code);
    Ok(SparseDistribution {
        codes: possible.clone().flat_map(codes).collect(),
        probs: possible.map(|t| joint.probs[t]).collect(),
        dropped: 0.0,
        draws: None,
    })
}
