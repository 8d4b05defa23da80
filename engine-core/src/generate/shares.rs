//! Rebalancing that is exact in the count: rows are assigned their codes before anything is drawn.

use crate::ir::ops::sampling::FixedProbability;
use crate::random::{Permutation, Purpose, Stream};

/// Separates this permutation from the draws of rows.
const SITE: u32 = 1;

/// Which code each of some rows is assigned, so that every code has its share of the rows, rounded by largest remainders. A row's code
/// depends on the seed and the number of rows, not on batches.
#[derive(Debug, Clone)]
pub struct ExactQuotas {
    /// Codes with the position below which rows get them, after the one before.
    ends: Vec<(u32, u64)>,
    permutation: Permutation,
}

impl ExactQuotas {
    /// Assigns `rows` rows of a sub-column with `cardinality` codes by the shares `fixed`, which sum to at most 1. What they leave is
    /// left to the model; where every code has a share, shares are scaled to sum to 1. Sub-columns with different numbers are assigned
    /// independently of each other.
    pub fn new(
        fixed: &[FixedProbability],
        (sub_column, cardinality): (usize, usize),
        rows: u64,
        seed: u64,
    ) -> Self {
        let sum: f64 = fixed.iter().map(|f| f64::from(f.probability)).sum();
        let complete = fixed.len() >= cardinality && sum > 0.0;
        let scale = if complete || sum > 1.0 { 1.0 / sum } else { 1.0 };
        // What is left to the model takes part in the rounding, last among equals.
        let exact: Vec<f64> = fixed
            .iter()
            .map(|f| f64::from(f.probability) * scale * rows as f64)
            .collect();
        let rest = (rows as f64 - exact.iter().sum::<f64>()).max(0.0);
        let parts: Vec<f64> = exact.iter().copied().chain([rest]).collect();
        let mut counts: Vec<u64> = parts.iter().map(|x| nearly_floor(*x)).collect();
        let mut by_remainder: Vec<usize> = (0..parts.len()).collect();
        by_remainder
            .sort_by(|a, b| (parts[*b] - counts[*b] as f64).total_cmp(&(parts[*a] - counts[*a] as f64)));
        let missing = rows.saturating_sub(counts.iter().sum());
        by_remainder
            .iter()
            .take(missing as usize)
            .for_each(|i| counts[*i] += 1);
        let mut end = 0;
        let ends = fixed.iter().zip(counts).map(|(f, count)| {
            end += count;
            (f.code, end)
        });
        Self {
            ends: ends.collect(),
            permutation: Permutation::new(Stream::new(seed, Purpose::Draw, SITE), sub_column as u32, rows),
        }
    }

    /// The code of `row`, one of the rows that are assigned; `None` where it is left to the model, among the codes without a share.
    pub fn code(&self, row: u64) -> Option<u32> {
        let position = self.permutation.get(row);
        self.ends
            .iter()
            .find(|(_, end)| position < *end)
            .map(|(code, _)| *code)
    }

    /// The rules for rows that are left to the model: codes with a share are forbidden there.
    pub fn rest(fixed: &[FixedProbability]) -> Vec<FixedProbability> {
        let forbidden = |f: &FixedProbability| FixedProbability {
            probability: 0.0,
            ..*f
        };
        fixed.iter().map(forbidden).collect()
    }
}

/// The whole part; single precision shares may fall short of a whole number by rounding.
fn nearly_floor(x: f64) -> u64 {
    (x + x.abs() * 1e-7).floor() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(shares: &[(u32, f32)], cardinality: usize, rows: u64) -> Vec<(Option<u32>, u64)> {
        let fixed: Vec<_> = shares
            .iter()
            .map(|(code, probability)| FixedProbability {
                code: *code,
                probability: *probability,
            })
            .collect();
        let assigned = ExactQuotas::new(&fixed, (0, cardinality), rows, 7);
        let mut counts = std::collections::BTreeMap::new();
        (0..rows).for_each(|row| *counts.entry(assigned.code(row)).or_insert(0) += 1);
        counts.into_iter().collect()
    }

    #[test]
    fn every_code_has_its_share_of_the_rows() {
        assert_eq!(
            counts(&[(1, 0.3), (2, 0.45)], 4, 1000),
            [(None, 250), (Some(1), 300), (Some(2), 450)]
        );
        assert_eq!(
            counts(&[(0, 0.0), (1, 0.25), (2, 0.5)], 3, 9),
            [(Some(1), 3), (Some(2), 6)],
            "shares of all codes are scaled"
        );
        assert_eq!(counts(&[(1, 0.1)], 3, 20_000), [(None, 18_000), (Some(1), 2_000)]);
        assert_eq!(
            counts(&[(1, 0.5)], 2, 1),
            [(Some(1), 1)],
            "half a row goes to the named code"
        );
        assert_eq!(counts(&[(1, 0.7)], 2, 0), []);
    }

    #[test]
    fn quotas_of_sub_columns_are_independent() {
        let half = [FixedProbability {
            code: 1,
            probability: 0.5,
        }];
        let assigned = |sub_column| ExactQuotas::new(&half, (sub_column, 2), 10_000, 7);
        let (a, b) = (assigned(0), assigned(3));
        let both = (0..10_000).filter(|row| a.code(*row).is_some() && b.code(*row).is_some());
        // Two hundred are more than four standard deviations (50) off.
        assert!(both.count().abs_diff(2_500) < 200);
    }
}
