//! How exactly probabilities are computed.

use super::super::GenerateError;
use super::super::loaded::LoadedModel;
use crate::ir::ops::sampling::FixedProbability;
use crate::random::{Purpose, Stream};

/// Separates the orders of probability queries from those of training batches and of generation.
const SITE: u32 = 2;

/// How exactly probabilities are computed.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbabilityOptions {
    /// Codes of the targets that cannot occur, or have a set share, by sub-column; see [`crate::generate::rare_codes`].
    pub fixed: Vec<Vec<FixedProbability>>,
    /// Column orders whose results are averaged, at least 1. Fixed-order models always use that one.
    pub orders: usize,
    /// Mass that may be dropped, in all, where values have several sub-columns; 0 keeps every value.
    pub tolerance: f64,
    /// Most values of a column, in one row, that are distinguished; beyond it the least probable ones are dropped.
    pub most_values: usize,
    /// Most combinations of codes of the targets, and of columns that a fixed-order model cannot leave out, that are summed exactly
    /// in one row.
    pub max_combinations: usize,
    /// Draws of the columns that are left out, in each row, where there are more combinations; at least 2. They fill the parts of nulls
    /// at random, as generation does, where exact sums count a null once.
    pub draws: usize,
    /// Seed of the draws and of the orders.
    pub seed: u64,
}

impl Default for ProbabilityOptions {
    fn default() -> Self {
        Self {
            fixed: Vec::new(),
            orders: 1,
            tolerance: 1e-3,
            most_values: 2_048,
            max_combinations: 65_536,
            draws: 256,
            seed: 0,
        }
    }
}

impl ProbabilityOptions {
    pub(super) fn check(&self) -> Result<(), GenerateError> {
        for (option, got, min) in [("orders", self.orders, 1), ("draws", self.draws, 2)] {
            if got < min {
                return Err(GenerateError::TooFew { option, got, min });
            }
        }
        Ok(())
    }

    /// The orders of the model's columns: the trained one, then random ones. Fixed-order models have no other.
    pub(super) fn column_orders(&self, model: &LoadedModel) -> Vec<Vec<usize>> {
        let trained: Vec<usize> = (0..model.columns().len()).collect();
        let more = if model.is_any_order() { self.orders } else { 1 };
        let stream = Stream::new(self.seed, Purpose::Order, SITE);
        let random = |k: usize| {
            let mut order = trained.clone();
            order.sort_by_key(|c| {
                let [a, b, ..] = stream.block(k as u32, 0, *c as u32);
                (a, b)
            });
            order
        };
        let random = (1..more).map(random);
        [trained.clone()].into_iter().chain(random).collect()
    }
}
