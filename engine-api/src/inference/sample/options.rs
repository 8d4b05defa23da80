//! Options of sampling, and which of them exclude each other.

use arrow_array::RecordBatch;
use engine_core::encode::RareReplacement;
use engine_core::generate::{GenerateError, check_rows, sampling_rules};

use crate::{EngineError, InferenceError};

/// In which order the columns of a row are drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ColumnOrder {
    /// The order of the model.
    #[default]
    Model,
    /// A random order, the same for all rows, that follows from the seed.
    Random,
    /// The given order of all columns of the model, by name.
    Given(Vec<String>),
}

/// Shares that values of a column are to have among sampled rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebalance {
    /// The column, a categorical one.
    pub column: String,
    /// Values as texts, with their shares, from 0 to 1 and at most 1 together; all other values share the rest by the model's odds.
    /// `<<NULL>>` is null, `_RARE_` stands for rare values.
    pub shares: Vec<(String, f64)>,
    /// Whether the shares are those of the rows drawn, to the row, rather than those expected.
    pub exact: bool,
}

/// Statistical parity: the target is distributed alike in all groups of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parity {
    /// The target, a categorical column.
    pub target: String,
    /// Categorical columns whose combinations of values are the groups; at least one.
    pub sensitive: Vec<String>,
}

/// How rows are sampled. [`Self::check`] says which options exclude each other; every sampling calls it first.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleOptions {
    /// Number of rows, at least 1; without it as many as the model has learnt from, or as there are rows of seed data.
    pub rows: Option<i64>,
    /// Seed of the draws; without one it is drawn.
    pub seed: Option<u64>,
    /// Divides log-probabilities, at least 0; 1 changes nothing, 0 is nearly greedy.
    pub temperature: f64,
    /// Share of the mass that the most probable values must exceed, in 0..=1; 1 keeps every value.
    pub top_p: f64,
    /// What stands for rare categories.
    pub rare: RareReplacement,
    /// Order of the draws.
    pub order: ColumnOrder,
    /// The observed values of the rows: any columns of the model and its primary key, a row for each row that is drawn, in order. They are
    /// returned as they are, whether the model knows their values or not; a null is a value too, but for columns of `impute`.
    pub seed_data: Option<RecordBatch>,
    /// The texts that the seed data were read from, columns of the same names and as many rows, all `Utf8`: CSV is written with them, so that a
    /// given value is returned to the letter.
    pub seed_texts: Option<RecordBatch>,
    /// Columns whose nulls in the seed data are drawn, and that are never drawn null or rare.
    pub impute: Vec<String>,
    /// Shares that values of columns are to have, each column once. Where the shares of several columns are set they are met in every
    /// row whatever the others hold, so these columns become independent of each other.
    pub rebalance: Vec<Rebalance>,
    /// Statistical parity.
    pub fairness: Option<Parity>,
    /// Whether what does not fit is ignored with a warning rather than refused: columns and values of the seed data, columns and
    /// values of `impute` and `rebalance` that the model does not know, `rows` beside seed data.
    pub lenient: bool,
    /// Rows of a batch, at least 1. It changes the memory that is needed, never the rows.
    pub batch_rows: usize,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            rows: None,
            seed: None,
            temperature: 1.0,
            top_p: 1.0,
            rare: RareReplacement::default(),
            order: ColumnOrder::default(),
            seed_data: None,
            seed_texts: None,
            impute: Vec::new(),
            rebalance: Vec::new(),
            fairness: None,
            lenient: false,
            batch_rows: 10_000,
        }
    }
}

impl SampleOptions {
    /// Unchanged probabilities for so many rows.
    pub fn rows(rows: i64) -> Self {
        Self {
            rows: Some(rows),
            ..Self::default()
        }
    }

    /// A row for each row of `seed_data`, around what they say.
    pub fn around(seed_data: RecordBatch) -> Self {
        Self {
            seed_data: Some(seed_data),
            ..Self::default()
        }
    }

    /// Whether nothing but the order and the rules of the draw is requested.
    fn is_plain(&self) -> bool {
        self.seed_data.is_none()
            && self.impute.is_empty()
            && self.rebalance.is_empty()
            && self.fairness.is_none()
    }

    /// Looks for options that exclude each other or are out of range, which no model could make fit.
    ///
    /// # Errors
    /// [`InferenceError::Conflict`], [`InferenceError::Rebalance`] and [`InferenceError::RebalanceShare`]; [`EngineError::Generate`] for
    /// numbers out of range.
    pub fn check(&self) -> Result<(), EngineError> {
        let conflict = |first, second, reason| {
            Err(EngineError::from(InferenceError::Conflict {
                first,
                second,
                reason,
            }))
        };
        check_rows(self.rows.unwrap_or(1), self.batch_rows)?;
        sampling_rules(self.temperature, self.top_p, Vec::new())?;
        if self.seed_data.is_some() && self.rows.is_some() && !self.lenient {
            return conflict(
                "a number of rows",
                "seed data",
                "as many rows are drawn as the seed data have; leave the number out",
            );
        }
        if !self.is_plain() && self.order != ColumnOrder::Model {
            return conflict(
                "an order of the columns",
                "seed data, imputation, rebalancing and fairness",
                "these need an order of their own; leave the order out",
            );
        }
        let target = self.fairness.as_ref().map(|f| &f.target);
        if self.rebalance.iter().any(|r| Some(&r.column) == target) {
            return conflict(
                "rebalancing",
                "fairness of the same column",
                "its shares cannot both be set and follow from the groups; leave one out",
            );
        }
        for (at, rebalance) in self.rebalance.iter().enumerate() {
            if self.rebalance[..at].iter().any(|r| r.column == rebalance.column) {
                return Err(InferenceError::Rebalance {
                    column: rebalance.column.clone(),
                    reason: "is named twice; give all its shares at once",
                }
                .into());
            }
            rebalance.check()?;
        }
        self.fairness.as_ref().map_or(Ok(()), Parity::check)
    }
}

impl Parity {
    fn check(&self) -> Result<(), EngineError> {
        let wrong = |column: &str, reason| {
            let column = column.to_owned();
            Err(EngineError::from(GenerateError::Fairness { column, reason }))
        };
        if self.sensitive.is_empty() {
            return wrong(
                &self.target,
                "has no sensitive columns beside it; name at least one",
            );
        }
        for (at, column) in self.sensitive.iter().enumerate() {
            if *column == self.target {
                return wrong(
                    column,
                    "is the target and sensitive at once; leave it out of the sensitive ones",
                );
            }
            if self.sensitive[..at].contains(column) {
                return wrong(column, "is named twice");
            }
        }
        Ok(())
    }
}

impl Rebalance {
    fn check(&self) -> Result<(), EngineError> {
        let wrong = |what, share, allowed| {
            Err(EngineError::from(InferenceError::RebalanceShare {
                column: self.column.clone(),
                what,
                share,
                allowed,
            }))
        };
        for (_, share) in &self.shares {
            if !(0.0..=1.0).contains(share) {
                return wrong("a probability", *share, "a number from 0 to 1");
            }
        }
        let sum: f64 = self.shares.iter().map(|(_, share)| share).sum();
        if sum > 1.0 + 1e-9 {
            return wrong(
                "the sum of the probabilities",
                sum,
                "probabilities that sum to at most 1",
            );
        }
        Ok(())
    }
}
