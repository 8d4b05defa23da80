//! Which codes generation leaves out, as rules of the draw.

use crate::encode::{self, RareReplacement, TableStats};
use crate::ir::ops::sampling::FixedProbability;

/// Forbidden codes of each sub-column in model order: the code of rare and of unknown values, as [`encode::rare_codes`] lists
/// them.
pub fn rare_codes(stats: &TableStats, replacement: RareReplacement) -> Vec<Vec<FixedProbability>> {
    let mut fixed = vec![Vec::new(); stats.sub_columns().len()];
    for (sub_column, code) in encode::rare_codes(stats, replacement) {
        fixed[sub_column].push(FixedProbability {
            code,
            probability: 0.0,
        });
    }
    fixed
}
