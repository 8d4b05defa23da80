//! Which codes generation leaves out.

use crate::encode::{ColumnStats, EncodingStats, RareReplacement, TableStats};
use crate::ir::ops::sampling::FixedProbability;

/// Whether the first code of a column is forbidden.
fn forbids_rare(stats: &EncodingStats, replacement: RareReplacement) -> bool {
    match stats {
        EncodingStats::Categorical(stats) => {
            stats.no_of_rare_categories == 0 || replacement == RareReplacement::Sample
        }
        EncodingStats::Binned(_) | EncodingStats::Discrete(_) => true,
        _ => false,
    }
}

/// Forbidden codes of each sub-column in model order: the code of rare and of unknown values. Rare categories remain, as
/// `_RARE_`, only where the table had some and the replacement is a constant.
pub fn rare_codes(stats: &TableStats, replacement: RareReplacement) -> Vec<Vec<FixedProbability>> {
    let mut fixed = Vec::new();
    for column in stats.columns.values() {
        let ColumnStats::Modelled { values, .. } = column else {
            continue;
        };
        let forbidden = forbids_rare(values, replacement);
        for _ in values.cardinalities() {
            let none = FixedProbability {
                code: 0,
                probability: 0.0,
            };
            fixed.push(if forbidden { vec![none] } else { Vec::new() });
        }
    }
    fixed
}
