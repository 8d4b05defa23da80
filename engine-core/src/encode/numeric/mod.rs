//! Numbers: discrete, binned or by digits.

mod auto;
mod binned;
mod decimal;
mod digit;
mod digits;
mod discrete;
mod partial;
mod private;
mod quantiles;
mod values;
mod within;

pub(crate) use auto::{choice, reduce, warn_of_limits};
pub use binned::BinnedStats;
pub(crate) use decimal::Decimal;
pub use digit::DigitStats;
pub use digits::Digits;
pub use discrete::DiscreteStats;
pub(crate) use partial::{NumericPartial, analyze};
pub(crate) use private::reduce_private;
use values::Number;
pub(crate) use values::{NumberValues, Numbers};
pub use within::WithinBins;

use super::column::Decoded;
use crate::schema::DecodedValues;

/// Whether a signed number of 64 bits holds it, rounded.
fn fits_int(value: f64) -> bool {
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value)
}

/// Collects decoded numbers into a column of whole numbers or floats. Floats in a whole column are
/// rounded and cut to the range of 64 bits.
fn finish(rows: usize, whole: bool, value: impl Fn(usize) -> Option<Number>) -> Decoded {
    let mut valid = vec![true; rows];
    let mut by_row = |row: usize| {
        let number = value(row);
        valid[row] = number.is_some();
        number.unwrap_or(Number::Int(0))
    };
    let values = if whole {
        let int = |row| match by_row(row) {
            Number::Int(v) => v,
            Number::Float(v) => v.round_ties_even() as i64,
        };
        DecodedValues::Int((0..rows).map(int).collect())
    } else {
        DecodedValues::Float((0..rows).map(|row| by_row(row).as_f64()).collect())
    };
    (values, valid.contains(&false).then_some(valid))
}
