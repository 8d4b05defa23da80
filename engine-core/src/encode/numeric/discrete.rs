//! Discrete numbers: one code per distinct number.

use serde::{Deserialize, Serialize};

use crate::encode::stats::{Cardinalities, Codes};

/// Statistics of a column of few distinct numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscreteStats {
    /// `cat`.
    pub cardinalities: Cardinalities,
    /// Numbers as text by code: `_RARE_`, `<<NULL>>` if there are nulls, then the numbers.
    pub codes: Codes,
    /// Power of ten of the last digit that is ever other than 0; whole numbers if at least 0.
    pub min_decimal: i32,
}
