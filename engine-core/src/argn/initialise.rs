//! Start values of parameters.

use std::sync::Arc;

use crate::ir::{Initialisation, ParamLayout};
use crate::random::{Purpose, Stream, uniform_f64};
use crate::schema::{CodeTable, SubColumnName};

/// The arena of a fresh model. Entry i of parameter p depends on (seed, p, i) only.
pub fn initialise(layout: &ParamLayout, seed: u64) -> Vec<f32> {
    let stream = Stream::new(seed, Purpose::Initialise, 0);
    let mut arena = vec![0.0; layout.len()];
    for param in layout.params() {
        let values = &mut arena[param.view.range()];
        let word = |i: usize| stream.block((i >> 32) as u32, i as u32, param.view.index as u32);
        match &param.initialisation {
            Initialisation::Values(given) => values.copy_from_slice(given),
            Initialisation::Uniform { bound } => {
                for (i, value) in values.iter_mut().enumerate() {
                    let [a, b, ..] = word(i);
                    *value = ((2.0 * uniform_f64(a, b) - 1.0) * bound) as f32;
                }
            }
            Initialisation::StandardNormal => {
                for (i, value) in values.iter_mut().enumerate() {
                    let [a, b, c, d] = word(i);
                    *value = box_muller(1.0 - uniform_f64(a, b), uniform_f64(c, d)) as f32;
                }
            }
        }
    }
    arena
}

/// A standard normal number from two uniform ones, the first above 0 (Box, Muller 1958, "A note on the generation of random
/// normal deviates").
fn box_muller(u: f64, v: f64) -> f64 {
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Start biases of the predictors: logarithms of the smoothed shares of the codes, `ln((n_v + 1) / (N + V))`, so that an
/// untrained model starts near the marginal distribution. Where a column has a `nan` sub-column and some row is not null, its other
/// sub-columns count only rows that are not null. All partitions are pooled.
pub fn empirical_biases(sub_columns: &[(SubColumnName, usize)], tables: &[&CodeTable]) -> Vec<Arc<[f32]>> {
    empirical_probabilities(sub_columns, tables)
        .into_iter()
        .map(|probs| probs.into_iter().map(|p| p.ln() as f32).collect())
        .collect()
}

/// The smoothed shares behind [`empirical_biases`]; each sums to 1.
pub fn empirical_probabilities(
    sub_columns: &[(SubColumnName, usize)],
    tables: &[&CodeTable],
) -> Vec<Vec<f64>> {
    let is_nan = |s: &usize| sub_columns[*s].0.sub() == "nan";
    let shares = |s: usize| {
        let (name, cardinality) = &sub_columns[s];
        let flag = (0..sub_columns.len())
            .filter(is_nan)
            .find(|n| *n != s && sub_columns[*n].0.column() == name.column());
        let count = |only_present: bool| {
            let mut counts = vec![0u64; *cardinality];
            for table in tables {
                for row in 0..table.rows() {
                    if !only_present || flag.is_none_or(|n| table.get(row, n) == 0) {
                        counts[table.get(row, s) as usize] += 1;
                    }
                }
            }
            counts
        };
        let mut counts = count(true);
        if counts.iter().all(|n| *n == 0) {
            counts = count(false);
        }
        let total: u64 = counts.iter().sum();
        let denominator = total as f64 + *cardinality as f64;
        counts
            .into_iter()
            .map(|n| ((n as f64 + 1.0) / denominator).max(1e-12))
            .collect()
    };
    (0..sub_columns.len()).map(shares).collect()
}
