//! Log-likelihood of rows.

use rayon::prelude::*;

use super::super::loaded::LoadedModel;
use super::super::plan::SamplePlan;
use super::super::{Cells, DrawSite, GenerateError};
use super::ProbabilityOptions;
use super::enumerate::{JointSupport, Scorer, draw_uniforms, given_row, log_sum};
use crate::ir::ops::sampling::{Cell, RequestedOutputs, SamplingRules};

/// Rows that are scored at once.
const ROWS: usize = 8_192;
/// Rows whose logarithms one task adds up at least.
const ROWS_OF_A_TASK: usize = 512;

/// Logarithms of probabilities of rows, in nats. A numeric column that is binned counts with the mass of the bin, so values can be
/// compared within one model only.
#[derive(Debug, Clone, PartialEq)]
pub struct LogProbs {
    /// One per row, finite and at most 0: the logarithm of the probability of all observed cells, averaged over the orders.
    pub rows: Vec<f64>,
    /// `[rows, columns]`: what each column adds, averaged over the orders; with one order they sum to the row's. 0 where the column is
    /// not observed, NaN in rows that a fixed-order model had to sum over.
    pub columns: Vec<f64>,
    /// Standard errors of `rows`, where some row had to be estimated by sampling; 0 for rows that were computed exactly.
    pub standard_errors: Option<Vec<f64>>,
}

/// A query for the log-likelihood of rows. It is prepared once, and run any number of times from any thread.
#[derive(Debug)]
pub struct LogProbQuery {
    orders: Vec<SamplePlan>,
    options: ProbabilityOptions,
}

impl LogProbQuery {
    /// Prepares the query; `options.fixed` has no effect, every code counts with the model's probability.
    ///
    /// # Errors
    /// [`GenerateError::TooFew`].
    pub fn new(model: &LoadedModel, options: &ProbabilityOptions) -> Result<Self, GenerateError> {
        options.check()?;
        Self::in_orders(model, &options.column_orders(model), options)
    }

    /// As [`Self::new`], averaged over the given orders of all columns.
    ///
    /// # Errors
    /// [`GenerateError::ColumnOrder`] when the model has one order only and this is another; [`GenerateError::TooFew`] when there is
    /// none.
    pub fn in_orders(
        model: &LoadedModel,
        orders: &[Vec<usize>],
        options: &ProbabilityOptions,
    ) -> Result<Self, GenerateError> {
        let logs = || RequestedOutputs {
            log_probs: true,
            ..RequestedOutputs::default()
        };
        let plan = |order: &Vec<usize>| model.plan(order, SamplingRules::default(), logs());
        let plans: Vec<SamplePlan> = orders.iter().map(plan).collect::<Result<_, _>>()?;
        if plans.is_empty() {
            let (option, got, min) = ("orders", 0, 1);
            return Err(GenerateError::TooFew { option, got, min });
        }
        Ok(Self {
            orders: plans,
            options: options.clone(),
        })
    }

    /// Log-likelihood of the observed cells of each row; all others are left out.
    ///
    /// Of a column that is null only its null flag counts: whatever stands beside it means nothing. Values that the model does not
    /// know count as the code that stands for them. A fixed-order model sums over columns that are left out before observed ones,
    /// exactly when there are few combinations, else by draws.
    ///
    /// # Errors
    /// [`GenerateError::Backend`] when a code is out of range or the device fails.
    pub fn run(&self, model: &LoadedModel, known: &Cells) -> Result<LogProbs, GenerateError> {
        let width = model.columns().len();
        let mut answer = LogProbs {
            rows: Vec::with_capacity(known.rows()),
            columns: Vec::with_capacity(known.rows() * width),
            standard_errors: None,
        };
        for first in (0..known.rows()).step_by(ROWS) {
            let rows = first..(first + ROWS).min(known.rows());
            self.scored(model, &known.teacher_forced(rows), &mut answer)?;
        }
        if !model.is_any_order() {
            self.sum_over_gaps(model, known, &mut answer)?;
        }
        Ok(answer)
    }

    /// Scores rows whose observed cells are teacher-forced, in all orders.
    fn scored(&self, model: &LoadedModel, given: &Cells, answer: &mut LogProbs) -> Result<(), GenerateError> {
        let (rows, count, width) = (given.rows(), model.sub_columns(), model.columns().len());
        if count == 0 {
            answer.rows.resize(answer.rows.len() + rows, 0.0);
            answer.columns.resize(answer.columns.len() + rows * width, 0.0);
            return Ok(());
        }
        let mut by_order = Vec::with_capacity(self.orders.len());
        let mut columns = vec![0.0; rows * width];
        for plan in &self.orders {
            let drawn = model.run_batches(plan, given, None, DrawSite::default())?;
            let logs = drawn
                .log_probs
                .par_chunks(count)
                .zip(drawn.codes.par_chunks(count));
            let parts = logs.zip(columns.par_chunks_mut(width)).enumerate();
            let scores = parts
                .with_min_len(ROWS_OF_A_TASK)
                .map(|(row, ((logs, codes), parts))| {
                    let mut score = 0.0;
                    for (c, part) in parts.iter_mut().enumerate() {
                        // Logarithms of what is not given are 0; beside a null flag of 1 the other sub-columns mean nothing.
                        let flag = model.null_flag(c).filter(|f| {
                            codes[*f] == 1 && matches!(given.get(row, *f), Cell::TeacherForced(_))
                        });
                        let sum: f64 = match flag {
                            Some(flag) => f64::from(logs[flag]),
                            None => logs[model.columns()[c].clone()]
                                .iter()
                                .map(|l| f64::from(*l))
                                .sum(),
                        };
                        score += sum;
                        *part += sum / self.orders.len() as f64;
                    }
                    score
                });
            by_order.push(scores.collect::<Vec<f64>>());
        }
        let orders = (self.orders.len() as f64).ln();
        let averaged = |row| log_sum(by_order.iter().map(|scores: &Vec<f64>| scores[row])) - orders;
        answer.rows.par_extend(
            (0..rows)
                .into_par_iter()
                .with_min_len(ROWS_OF_A_TASK)
                .map(averaged),
        );
        answer.columns.extend(columns);
        Ok(())
    }

    /// Rows of a fixed-order model in which an observed column follows one that is not: sums over what is left out.
    fn sum_over_gaps(
        &self,
        model: &LoadedModel,
        known: &Cells,
        answer: &mut LogProbs,
    ) -> Result<(), GenerateError> {
        let (columns, width) = (model.columns(), model.columns().len());
        for row in 0..known.rows() {
            let is_observed = |c: usize| {
                columns[c]
                    .clone()
                    .all(|s| matches!(known.get(row, s), Cell::Observed(_)))
            };
            let last = (0..width).rev().find(|c| is_observed(*c)).unwrap_or(0);
            let gaps: Vec<usize> = (0..last)
                .filter(|c| !is_observed(*c))
                .flat_map(|c| columns[c].clone())
                .collect();
            if gaps.is_empty() {
                continue;
            }
            answer.columns[row * width..(row + 1) * width].fill(f64::NAN);
            let hidden = JointSupport::new(model, gaps);
            let mut scorer = Scorer::new(model, &self.orders[0]);
            if hidden.count() <= self.options.max_combinations {
                let base = given_row(known, row, |_| Cell::Masked);
                for h in (0..hidden.count()).filter(|h| hidden.is_valid(model, *h)) {
                    scorer.push(&base, hidden.codes(h), &[])?;
                }
                answer.rows[row] = log_sum(scorer.finish()?.into_iter());
                continue;
            }
            let (base, draws) = (given_row(known, row, |_| Cell::Sampled), self.options.draws);
            for draw in 0..draws {
                let uniforms = draw_uniforms(self.options.seed, row as u64, draw as u32, model.sub_columns());
                scorer.push(&base, [], &uniforms)?;
            }
            let scores = scorer.finish()?;
            let mean = log_sum(scores.iter().copied()) - (draws as f64).ln();
            let squares = scores
                .iter()
                .map(|s| ((s - mean).exp() - 1.0).powi(2))
                .sum::<f64>();
            answer.rows[row] = mean;
            let errors = answer
                .standard_errors
                .get_or_insert_with(|| vec![0.0; known.rows()]);
            // Relative error of the mean, which is the error of its logarithm.
            errors[row] = (squares / (draws * (draws - 1)) as f64).sqrt();
        }
        Ok(())
    }
}
