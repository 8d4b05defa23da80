//! Categorical: one code per distinct text. Rare texts share the code of `_RARE_`.

use serde::{Deserialize, Serialize};

use super::stats::{Cardinalities, Codes};

/// Statistics of a categorical column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoricalStats {
    /// Distinct texts that value protection dropped.
    #[serde(default)]
    pub no_of_rare_categories: u64,
    /// Escaped texts by code: `_RARE_`, `<<NULL>>` if there are nulls, then the texts in code-point order.
    pub codes: Codes,
    /// `cat`.
    pub cardinalities: Cardinalities,
}
