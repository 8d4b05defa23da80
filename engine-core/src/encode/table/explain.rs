//! Why a column is encoded as it is, and how much of it value protection hides.

use super::partial::PartialStats;
use super::stats::{ColumnStats, TableStats};
use crate::encode::encodings::column::EncodingStats;
use crate::encode::encodings::encoding::{AnyPartial, Coverage, Reason};
use crate::encode::protection::ColumnProtection;
use crate::encode::{Compat, EncodingType, EncodingTypes, Protection};

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

/// Explains the statistics that [`reduce`](crate::encode::reduce) made of the same parts, one explanation for each column in model order.
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
        let values: Vec<Option<&AnyPartial>> = values.map(|c| c.values.as_ref()).collect();
        let protection = ColumnProtection::new(protection, compat, seed, name);
        let (reason, coverage) = match column {
            ColumnStats::Empty(_) => (Reason::NoRows, Coverage::default()),
            ColumnStats::Modelled { values: stats, .. } => (
                reason(&values, asked, &protection),
                coverage(&values, asked, stats),
            ),
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

/// How this encoding follows from the requested one.
fn reason(parts: &[Option<&AnyPartial>], asked: EncodingType, protection: &ColumnProtection) -> Reason {
    let counted: Vec<&AnyPartial> = parts.iter().copied().flatten().collect();
    let encoding = asked.encoding();
    encoding.map_or(Reason::Given, |encoding| encoding.reason(&counted, protection))
}

/// How many rows of all parts are shown as they are.
fn coverage(parts: &[Option<&AnyPartial>], asked: EncodingType, stats: &EncodingStats) -> Coverage {
    let mut all = Coverage {
        distinct: Some(0),
        ..Coverage::default()
    };
    for part in parts {
        let part = part
            .zip(asked.encoding())
            .map_or_else(Coverage::default, |(part, encoding)| {
                encoding.coverage(part, stats)
            });
        all.rows += part.rows;
        all.protected += part.protected;
        // One part counts exactly; several may share values.
        all.distinct = all.distinct.zip(part.distinct).map(|(a, b)| a.max(b));
    }
    all
}
