//! Decoded numbers as a column of whole numbers or floats.

use crate::encode::encodings::column::Decoded;
use crate::encode::values::numbers::Number;
use crate::schema::DecodedValues;

/// Whether a signed number of 64 bits holds it, rounded.
pub(crate) fn fits_int(value: f64) -> bool {
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value)
}

/// Collects decoded numbers into a column of whole numbers or floats. Floats in a whole column are
/// rounded and cut to the range of 64 bits.
pub(crate) fn finish(rows: usize, whole: bool, value: impl Fn(usize) -> Option<Number>) -> Decoded {
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
