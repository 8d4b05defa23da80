//! Releases of counts: noise, and an entry in the ledger.

use crate::encode::EncodeError;
use crate::privacy::{
    DiscreteLaplace, Mechanism, PrivacyLedger, RandomWords, kept_categories, noise_level, noisy,
    occupied_cells, release_threshold,
};

/// Fewest rows, by the noisy count, that a category or a flag must have, as without a budget.
const RARE: u64 = 5;
/// How likely a flag may be raised by noise alone.
const CHANCE: f64 = 1e-3;

/// Noisy counts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NoisyHistogram {
    /// Counts by cell; they can be below 0.
    pub(crate) counts: Vec<f64>,
    epsilon: f64,
}

impl NoisyHistogram {
    /// Whether a cell holds rows that noise alone hardly explains, and not too few.
    pub(crate) fn is_above_noise(&self, cell: usize) -> bool {
        self.counts[cell] > noise_level(2, CHANCE, self.epsilon).max(RARE as f64 - 1.0)
    }

    /// The first and the last of the first `cells` cells that stand out of the noise.
    pub(crate) fn occupied(&self, cells: usize) -> Option<(usize, usize)> {
        occupied_cells(&self.counts[..cells], self.epsilon)
    }

    /// Standard deviation of the noise of a count, a little less than this.
    pub(crate) fn deviation(&self) -> f64 {
        std::f64::consts::SQRT_2 / self.epsilon
    }
}

/// The releases of one column (or of the table), which may cost no more than a share of the budget.
pub(crate) struct ColumnMechanism<'a> {
    column: Option<&'a str>,
    /// Share of epsilon.
    pub(crate) epsilon: f64,
    delta: f64,
    random: &'a mut dyn RandomWords,
    ledger: &'a mut PrivacyLedger,
}

impl<'a> ColumnMechanism<'a> {
    pub(crate) fn new(
        column: Option<&'a str>,
        (epsilon, delta): (f64, f64),
        random: &'a mut dyn RandomWords,
        ledger: &'a mut PrivacyLedger,
    ) -> Self {
        Self {
            column,
            epsilon,
            delta,
            random,
            ledger,
        }
    }

    /// Name of the column.
    pub(crate) fn column(&self) -> &str {
        self.column.unwrap_or_default()
    }

    fn noise(&mut self, counts: usize, epsilon: f64) -> Result<Vec<f64>, EncodeError> {
        let laplace = DiscreteLaplace::new(epsilon).ok_or_else(|| EncodeError::Budget {
            name: "the share of a column of epsilon",
            value: epsilon.to_string(),
            allowed: "a larger epsilon, or leave columns out",
        })?;
        let draw = |_| Ok(laplace.draw(self.random)? as f64);
        (0..counts).map(draw).collect()
    }

    /// Counts of cells that are known beforehand, of which a row is in one at most.
    pub(crate) fn histogram(
        &mut self,
        purpose: &str,
        counts: &[u64],
        epsilon: f64,
    ) -> Result<NoisyHistogram, EncodeError> {
        let noise = self.noise(counts.len(), epsilon)?;
        let mechanism = Mechanism::DiscreteLaplaceHistogram;
        self.ledger.enter(self.column, purpose, mechanism, (epsilon, 0.0));
        Ok(NoisyHistogram {
            counts: noisy(counts, &noise),
            epsilon,
        })
    }

    /// The categories of a column that are not known beforehand, and its nulls, of which it is known that
    /// there can be some: a row is in one of these counts. Returns the place and the noisy count of each
    /// category that may be shown, and whether there are nulls.
    pub(crate) fn categories(
        &mut self,
        counts: &[u64],
        nulls: u64,
        epsilon: f64,
    ) -> Result<(Vec<(usize, f64)>, bool), EncodeError> {
        let threshold =
            release_threshold(epsilon, self.delta).ok_or_else(|| EncodeError::BudgetLacksDelta {
                column: self.column().to_owned(),
            })?;
        let noise = self.noise(counts.len() + 1, epsilon)?;
        let mechanism = Mechanism::DiscreteLaplaceThreshold;
        self.ledger.enter(
            self.column,
            "categories and nulls",
            mechanism,
            (epsilon, self.delta),
        );
        let (kept, _) = kept_categories(counts, &noise, threshold.max(RARE));
        let kept = kept
            .into_iter()
            .map(|place| (place, counts[place] as f64 + noise[place]));
        let nulls = NoisyHistogram {
            counts: vec![nulls as f64 + noise[counts.len()]],
            epsilon,
        };
        Ok((kept.collect(), nulls.is_above_noise(0)))
    }

    /// Whether a column has nulls, when its values are public: the whole share goes to this.
    pub(crate) fn nulls_of_domain(&mut self, nulls: u64) -> Result<bool, EncodeError> {
        let purpose = "values that are public";
        self.ledger
            .enter(self.column, purpose, Mechanism::PublicDomain, (0.0, 0.0));
        Ok(self.histogram("nulls", &[nulls], self.epsilon)?.is_above_noise(0))
    }
}
