//! What jobs are asked for.

use std::fmt;
use std::str::FromStr;

use arrow::array::RecordBatch;
use engine_core::argn::ModelSize;
use engine_core::encode::{Compat, EncodingTypes, Protection, RareReplacement, StatsBudget};
use engine_core::generate::{GenerateError, GenerateOptions};

use crate::{Device, EngineError, QuestionError};

/// How a table is split.
#[derive(Debug, Clone, PartialEq)]
pub struct SplitOptions {
    /// Seed of the assignment; without one it is drawn. It becomes the seed of the workspace.
    pub seed: Option<u64>,
    /// Encodings by column. These columns come first in the model, in this order; all others get the encoding
    /// of their type and follow in table order. Output always has the table's order.
    pub encodings: EncodingTypes,
    /// Share of the rows to train on, between 0 and 1 (both excluded). At least one row is left for either
    /// purpose.
    pub training_share: f64,
    /// Number of files for either purpose, at least 1.
    pub partitions: usize,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self {
            seed: None,
            encodings: EncodingTypes::default(),
            training_share: 0.8,
            partitions: 1,
        }
    }
}

/// How a table is analyzed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnalyzeOptions {
    /// Seed of the thresholds of value protection; without one it is that of the workspace.
    pub seed: Option<u64>,
    /// Whether rare values and extremes are kept out of the statistics; on by default.
    pub protection: Protection,
    /// Whose rules hold where ours are stricter than those of mostlyai-engine; ours by default.
    pub compat: Compat,
    /// Makes the statistics differentially private within this budget, instead of protecting rare values.
    /// They then follow from no seed.
    pub stats_budget: Option<StatsBudget>,
}

/// How a table is encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Seed of the order of rows and of the values that stand in for nulls; without one it is that of the
    /// workspace.
    pub seed: Option<u64>,
}

/// What a training does with a model that is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ModelState {
    /// Starts afresh and replaces it.
    #[default]
    Reset,
    /// Starts from its weights, everything else is fresh. Without a model it starts afresh.
    Reuse,
    /// Continues where the training was, with its seed and batch size. Without a checkpoint it starts afresh
    /// with the seed of the workspace; a finished training stays as it is.
    Resume,
}

impl ModelState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Reset, Self::Reuse, Self::Resume];

    /// Its name: `reset`, `reuse` or `resume`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Reuse => "reuse",
            Self::Resume => "resume",
        }
    }
}

impl fmt::Display for ModelState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ModelState {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self, EngineError> {
        Self::ALL
            .into_iter()
            .find(|state| name.eq_ignore_ascii_case(state.name()))
            .ok_or_else(|| EngineError::OutOfRange {
                name: "the state",
                value: name.to_owned(),
                allowed: "reset, reuse or resume",
            })
    }
}

/// How a model is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSettings {
    /// Seed of start values, batches and dropout; without one it is that of the workspace. Counts only for a
    /// fresh start.
    pub seed: Option<u64>,
    /// Size of a new model.
    pub model: ModelSize,
    /// Epochs at most, at least 0, those before a resumption included. At 0 the start values are stored.
    pub max_epochs: f64,
    /// Minutes at most, at least 0, those before a resumption included.
    pub max_minutes: f64,
    /// Rows of a batch; without it a number that follows from the table and the model.
    pub batch_size: Option<usize>,
    /// Batches that are accumulated into one step; 1 without it.
    pub micro_batches: Option<usize>,
    /// Whether the model learns the order of its columns only, instead of any order.
    pub fixed_order: bool,
    /// Whether the biases of the predictors are calibrated at the end, so that generated rows have the marginals of the table.
    pub calibrate: bool,
    /// What happens to a model that is there already.
    pub state: ModelState,
    /// Where it runs.
    pub device: Device,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            seed: None,
            model: ModelSize::default(),
            max_epochs: 100.0,
            max_minutes: 14_400.0,
            batch_size: None,
            micro_batches: None,
            fixed_order: false,
            calibrate: true,
            state: ModelState::default(),
            device: Device::default(),
        }
    }
}

/// What a whole fit is asked for: split, analyze, encode and train in one go.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FitOptions {
    /// How the table is split. Its seed is that of all stages.
    pub split: SplitOptions,
    /// Whether rare values and extremes are kept out of the statistics; on by default.
    pub protection: Protection,
    /// Whose rules hold where ours are stricter than those of mostlyai-engine; ours by default.
    pub compat: Compat,
    /// Makes the statistics differentially private within this budget, instead of protecting rare values.
    pub stats_budget: Option<StatsBudget>,
    /// How the model is trained. Seed and state are taken from the fields beside it.
    pub train: TrainSettings,
    /// What happens to what is there already. Without it an unfinished workspace is begun afresh and a
    /// finished model is an error. `Resume` does what is missing; `Reuse` encodes the table with the
    /// statistics of the model and trains on from its weights.
    pub state: Option<ModelState>,
    /// Replaces whatever is there.
    pub force: bool,
    /// Removes the rows of the table from the workspace in the end, however it ends.
    pub discard_data: bool,
}

/// In which order the columns of a row are drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ColumnOrder {
    /// As they stand in the model.
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

/// How rows are sampled. [`Self::check`] says which options exclude each other; every sampling asks it first.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleOptions {
    /// Number of rows, at least 1; without it as many as the model has learnt from, or as there are conditions.
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
    /// What is known of the rows: any columns of the model and its primary key, a row for each row that is drawn, in order. They come
    /// out as they are, whether the model knows their values or not; a null is a value too, but for columns of `impute`.
    pub conditions: Option<RecordBatch>,
    /// Columns whose nulls among the conditions are drawn, and that are never drawn null or rare.
    pub impute: Vec<String>,
    /// Shares that values of columns are to have, each column once. Where the shares of several columns are set they are met in every
    /// row whatever the others hold, so these columns become independent of each other.
    pub rebalance: Vec<Rebalance>,
    /// Statistical parity.
    pub fairness: Option<Parity>,
    /// Whether what does not fit is passed over with a warning rather than refused: columns and values of conditions, columns and
    /// values of `impute` and `rebalance` that the model does not know, `rows` beside conditions.
    pub lenient: bool,
    /// Rows of a batch, at least 1. It changes the memory that is needed, never the rows.
    pub batch_rows: usize,
    /// Where it runs. Conditions, rebalancing and fairness run where the fitted model does.
    pub device: Device,
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
            conditions: None,
            impute: Vec::new(),
            rebalance: Vec::new(),
            fairness: None,
            lenient: false,
            batch_rows: 10_000,
            device: Device::default(),
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

    /// A row for each row of `conditions`, around what they say.
    pub fn around(conditions: RecordBatch) -> Self {
        Self {
            conditions: Some(conditions),
            ..Self::default()
        }
    }

    /// Whether anything but the order and the rules of the draw is asked for.
    pub(crate) fn is_plain(&self) -> bool {
        self.conditions.is_none()
            && self.impute.is_empty()
            && self.rebalance.is_empty()
            && self.fairness.is_none()
    }

    /// Looks for options that exclude each other or are out of range, which no model could make fit.
    ///
    /// # Errors
    /// [`QuestionError::Conflict`], [`QuestionError::Rebalance`] and [`QuestionError::RebalanceShare`]; [`EngineError::Generate`] for
    /// numbers out of range.
    pub fn check(&self) -> Result<(), EngineError> {
        let conflict = |first, second, reason| {
            Err(EngineError::from(QuestionError::Conflict {
                first,
                second,
                reason,
            }))
        };
        if let Some(rows) = self.rows.filter(|rows| *rows < 1) {
            return Err(GenerateError::Rows { rows }.into());
        }
        if self.batch_rows == 0 || u32::try_from(self.batch_rows).is_err() {
            let rows = self.batch_rows;
            return Err(GenerateError::BatchRows { rows }.into());
        }
        GenerateOptions {
            temperature: self.temperature,
            top_p: self.top_p,
            ..GenerateOptions::new(0)
        }
        .rules()?;
        if self.conditions.is_some() && self.rows.is_some() && !self.lenient {
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
                return Err(QuestionError::Rebalance {
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
            Err(EngineError::from(QuestionError::RebalanceShare {
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
