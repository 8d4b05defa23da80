//! In which order the columns of a row are drawn.

use super::{GenerateError, LoadedModel};
use crate::ir::FoldError;
use crate::random::{Purpose, Stream};

/// Separates the order of a generation from those of training batches.
const SITE: u32 = 1;

/// The order in which columns are drawn. A model that was trained with a fixed order knows no other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GenerationOrder {
    /// The order of the columns in the model.
    #[default]
    Trained,
    /// One random permutation for all rows, fixed by the seed.
    Random,
    /// Given: indices of the model's columns.
    Given(Vec<usize>),
}

impl GenerationOrder {
    /// The columns of a model in the order of their draws.
    ///
    /// # Errors
    /// [`GenerateError::ColumnOrder`] when the model has one order only and this is another; [`GenerateError::Fold`] when a given
    /// order does not name each column once.
    pub fn of(&self, model: &LoadedModel, seed: u64) -> Result<Vec<usize>, GenerateError> {
        self.resolve(model.columns().len(), model.is_any_order(), seed)
    }

    fn resolve(&self, columns: usize, any_order: bool, seed: u64) -> Result<Vec<usize>, GenerateError> {
        let trained: Vec<usize> = (0..columns).collect();
        let order = match self {
            Self::Trained => return Ok(trained),
            Self::Random => random(columns, seed),
            Self::Given(order) => order.clone(),
        };
        // Fixed-order models refuse a random order even where it happens to be the trained one.
        if !any_order && (*self == Self::Random || order != trained) {
            return Err(GenerateError::ColumnOrder);
        }
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted != trained {
            return Err(FoldError::Order { columns }.into());
        }
        Ok(order)
    }
}

/// What a request says about columns, by their indices; it decides in which order they are drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderRequest {
    /// Columns that are observed, in the caller's order.
    pub known: Vec<usize>,
    /// Columns that are rebalanced, in the caller's order.
    pub rebalanced: Vec<usize>,
    /// Columns whose unknown cells are drawn last, in the caller's order.
    pub imputed: Vec<usize>,
    /// Sensitive columns of a request for fairness, in the caller's order.
    pub sensitive: Vec<usize>,
    /// Its target.
    pub target: Option<usize>,
}

impl OrderRequest {
    /// The columns in the order of their draws: observed ones first, then rebalanced ones, sensitive ones that are not imputed, those
    /// that are, all others as they stand in the model, imputed ones, and last the target of fairness.
    pub fn order(&self, columns: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..columns).collect();
        self.imputed.iter().for_each(|c| to_end(&mut order, *c));
        let (imputed, plain): (Vec<usize>, Vec<usize>) =
            self.sensitive.iter().partition(|c| self.imputed.contains(c));
        imputed.iter().rev().for_each(|c| to_front(&mut order, *c));
        plain.iter().rev().for_each(|c| to_front(&mut order, *c));
        self.target.iter().for_each(|c| to_end(&mut order, *c));
        self.rebalanced
            .iter()
            .rev()
            .for_each(|c| to_front(&mut order, *c));
        self.known.iter().rev().for_each(|c| to_front(&mut order, *c));
        order
    }
}

fn to_end(order: &mut [usize], column: usize) {
    if let Some(at) = order.iter().position(|c| *c == column) {
        order[at..].rotate_left(1);
    }
}

fn to_front(order: &mut [usize], column: usize) {
    if let Some(at) = order.iter().position(|c| *c == column) {
        order[..=at].rotate_right(1);
    }
}

/// Columns sorted by random 64-bit keys, ties by index.
fn random(columns: usize, seed: u64) -> Vec<usize> {
    let stream = Stream::new(seed, Purpose::Order, SITE);
    let mut order: Vec<usize> = (0..columns).collect();
    order.sort_by_key(|c| {
        let [a, b, ..] = stream.block(0, 0, *c as u32);
        (a, b)
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_order_is_a_permutation_fixed_by_the_seed() {
        let order = |seed| GenerationOrder::Random.resolve(7, true, seed).unwrap();
        assert_eq!(order(1), order(1));
        let mut firsts = [0u32; 7];
        for seed in 0..7_000 {
            let mut sorted = order(seed);
            firsts[sorted[0]] += 1;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert!(firsts.iter().all(|n| (850..1_150).contains(n)), "{firsts:?}");
    }

    #[test]
    fn a_fixed_order_model_refuses_any_other() {
        let resolve = |order: GenerationOrder, any_order| order.resolve(3, any_order, 5);
        assert_eq!(resolve(GenerationOrder::Trained, false).unwrap(), [0, 1, 2]);
        assert_eq!(
            resolve(GenerationOrder::Given(vec![0, 1, 2]), false).unwrap(),
            [0, 1, 2]
        );
        assert_eq!(
            resolve(GenerationOrder::Given(vec![2, 1, 0]), true).unwrap(),
            [2, 1, 0]
        );
        for order in [vec![0, 1], vec![0, 1, 1], vec![0, 1, 3]] {
            assert_eq!(
                resolve(GenerationOrder::Given(order), true)
                    .unwrap_err()
                    .to_string(),
                "the column order does not match: it must name each of the 3 columns once"
            );
        }
        for order in [GenerationOrder::Random, GenerationOrder::Given(vec![0, 2, 1])] {
            assert_eq!(
                resolve(order, false).unwrap_err().to_string(),
                "the column order does not match that of the training: this model was trained with a fixed order; \
                 generate in the trained order, or train again without a fixed order"
            );
        }
    }
}
