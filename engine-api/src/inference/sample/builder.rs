//! Builds [`SampleOptions`] and refuses what no model could make fit.

use arrow_array::RecordBatch;
use engine_core::encode::RareReplacement;

use super::options::{ColumnOrder, Parity, Rebalance, SampleOptions};
use crate::EngineError;

/// Builds [`SampleOptions`]; made by [`SampleOptions::builder`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SampleOptionsBuilder {
    options: SampleOptions,
}

impl SampleOptions {
    /// Begins with the defaults: as many rows as the model has learnt from, by its own probabilities.
    pub fn builder() -> SampleOptionsBuilder {
        SampleOptionsBuilder::default()
    }
}

impl SampleOptionsBuilder {
    /// Number of rows, at least 1.
    pub fn rows(mut self, rows: i64) -> Self {
        self.options.rows = Some(rows);
        self
    }

    /// Seed of the draws: the same seed gives the same rows.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = Some(seed);
        self
    }

    /// Divides log-probabilities, at least 0; 1 changes nothing, 0 is nearly greedy.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.options.temperature = temperature;
        self
    }

    /// Share of the mass that the most probable values must exceed, in 0..=1.
    pub fn top_p(mut self, top_p: f64) -> Self {
        self.options.top_p = top_p;
        self
    }

    /// What stands for rare categories.
    pub fn rare(mut self, rare: RareReplacement) -> Self {
        self.options.rare = rare;
        self
    }

    /// Order of the draws; it excludes seed data, imputation, rebalancing and fairness.
    pub fn order(mut self, order: ColumnOrder) -> Self {
        self.options.order = order;
        self
    }

    /// The observed values of the rows, one row for each row that is drawn; it excludes a number of rows.
    pub fn seed_data(mut self, seed_data: RecordBatch) -> Self {
        self.options.seed_data = Some(seed_data);
        self
    }

    /// The texts that the seed data were read from, with which CSV is written.
    pub fn seed_texts(mut self, texts: RecordBatch) -> Self {
        self.options.seed_texts = Some(texts);
        self
    }

    /// A column whose nulls in the seed data are drawn, and that is never drawn null or rare; may be called again.
    pub fn impute(mut self, column: impl Into<String>) -> Self {
        self.options.impute.push(column.into());
        self
    }

    /// Shares of the values of a column, in expectation; may be called again for another column.
    pub fn rebalance<V: Into<String>>(
        self,
        column: impl Into<String>,
        shares: impl IntoIterator<Item = (V, f64)>,
    ) -> Self {
        self.shares(column.into(), shares, false)
    }

    /// Shares of the values of a column, to the row; may be called again for another column.
    pub fn rebalance_exactly<V: Into<String>>(
        self,
        column: impl Into<String>,
        shares: impl IntoIterator<Item = (V, f64)>,
    ) -> Self {
        self.shares(column.into(), shares, true)
    }

    fn shares<V: Into<String>>(
        mut self,
        column: String,
        shares: impl IntoIterator<Item = (V, f64)>,
        exact: bool,
    ) -> Self {
        let shares = shares.into_iter().map(|(value, share)| (value.into(), share));
        self.options.rebalance.push(Rebalance {
            column,
            shares: shares.collect(),
            exact,
        });
        self
    }

    /// Statistical parity of a target in all groups that the sensitive columns make.
    pub fn fairness<S: Into<String>>(
        mut self,
        target: impl Into<String>,
        sensitive: impl IntoIterator<Item = S>,
    ) -> Self {
        self.options.fairness = Some(Parity {
            target: target.into(),
            sensitive: sensitive.into_iter().map(Into::into).collect(),
        });
        self
    }

    /// Whether what does not fit is ignored with a warning rather than refused.
    pub fn lenient(mut self, lenient: bool) -> Self {
        self.options.lenient = lenient;
        self
    }

    /// Rows of a batch, at least 1; it changes the memory that is needed, never the rows.
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.options.batch_rows = rows;
        self
    }

    /// The finished options.
    ///
    /// # Errors
    /// As [`SampleOptions::check`]: options that exclude each other or are out of range, whatever the model.
    pub fn build(self) -> Result<SampleOptions, EngineError> {
        self.options.check()?;
        Ok(self.options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(builder: SampleOptionsBuilder) -> String {
        builder.build().unwrap_err().to_string()
    }

    #[test]
    fn options_are_those_that_were_named() {
        let built = SampleOptions::builder()
            .rows(10)
            .seed(3)
            .temperature(0.5)
            .impute("a")
            .rebalance("b", [("x", 0.25), ("y", 0.5)])
            .rebalance_exactly("c", [("z", 1.0)])
            .fairness("d", ["b", "c"])
            .build()
            .unwrap();
        assert_eq!(
            (built.rows, built.seed, built.temperature),
            (Some(10), Some(3), 0.5)
        );
        assert_eq!(built.impute, ["a"]);
        let rebalanced: Vec<_> = built
            .rebalance
            .iter()
            .map(|r| (r.column.as_str(), r.exact))
            .collect();
        assert_eq!(rebalanced, [("b", false), ("c", true)]);
        assert_eq!(
            built.rebalance[0].shares,
            [("x".to_owned(), 0.25), ("y".to_owned(), 0.5)]
        );
        assert_eq!(built.fairness.unwrap().sensitive, ["b", "c"]);
    }

    #[test]
    fn what_no_model_can_do_is_refused_when_it_is_built() {
        let new = SampleOptions::builder;
        let seed_data = RecordBatch::new_empty(arrow_schema::Schema::empty().into());
        let cases = [
            (new().rows(0), "0 rows cannot be generated; request at least one"),
            (
                new().temperature(f64::NAN),
                "the temperature is NaN; give a number of at least 0 (1 leaves the model's probabilities as they are)",
            ),
            (
                new().top_p(1.5),
                "top-p is 1.5; give a number from 0 to 1 (1 leaves the model's probabilities as they are)",
            ),
            (
                new().batch_rows(0),
                "a batch of 0 rows is requested; give a number from 1 to 4294967295",
            ),
            (
                new().rows(5).seed_data(seed_data),
                "a number of rows and seed data exclude each other: as many rows are drawn as the seed data have; leave the \
                 number out",
            ),
            (
                new().order(ColumnOrder::Random).impute("a"),
                "an order of the columns and seed data, imputation, rebalancing and fairness exclude each other: these need an \
                 order of their own; leave the order out",
            ),
            (
                new().rebalance("a", [("x", 0.75), ("y", 0.5)]),
                "rebalancing: the sum of the probabilities of column \"a\" is 1.25; give probabilities that sum to at most 1",
            ),
            (
                new().rebalance("a", [("x", 0.5)]).rebalance("a", [("y", 0.5)]),
                "rebalancing: column \"a\" is named twice; give all its shares at once",
            ),
            (
                new().rebalance("a", [("x", 0.5)]).fairness("a", ["b"]),
                "rebalancing and fairness of the same column exclude each other: its shares cannot both be set and follow from \
                 the groups; leave one out",
            ),
            (
                new().fairness("a", Vec::<String>::new()),
                "fairness: column \"a\" has no sensitive columns beside it; name at least one",
            ),
            (
                new().fairness("a", ["b", "a"]),
                "fairness: column \"a\" is the target and sensitive at once; leave it out of the sensitive ones",
            ),
            (
                new().fairness("a", ["b", "b"]),
                "fairness: column \"b\" is named twice",
            ),
        ];
        for (builder, sentence) in cases {
            assert_eq!(refused(builder), sentence);
        }
    }
}
