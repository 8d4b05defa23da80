//! Sizes of batches and the learning rate. They follow from the table and the model, never from the machine.

use serde::{Deserialize, Serialize};

use crate::encode::{ColumnStats, TableStats};

/// Samples per batch that the heuristic aims at: this many batches an epoch.
const BATCHES_PER_EPOCH: f64 = 64.0;
/// Smallest batch that the heuristic chooses.
const SMALLEST_BATCH: usize = 8;

/// What the heuristics look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSize {
    /// Rows to train on.
    pub training_rows: usize,
    /// Rows to validate on.
    pub validation_rows: usize,
    /// Parameters of the model.
    pub parameters: usize,
    /// Codes of one sample, see [`codes_per_sample`].
    pub codes_per_sample: u64,
}

/// Sizes of batches and the learning rate of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainPlan {
    /// Rows of a micro-batch, at least 1.
    pub batch_size: usize,
    /// Micro-batches that are accumulated into one optimiser step, at least 1.
    pub micro_batches: usize,
    /// Optimiser steps of an epoch, at least 1.
    pub steps_per_epoch: usize,
    /// Rows of a validation batch, at least 1; the last one may have fewer.
    pub validation_batch_size: usize,
    /// Learning rate at the start.
    pub learning_rate: f64,
}

/// Codes of one sample: the number of sub-columns, but at least one for every column of the table.
pub fn codes_per_sample(stats: &TableStats) -> u64 {
    let points = |column: &ColumnStats| match column {
        ColumnStats::Empty(_) => 1,
        ColumnStats::Modelled { values, .. } => values.cardinalities().len().max(1) as u64,
    };
    stats.columns.values().map(points).sum()
}

impl TrainPlan {
    /// Chooses the sizes. Given sizes are kept as far as the table has rows for them: a batch has at least one row and at
    /// most all of them.
    pub fn choose(size: TableSize, batch_size: Option<usize>, micro_batches: Option<usize>) -> Self {
        let rows = size.training_rows;
        let batch_size = batch_size
            .unwrap_or_else(|| batch_heuristic(size))
            .min(rows)
            .max(1);
        let micro_batches = micro_batches.unwrap_or(1).min(rows / batch_size).max(1);
        let logical = batch_size * micro_batches;
        Self {
            batch_size,
            micro_batches,
            steps_per_epoch: (rows / logical).max(1),
            validation_batch_size: batch_size.min(size.validation_rows).max(1),
            learning_rate: learning_rate(logical),
        }
    }

    /// Micro-batches of an epoch.
    pub fn micro_batches_per_epoch(&self) -> u32 {
        u32::try_from(self.steps_per_epoch.saturating_mul(self.micro_batches)).unwrap_or(u32::MAX)
    }

    /// Rows of an optimiser step.
    pub fn rows_per_step(&self) -> usize {
        self.batch_size * self.micro_batches
    }
}

fn batch_heuristic(size: TableSize) -> usize {
    let TableSize {
        training_rows,
        parameters,
        codes_per_sample,
        ..
    } = size;
    let cap = match (parameters, codes_per_sample) {
        (p, d) if p > 1_000_000_000 || d > 100_000 => 8,
        (p, d) if p > 100_000_000 || d > 10_000 => 32,
        (p, d) if p > 10_000_000 || d > 1_000 => 128,
        (p, d) if p > 1_000_000 || d > 100 => 512,
        _ => 2048,
    };
    let exponent = (training_rows as f64 / BATCHES_PER_EPOCH).log2().trunc();
    let batch = if exponent > 0.0 {
        exponent.exp2() as usize
    } else {
        1
    };
    batch.clamp(SMALLEST_BATCH, cap)
}

/// Grows with the square root of the rows of a step; 0.001 at 32 rows, rounded to five decimals.
fn learning_rate(rows_per_step: usize) -> f64 {
    (0.001 * (rows_per_step as f64 / 32.0).sqrt() * 1e5).round_ties_even() / 1e5
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(training_rows: usize, parameters: usize, codes_per_sample: u64) -> TrainPlan {
        let size = TableSize {
            training_rows,
            validation_rows: training_rows / 9,
            parameters,
            codes_per_sample,
        };
        TrainPlan::choose(size, None, None)
    }

    #[test]
    fn batches_and_rates_are_those_of_the_specification() {
        for (rows, batch, rate) in [
            (0, 1, 0.00018),
            (5, 5, 0.0004),
            (63, 8, 0.0005),
            (1_000, 8, 0.0005),
            (1_024, 16, 0.00071),
            (8_192, 128, 0.002),
            (39_074, 512, 0.004),
            (131_072, 2_048, 0.008),
            (10_000_000, 2_048, 0.008),
        ] {
            let plan = plan(rows, 100_000, 15);
            assert_eq!(
                (plan.batch_size, plan.learning_rate),
                (batch, rate),
                "{rows} rows"
            );
        }
        for (rows, rate) in [(64, 0.00141), (256, 0.00283), (1_024, 0.00566), (4_096, 0.01131)] {
            assert_eq!(learning_rate(rows), rate);
        }
    }

    #[test]
    fn large_models_and_wide_tables_have_smaller_batches() {
        let caps = [
            (1_000_000, 100, 2048),
            (1_000_001, 100, 512),
            (10, 101, 512),
            (10_000_001, 1, 128),
            (1, 1_001, 128),
            (100_000_001, 1, 32),
            (1, 10_001, 32),
            (1_000_000_001, 1, 8),
            (1, 100_001, 8),
        ];
        for (parameters, points, cap) in caps {
            assert_eq!(plan(1 << 30, parameters, points).batch_size, cap);
        }
    }

    #[test]
    fn given_sizes_are_kept_as_far_as_there_are_rows() {
        let size = TableSize {
            training_rows: 100,
            validation_rows: 7,
            parameters: 10,
            codes_per_sample: 3,
        };
        let plan = TrainPlan::choose(size, Some(30), Some(2));
        let expected = TrainPlan {
            batch_size: 30,
            micro_batches: 2,
            steps_per_epoch: 1,
            validation_batch_size: 7,
            learning_rate: 0.00137,
        };
        assert_eq!(plan, expected);
        let plan = TrainPlan::choose(size, Some(1_000), Some(5));
        assert_eq!(
            (plan.batch_size, plan.micro_batches, plan.steps_per_epoch),
            (100, 1, 1)
        );
        let plan = TrainPlan::choose(size, Some(0), Some(0));
        assert_eq!(
            (plan.batch_size, plan.micro_batches, plan.steps_per_epoch),
            (1, 1, 100)
        );
    }
}
