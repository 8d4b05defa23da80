//! Conversions between types that alter no value: what a type does not hold becomes null.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, downcast_primitive, new_null_array,
};
use arrow_buffer::i256;
use arrow_cast::{can_cast_types, cast};
use arrow_schema::{ArrowError, DataType};
use arrow_select::nullif::nullif;

/// Most digits of a decimal.
const MAX_DIGITS: usize = arrow_schema::DECIMAL256_MAX_PRECISION as usize;

/// Whether there is a conversion from one type to another whose result can be compared with what it was made from.
pub(crate) fn is_convertible(from: &DataType, to: &DataType) -> bool {
    from == to || can_cast_types(from, to) && (to.is_string() || can_cast_types(to, from))
}

/// Values in another type that is no dictionary. A value that is another one when it is converted back becomes null, so that only values
/// which the type holds exactly are left. Of floats in fewer bits the digits may be rounded, but none may become infinite or zero; between
/// floats and decimals, a float is the shortest decimal number that reads back equal. Texts are made of all values.
pub(crate) fn exact_cast(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let from = array.data_type();
    if from == to {
        return Ok(Arc::clone(array));
    }
    if to.is_string() {
        return cast(array, to);
    }
    if from.is_floating() && to.is_floating() {
        return narrowed_floats(array, to);
    }
    if from.is_floating() && to.is_decimal() {
        return decimals_of_floats(array, to);
    }
    let (new, back) = if from.is_decimal() && to.is_floating() {
        let new = floats_of_decimals(array, to)?;
        let back = decimals_of_floats(&new, from)?;
        (new, back)
    } else {
        let new = cast(array, to)?;
        let back = cast(&new, from)?;
        (new, back)
    };
    match altered(array, &back) {
        altered if altered.true_count() == 0 => Ok(new),
        altered => nullif(&new, &altered),
    }
}

/// Rows in which a value of `old` is missing or another one in `back`, which is of the same type.
fn altered(old: &ArrayRef, back: &ArrayRef) -> BooleanArray {
    macro_rules! of_type {
        ($type:ty) => {{
            let pairs = old
                .as_primitive::<$type>()
                .iter()
                .zip(back.as_primitive::<$type>());
            pairs
                .map(|(old, back)| Some(old.is_some() && old != back))
                .collect()
        }};
    }
    downcast_primitive! {
        old.data_type() => (of_type),
        DataType::Boolean => {
            let pairs = old.as_boolean().iter().zip(back.as_boolean());
            pairs.map(|(old, back)| Some(old.is_some() && old != back)).collect()
        }
        _ => (0..old.len()).map(|row| Some(old.is_valid(row) && back.is_null(row))).collect()
    }
}

/// Floats in other bits, null where a number has become infinite or zero.
fn narrowed_floats(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let new = cast(array, to)?;
    let (old, wide) = (cast(array, &DataType::Float64)?, cast(&new, &DataType::Float64)?);
    let pairs = old
        .as_primitive::<Float64Type>()
        .iter()
        .zip(wide.as_primitive::<Float64Type>());
    let is_lost = |(old, new): (Option<f64>, Option<f64>)| {
        let (old, new) = (old?, new?);
        Some(old.is_finite() != new.is_finite() || (old == 0.0) != (new == 0.0))
    };
    let is_lost: BooleanArray = pairs.map(|pair| Some(is_lost(pair) == Some(true))).collect();
    match is_lost.true_count() {
        0 => Ok(new),
        _ => nullif(&new, &is_lost),
    }
}

/// Each float as the shortest decimal number that reads back equal.
fn decimals_of_floats(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let texts: Vec<Option<String>> = match array.data_type() {
        DataType::Float16 => {
            let shortest = |value: <Float16Type as ArrowPrimitiveType>::Native| {
                let wide = value.to_f64();
                // Five digits tell all numbers of 16 bits apart.
                let texts = (0..5).map(|decimals| format!("{wide:.decimals$e}"));
                let equal = |text: &String| text.parse().ok().map(half_of_f64) == Some(value);
                texts
                    .into_iter()
                    .find(equal)
                    .unwrap_or_else(|| format!("{wide:e}"))
            };
            let values = array.as_primitive::<Float16Type>().iter();
            values.map(|v| v.map(shortest)).collect()
        }
        DataType::Float32 => {
            let values = array.as_primitive::<Float32Type>().iter();
            values.map(|v| v.map(|v| format!("{v:e}"))).collect()
        }
        _ => {
            let values = array.as_primitive::<Float64Type>().iter();
            values.map(|v| v.map(|v| format!("{v:e}"))).collect()
        }
    };
    decimals_of_texts(texts.iter().map(|t| t.as_deref().map(str::as_bytes)), to)
}

fn half_of_f64(value: f64) -> <Float16Type as ArrowPrimitiveType>::Native {
    <Float16Type as ArrowPrimitiveType>::Native::from_f64(value)
}

/// The nearest float of each decimal.
fn floats_of_decimals(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let texts = cast(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>().iter();
    Ok(match to {
        DataType::Float16 => {
            let values = texts.map(|t| t?.parse().ok().map(half_of_f64));
            Arc::new(values.collect::<PrimitiveArray<Float16Type>>())
        }
        DataType::Float32 => {
            let values = texts.map(|t| t?.parse().ok());
            Arc::new(values.collect::<PrimitiveArray<Float32Type>>())
        }
        _ => {
            let values = texts.map(|t| t?.parse().ok());
            Arc::new(values.collect::<PrimitiveArray<Float64Type>>())
        }
    })
}

/// Numbers in texts as decimals of a type, null where a text is no number or one that the type does not hold exactly.
pub(crate) fn decimals_of_texts<'t>(
    texts: impl Iterator<Item = Option<&'t [u8]>>,
    to: &DataType,
) -> Result<ArrayRef, ArrowError> {
    fn collect<'t, T: ArrowPrimitiveType>(
        texts: impl Iterator<Item = Option<&'t [u8]>>,
        (precision, scale): (u8, i8),
        native: impl Fn(i256) -> Option<T::Native>,
    ) -> PrimitiveArray<T> {
        texts
            .map(|text| decimal(text?, precision, scale).and_then(&native))
            .collect()
    }
    let fits = |p: &u8, s: &i8| (*p, *s);
    Ok(match to {
        DataType::Decimal32(p, s) => {
            let values = collect::<Decimal32Type>(texts, fits(p, s), |v| v.to_i128()?.try_into().ok());
            Arc::new(values.with_precision_and_scale(*p, *s)?)
        }
        DataType::Decimal64(p, s) => {
            let values = collect::<Decimal64Type>(texts, fits(p, s), |v| v.to_i128()?.try_into().ok());
            Arc::new(values.with_precision_and_scale(*p, *s)?)
        }
        DataType::Decimal128(p, s) => {
            let values = collect::<Decimal128Type>(texts, fits(p, s), i256::to_i128);
            Arc::new(values.with_precision_and_scale(*p, *s)?)
        }
        DataType::Decimal256(p, s) => {
            let values = collect::<Decimal256Type>(texts, fits(p, s), Some);
            Arc::new(values.with_precision_and_scale(*p, *s)?)
        }
        _ => new_null_array(to, texts.count()),
    })
}

/// A whole number in a text, of whatever writing (`5`, `05`, `5.0`, `5e0`), if 128 bits hold it.
pub(crate) fn whole(text: &[u8]) -> Option<i128> {
    decimal(text, MAX_DIGITS as u8, 0)?.to_i128()
}

/// A number in a text, with a point and an exponent or without, as a whole number of units of 10^-`scale`; `None` when it is none, has
/// more decimals than that, or more digits than `precision`.
fn decimal(text: &[u8], precision: u8, scale: i8) -> Option<i256> {
    let (is_negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        text => (false, text),
    };
    let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', unsigned) {
        Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let (before, after) = match memchr::memchr(b'.', mantissa) {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let are_digits = before.iter().chain(after).all(u8::is_ascii_digit);
    if before.is_empty() && after.is_empty() || !are_digits {
        return None;
    }
    let mut digits: String = before.iter().chain(after).map(|&b| char::from(b)).collect();
    let decimals = i64::try_from(after.len()).ok()?;
    // Zeros at the end are moved into the power of ten.
    let significant = digits.trim_end_matches('0').len();
    let mut power =
        exponent - decimals + i64::from(scale) + i64::try_from(digits.len() - significant).ok()?;
    digits.truncate(significant);
    let leading = digits.len() - digits.trim_start_matches('0').len();
    digits.drain(..leading);
    if digits.is_empty() {
        return Some(i256::ZERO);
    }
    if power < 0 || i64::try_from(digits.len()).ok()? + power > i64::from(precision) {
        return None;
    }
    while power > 0 {
        digits.push('0');
        power -= 1;
    }
    let value = i256::from_string(&digits)?;
    Some(if is_negative { value.wrapping_neg() } else { value })
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        text => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Beyond this it does not matter how large it is.
    let add = |sum: i64, digit: &u8| (sum * 10 + i64::from(digit - b'0')).min(1_000_000_000);
    let value = digits.iter().fold(0, add);
    Some(if is_negative { -value } else { value })
}
