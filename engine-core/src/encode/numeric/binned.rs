//! Binned numbers: one code per interval between quantiles, and codes of their own for the least and the greatest value.

use serde::{Deserialize, Serialize};

use crate::encode::stats::{Cardinalities, Codes};

/// Statistics of a binned column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinnedStats {
    /// `bin`.
    pub cardinalities: Cardinalities,
    /// The tokens `<<UNK>>`, `<<NULL>>` if there are nulls, `<<MIN>>`, `<<MAX>>`; the intervals follow them.
    pub codes: Codes,
    /// Power of ten of the last digit that is ever other than 0; whole numbers if at least 0.
    pub min_decimal: i32,
    /// Rising edges of the intervals; only 0 when value protection hides everything.
    #[serde(serialize_with = "write_bins")]
    pub bins: Vec<f64>,
}

/// Hidden bins are the whole number 0 in the file, all others floats.
fn write_bins<S: serde::Serializer>(bins: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    match bins {
        [0.0] => [0].serialize(serializer),
        bins => bins.serialize(serializer),
    }
}
