//! Why a column is encoded as it is, and how much of it value protection hides.

use super::partial::{PartialStats, PartialValues};
use super::protection::ColumnProtection;
use super::stats::{ColumnStats, EncodingStats, TableStats};
use super::{Compat, EncodingType, EncodingTypes, Protection, numeric};

/// How the encoding of a column was found.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// It is the one that was asked for, or that of the column's type: there was nothing to choose.
    Given,
    /// No part of the table had a row.
    NoRows,
    /// Discrete numbers: few different ones that are not rare hold this share of the rows.
    FewValues {
        /// Share of the rows, above 0.999.
        share: f64,
    },
    /// Digits: there are too many different or rare numbers for discrete ones, but few digits.
    FewDigits {
        /// Decimal places in which a digit other than 0 occurs.
        digits: usize,
    },
    /// Bins: neither few different numbers nor few digits.
    ManyDigits {
        /// Decimal places in which a digit other than 0 occurs.
        digits: usize,
    },
}

/// How many rows an encoding shows as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Coverage {
    /// Rows that hold a value.
    pub(crate) rows: u64,
    /// Those whose value is not shown: rare ones, and extremes, which are moved to the nearest value that is.
    pub(crate) protected: u64,
    /// Different values; `None` where they were not counted.
    pub(crate) distinct: Option<u64>,
}

/// Why a column is encoded as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Name of the column.
    pub column: String,
    /// The encoding before the automatic choice.
    pub asked: EncodingType,
    /// How the encoding was found.
    pub reason: Reason,
    /// Rows that hold a value.
    pub rows: u64,
    /// Rows that hold none.
    pub nulls: u64,
    /// Rows whose value is rare or extreme, so that the statistics do not show it.
    pub protected: u64,
    /// Different values; `None` where they were not counted.
    pub distinct: Option<u64>,
}

/// Explains the statistics that [`super::reduce`] made of the same parts, one explanation for each column in model order.
/// What it says is counted without protection: it is for the owner of the table, and not to be stored with a model.
pub fn explain(
    partials: &[PartialStats],
    types: &EncodingTypes,
    stats: &TableStats,
    protection: Protection,
    compat: Compat,
    seed: u64,
) -> Vec<Explanation> {
    let total: u64 = partials.iter().map(|p| p.rows).sum();
    let columns = types.iter().zip(stats.columns.values());
    let explanation = |((name, &asked), column): ((&String, &EncodingType), &ColumnStats)| {
        let values = partials.iter().filter_map(|p| p.columns.get(name));
        let values: Vec<&PartialValues> = values.map(|c| &c.values).collect();
        let protection = ColumnProtection::new(protection, compat, seed, name);
        let (reason, coverage) = match column {
            ColumnStats::Empty(_) => (Reason::NoRows, Coverage::default()),
            ColumnStats::Modelled { values: stats, .. } => {
                (reason(&values, asked, &protection), coverage(&values, stats))
            }
        };
        Explanation {
            column: name.clone(),
            asked,
            reason,
            rows: coverage.rows,
            nulls: total.saturating_sub(coverage.rows),
            protected: coverage.protected,
            distinct: coverage.distinct,
        }
    };
    columns.map(explanation).collect()
}

fn reason(values: &[&PartialValues], asked: EncodingType, protection: &ColumnProtection) -> Reason {
    if asked != EncodingType::NumericAuto {
        return Reason::Given;
    }
    let numbers = values.iter().filter_map(|values| match values {
        PartialValues::Numeric(numbers) => Some(numbers),
        _ => None,
    });
    numeric::choice(&numbers.collect::<Vec<_>>(), protection)
}

fn coverage(values: &[&PartialValues], stats: &EncodingStats) -> Coverage {
    let mut all = Coverage {
        distinct: Some(0),
        ..Coverage::default()
    };
    for values in values {
        let part = match (values, stats) {
            (PartialValues::Categorical(values), EncodingStats::Categorical(stats)) => {
                values.coverage(&stats.codes)
            }
            (PartialValues::Numeric(numbers), EncodingStats::Discrete(stats)) => stats.coverage(numbers),
            (PartialValues::Numeric(numbers), EncodingStats::Binned(stats)) => {
                match (stats.bins.first(), stats.bins.last()) {
                    // Hidden bins have no code for the ends.
                    (Some(&least), Some(&greatest)) if stats.shows_values() => {
                        numbers.outside(least, greatest)
                    }
                    _ => all_hidden(numbers.outside(f64::NEG_INFINITY, f64::INFINITY)),
                }
            }
            (PartialValues::Numeric(numbers), EncodingStats::Digit(stats)) => {
                match stats.min.zip(stats.max) {
                    Some((least, greatest)) => numbers.outside(least, greatest),
                    None => all_hidden(numbers.outside(f64::NEG_INFINITY, f64::INFINITY)),
                }
            }
            (PartialValues::Datetime(instants), EncodingStats::Datetime(stats)) => {
                let (least, greatest) = stats.bounds();
                instants.outside(least.zip(greatest))
            }
            (PartialValues::Character(texts), EncodingStats::Character(stats)) => texts.coverage(stats),
            (PartialValues::LatLong(places), EncodingStats::LatLong(stats)) => places.coverage(stats),
            (PartialValues::DatetimeRelative(instants), EncodingStats::DatetimeRelative(stats)) => {
                instants.outside(stats)
            }
            _ => Coverage::default(),
        };
        all.rows += part.rows;
        all.protected += part.protected;
        // One part counts exactly; several may share values.
        all.distinct = all.distinct.zip(part.distinct).map(|(a, b)| a.max(b));
    }
    all
}

fn all_hidden(coverage: Coverage) -> Coverage {
    Coverage {
        protected: coverage.rows,
        ..coverage
    }
}
