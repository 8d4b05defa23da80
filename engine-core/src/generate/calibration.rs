//! Calibration: the last step of a training. It moves the biases of the predictors until each code is predicted as often as it occurs.
//!
//! A bias that minimises the loss makes the mean probability of its code the code's share. Training minimises the loss under dropout,
//! and generation has none: the mean of a model's predictions is then a little off, which is what the marginals of generated rows
//! show first.

use std::ops::Range;
use std::sync::Arc;

use super::loaded::LoadedModel;
use super::plan::DrawSite;
use super::{Cells, GenerateError};
use crate::argn::Model;
use crate::backend::Backend;
use crate::ir::ops::sampling::{Cell, RequestedOutputs, SamplingRules};
use crate::random::{Purpose, Stream};
use crate::schema::{CodeTable, ColumnOrderKind};

/// Rounds of moving all biases.
const ROUNDS: usize = 2;
/// Random column orders beside the trained one, in which rows are drawn unless they are requested otherwise. It weighs as much as all of
/// them.
const RANDOM_ORDERS: usize = 2;
/// Rows that are looked at: at most, and as many as have this many codes. Fewer would have shares of their own: those of 16,384 rows are as
/// far from the table's as the predictions that are to be mended.
const MAX_ROWS: usize = 1 << 18;
const MAX_CODES: usize = 1 << 24;
/// Probabilities that are held at once.
const NUMBERS: usize = 1 << 20;
/// Occurrences that are added to those that are counted and to those that are expected, so that rare codes move little.
const PRIOR: f64 = 4.0;
/// The most that a bias moves in a round.
const MAX_STEP: f64 = 1.0;
/// Separates these orders from those of batches, generation and probabilities.
const SITE: u32 = 3;

/// Codes of some rows of a table, with the orders in which they are predicted.
struct Sample {
    cells: Cells,
    /// Column orders with their weights, which sum to 1.
    orders: Vec<(Vec<usize>, f64)>,
}

/// Moves the biases of the predictors of a trained model until its mean predictions of the training rows, given the columns before in the
/// trained order and in random ones, are the shares of the codes. Sub-columns whose mean predictions in the trained order do not get
/// closer keep their biases. `None` when the validation rows do not get more likely by it.
///
/// # Errors
/// [`GenerateError::ParameterCount`] when the parameters are another model's; otherwise the device fails.
pub fn calibrate_biases(
    backend: &Arc<dyn Backend>,
    (model, params): (&dyn Model, &[f32]),
    (training, validation): (&CodeTable, &CodeTable),
    seed: u64,
) -> Result<Option<Vec<f32>>, GenerateError> {
    let columns = model.columns().len();
    let orders = orders(columns, model.order(), seed);
    let sample = |table| Sample {
        cells: given(table),
        orders: orders.clone(),
    };
    let (training, validation) = (sample(training), sample(validation));
    let load = |params: &[f32]| LoadedModel::new(Arc::clone(backend), model, params);
    let biases: Vec<Range<usize>> = model.predictor_biases().iter().map(|b| b.range()).collect();
    let first = load(params)?;
    let counted = training.counted(&first);
    let before = validation.log_likelihood(&first)?;
    let distances = training.distances(&first, &counted)?;
    let mut calibrated = params.to_vec();
    for _ in 0..ROUNDS {
        let loaded = load(&calibrated)?;
        for (bias, steps) in biases.iter().zip(training.steps(&loaded, &counted)?) {
            let biases = calibrated[bias.clone()].iter_mut();
            biases.zip(steps).for_each(|(bias, step)| *bias += step as f32);
        }
    }
    let closer = training.distances(&load(&calibrated)?, &counted)?;
    for (bias, (now, then)) in biases.iter().zip(closer.into_iter().zip(distances)) {
        if now >= then {
            calibrated[bias.clone()].copy_from_slice(&params[bias.clone()]);
        }
    }
    let after = validation.log_likelihood(&load(&calibrated)?)?;
    tracing::info!(
        before,
        after,
        "log-likelihood of validation rows before and after calibration"
    );
    Ok((after > before && calibrated.iter().all(|p| p.is_finite())).then_some(calibrated))
}

/// The trained order, and for an any-order model random ones.
fn orders(columns: usize, kind: ColumnOrderKind, seed: u64) -> Vec<(Vec<usize>, f64)> {
    let trained: Vec<usize> = (0..columns).collect();
    if kind == ColumnOrderKind::Fixed {
        return vec![(trained, 1.0)];
    }
    let stream = Stream::new(seed, Purpose::Order, SITE);
    let random = |k: usize| {
        let mut order = trained.clone();
        order.sort_by_key(|c| {
            let [a, b, ..] = stream.block(k as u32, 0, *c as u32);
            (a, b)
        });
        (order, 0.5 / RANDOM_ORDERS as f64)
    };
    let random: Vec<_> = (0..RANDOM_ORDERS).map(random).collect();
    [(trained, 0.5)].into_iter().chain(random).collect()
}

fn zeros(model: &LoadedModel) -> Vec<Vec<f64>> {
    let cardinalities = (0..model.sub_columns()).map(|s| model.cardinality(s));
    cardinalities.map(|v| vec![0.0; v]).collect()
}

/// Rows from all over the table, all codes given.
fn given(table: &CodeTable) -> Cells {
    let width = table.columns().len();
    let max = MAX_ROWS.min(MAX_CODES / width.max(1)).max(1);
    let rows = table.rows().min(max);
    let mut cells = Cells::sampled(rows, width);
    for row in 0..rows {
        let from = (row as u64 * table.rows() as u64 / rows as u64) as usize;
        for (s, codes) in table.columns().iter().enumerate() {
            cells.set(row, s, Cell::TeacherForced(codes.get(from)));
        }
    }
    cells
}

impl Sample {
    /// Mean log-likelihood of a row over all orders.
    fn log_likelihood(&self, model: &LoadedModel) -> Result<f64, GenerateError> {
        let requested = || RequestedOutputs {
            log_probs: true,
            ..RequestedOutputs::default()
        };
        let mut sum = 0.0;
        for (order, weight) in &self.orders {
            let plan = model.plan(order, SamplingRules::default(), requested())?;
            let drawn = model.run(&plan, &self.cells, DrawSite::default())?;
            let logs = drawn
                .log_probs
                .chunks_exact(model.sub_columns().max(1))
                .enumerate();
            let counted = logs.flat_map(|(row, logs)| {
                let counts =
                    move |(s, log): (usize, &f32)| self.counts(model, row, s).then(|| f64::from(*log));
                logs.iter().enumerate().filter_map(counts)
            });
            sum += weight * counted.sum::<f64>();
        }
        Ok(sum / self.cells.rows().max(1) as f64)
    }

    /// How often each code occurs, by sub-column.
    fn counted(&self, model: &LoadedModel) -> Vec<Vec<f64>> {
        let mut counted = zeros(model);
        for row in 0..self.cells.rows() {
            for (s, counted) in counted.iter_mut().enumerate() {
                match self.cells.get(row, s) {
                    Cell::TeacherForced(code) if self.counts(model, row, s) => counted[code as usize] += 1.0,
                    _ => {}
                }
            }
        }
        counted
    }

    /// How far the codes that are expected in the trained order are from those that occur, by sub-column.
    fn distances(&self, model: &LoadedModel, counted: &[Vec<f64>]) -> Result<Vec<f64>, GenerateError> {
        let mut expected = zeros(model);
        for (order, _) in self.orders.iter().take(1) {
            self.expect(model, order, 1.0, &mut expected)?;
        }
        let distance = |(counted, expected): (&Vec<f64>, &Vec<f64>)| {
            let pairs = counted.iter().zip(expected);
            pairs.map(|(counted, expected)| (counted - expected).abs()).sum()
        };
        Ok(counted.iter().zip(&expected).map(distance).collect())
    }

    /// How far each bias moves, by sub-column.
    fn steps(&self, model: &LoadedModel, counted: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, GenerateError> {
        let mut expected = zeros(model);
        for (order, weight) in &self.orders {
            self.expect(model, order, *weight, &mut expected)?;
        }
        let step = |(counted, expected): (&f64, &f64)| {
            let step = ((counted + PRIOR) / (expected + PRIOR)).ln();
            step.clamp(-MAX_STEP, MAX_STEP)
        };
        let of_sub_column =
            |(counted, expected): (&Vec<f64>, &Vec<f64>)| counted.iter().zip(expected).map(step).collect();
        Ok(counted.iter().zip(&expected).map(of_sub_column).collect())
    }

    /// Adds how often each code is expected.
    fn expect(
        &self,
        model: &LoadedModel,
        order: &[usize],
        weight: f64,
        expected: &mut [Vec<f64>],
    ) -> Result<(), GenerateError> {
        let requested = RequestedOutputs {
            probs: (0..model.sub_columns()).collect(),
            ..RequestedOutputs::default()
        };
        let plan = model.plan(order, SamplingRules::default(), requested)?;
        let rows = self.cells.rows();
        let numbers: usize = expected.iter().map(Vec::len).sum();
        let chunk = (NUMBERS / numbers.max(1)).max(1);
        for first in (0..rows).step_by(chunk) {
            let cells = self.cells.slice(first..(first + chunk).min(rows));
            let drawn = model.run(&plan, &cells, DrawSite::default())?;
            for (row, probs) in drawn.probs.chunks_exact(numbers.max(1)).enumerate() {
                let mut rest = probs;
                for (s, expected) in expected.iter_mut().enumerate() {
                    let (of_sub_column, after) = rest.split_at(expected.len());
                    rest = after;
                    if self.counts(model, first + row, s) {
                        let pairs = expected.iter_mut().zip(of_sub_column);
                        pairs.for_each(|(sum, p)| *sum += weight * f64::from(*p));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a code means anything: beside a null flag of 1 only the flag does.
    fn counts(&self, model: &LoadedModel, row: usize, s: usize) -> bool {
        let column = model.column_of(s);
        match model.null_flag(column).filter(|flag| *flag != s) {
            Some(flag) => self.cells.get(row, flag) != Cell::TeacherForced(1),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{mixed_model, random_params, random_table};
    use crate::interpreter::InterpreterBackend;
    use crate::schema::ColumnOrderKind;

    #[test]
    fn calibration_makes_mean_predictions_the_shares_of_the_codes() {
        let (backend, seed): (Arc<dyn crate::backend::Backend>, u64) = (Arc::new(InterpreterBackend), 3);
        let model = mixed_model().with_order(ColumnOrderKind::Fixed);
        let params = random_params(model.layout().len(), 5);
        let rows = |seed| random_table(&model, 400, seed);
        let (training, validation) = (rows(1), rows(2));
        let new = calibrate_biases(&backend, (&model, &params), (&training, &validation), seed);
        let new = new.unwrap().expect("random parameters are far from calibrated");
        let biases = model.predictor_biases();
        for param in model
            .layout()
            .params()
            .iter()
            .filter(|p| !biases.contains(&p.view))
        {
            assert_eq!(
                new[param.view.range()],
                params[param.view.range()],
                "{}",
                param.name
            );
        }
        // How far the shares of codes are from what is predicted of the same rows, summed over all codes.
        let distance = |params: &[f32]| {
            let loaded = LoadedModel::new(Arc::clone(&backend), &model, params).unwrap();
            let width = loaded.sub_columns();
            let order: Vec<usize> = (0..loaded.columns().len()).collect();
            let plan = loaded
                .plan(&order, SamplingRules::default(), RequestedOutputs::all(width))
                .unwrap();
            let mut cells = Cells::sampled(400, width);
            for row in 0..400 {
                (0..width).for_each(|s| cells.set(row, s, Cell::TeacherForced(training.get(row, s))));
            }
            let drawn = loaded.run(&plan, &cells, DrawSite::default()).unwrap();
            let (mut sum, mut offset) = (0.0, 0);
            let total: usize = (0..width).map(|s| loaded.cardinality(s)).sum();
            for s in 0..width {
                for code in 0..loaded.cardinality(s) {
                    let expected: f32 = drawn.probs.iter().skip(offset + code).step_by(total).sum();
                    let counted = (0..400)
                        .filter(|row| training.get(*row, s) as usize == code)
                        .count();
                    sum += (f64::from(expected) - counted as f64).abs();
                }
                offset += loaded.cardinality(s);
            }
            sum
        };
        assert!(
            distance(&new) < 0.2 * distance(&params),
            "{} of {}",
            distance(&new),
            distance(&params)
        );
        // What is calibrated stays as it is: the validation rows do not get more likely once more by much, and never less.
        let again = calibrate_biases(&backend, (&model, &new), (&training, &validation), seed).unwrap();
        assert!(again.is_none_or(|again| distance(&again) <= distance(&new)));
    }
}
