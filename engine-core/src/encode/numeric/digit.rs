//! Digits: one sub-column per decimal place.

use serde::{Deserialize, Serialize};

use super::digits::Digits;
use crate::encode::stats::Cardinalities;

/// Statistics of a column of digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigitStats {
    /// `nan` if there are nulls, `neg` if there are negative numbers, then `E<max_decimal>` to `E<min_decimal>`.
    pub cardinalities: Cardinalities,
    /// Whether there are nulls.
    pub has_nan: bool,
    /// Whether there are negative numbers.
    pub has_neg: bool,
    /// Least digit by decimal place.
    pub min_digits: Digits,
    /// Greatest digit by decimal place.
    pub max_digits: Digits,
    /// Power of ten of the first digit.
    pub max_decimal: i32,
    /// Power of ten of the last digit; whole numbers if at least 0.
    pub min_decimal: i32,
    /// Least value; `None` when value protection hides it or there is none.
    pub min: Option<f64>,
    /// Greatest value; `None` when value protection hides it or there is none.
    pub max: Option<f64>,
}
