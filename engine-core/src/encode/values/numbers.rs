//! Columns as numbers.

use std::borrow::Cow;

use super::decimal::POWERS;
use super::parse_failures::ParseFailures;
use super::strings::{NULL_INDEX, decimal_text, intern};
use super::unknown::UnknownValues;
use crate::calendar;
use crate::encode::error::shorten;
use crate::encode::{Compat, EncodeError};
use crate::schema::{Column, TextValues, Values};

/// A column of whole numbers or of floats.
#[derive(Debug)]
pub(crate) enum NumberValues<'a> {
    Int(Cow<'a, [i64]>),
    Float(Cow<'a, [f64]>),
}

/// A number of either kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Int(i64),
    Float(f64),
}

/// A column as numbers: finite where valid.
#[derive(Debug)]
pub(crate) struct Numbers<'a> {
    pub(crate) values: NumberValues<'a>,
    /// Validity by row; `None` when all rows hold a number.
    pub(crate) valid: Option<Vec<bool>>,
    /// Rows that hold NaN.
    pub(crate) nans: u64,
    /// Texts that hold no number.
    pub(crate) parse_failures: Option<ParseFailures>,
}

impl Numbers<'_> {
    /// How many numbers lie beyond two ends; none when they are hidden.
    pub(crate) fn beyond(&self, bounds: Option<(f64, f64)>) -> UnknownValues {
        let Some((least, greatest)) = bounds else {
            return UnknownValues::default();
        };
        let numbers = (0..self.len()).filter_map(|row| self.get(row));
        let is_outside = |number: &Number| !(least..=greatest).contains(&number.as_f64());
        UnknownValues {
            unseen: 0,
            outside: numbers.filter(is_outside).count() as u64,
        }
    }
}

impl Number {
    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Self::Int(v) => v as f64,
            Self::Float(v) => v,
        }
    }

    /// The number as `Int` when it is whole and fits; minus zero becomes zero.
    pub(crate) fn simplest(self) -> Self {
        match self {
            Self::Float(v) if v.trunc() == v && v.abs() < 9_223_372_036_854_775_808.0 => Self::Int(v as i64),
            number => number,
        }
    }

    /// The number as a key of a map: equal numbers have equal keys, however they are held.
    pub(crate) fn key(self) -> (bool, u64) {
        match self.simplest() {
            Self::Int(value) => (true, value as u64),
            Self::Float(value) => (false, value.to_bits()),
        }
    }

    /// Reads a number of a file of statistics.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.parse() {
            Ok(value) => Some(Self::Int(value)),
            Err(_) => text.parse().ok().map(Self::Float),
        }
    }
}

impl<'a> Numbers<'a> {
    /// Reads the numbers of a column: booleans as 0 and 1, of dates the year; a text is a number from end to end or none, or the first
    /// number in it counts as in mostlyai-engine. `first_row` is the row of the whole table that the first row is.
    ///
    /// # Errors
    /// [`EncodeError::Infinite`].
    pub(crate) fn read(column: &Column<'a>, compat: Compat, first_row: u64) -> Result<Self, EncodeError> {
        let mut numbers = match column.values {
            Values::Null(rows) => Self::of(NumberValues::Int(vec![0; rows].into())),
            Values::Boolean(v) => Self::ints((0..v.len()).map(|row| v.get(row))),
            Values::Int8(v) => Self::ints(v.iter().copied()),
            Values::Int16(v) => Self::ints(v.iter().copied()),
            Values::Int32(v) => Self::ints(v.iter().copied()),
            Values::Int64(v) => Self::of(NumberValues::Int(v.into())),
            Values::UInt8(v) => Self::ints(v.iter().copied()),
            Values::UInt16(v) => Self::ints(v.iter().copied()),
            Values::UInt32(v) => Self::ints(v.iter().copied()),
            Values::UInt64(v) => Self::of(unsigned(column, v)),
            Values::Float32(v) => {
                let widened: Vec<f64> = v.iter().map(|&x| f64::from(x)).collect();
                Self::of(NumberValues::Float(widened.into()))
            }
            Values::Float64(v) => Self::of(NumberValues::Float(v.into())),
            Values::Decimal { unscaled, scale } => Self::of(decimals(column, unscaled, scale)),
            Values::Date(days) => Self::ints(days.iter().map(|&d| calendar::date_of(i64::from(d)).0)),
            Values::Timestamp { .. } => years(column),
            Values::Text(values) => read_texts(column, (values, compat), first_row),
        };
        numbers.take_out_nulls(column, first_row)?;
        Ok(numbers)
    }

    fn of(values: NumberValues<'a>) -> Self {
        Self {
            values,
            valid: None,
            nans: 0,
            parse_failures: None,
        }
    }

    fn ints(values: impl Iterator<Item = impl Into<i64>>) -> Self {
        Self::of(NumberValues::Int(
            values.map(Into::into).collect::<Vec<i64>>().into(),
        ))
    }

    /// Combines validity with the column's nulls and with NaN.
    fn take_out_nulls(&mut self, column: &Column<'_>, first_row: u64) -> Result<(), EncodeError> {
        let nullable = column.validity.is_some() || matches!(column.values, Values::Null(_));
        if nullable {
            let valid = self.valid.get_or_insert_with(|| vec![true; column.len()]);
            for (row, valid) in valid.iter_mut().enumerate() {
                *valid &= column.is_valid(row);
            }
        }
        let NumberValues::Float(values) = &self.values else {
            return Ok(());
        };
        if values.iter().all(|v| v.is_finite()) {
            return Ok(());
        }
        let valid = self.valid.get_or_insert_with(|| vec![true; values.len()]);
        for (row, (value, valid)) in values.iter().zip(valid).enumerate() {
            if *valid && value.is_infinite() {
                return Err(EncodeError::Infinite {
                    column: column.name.to_owned(),
                    row: first_row + row as u64,
                });
            }
            self.nans += u64::from(*valid && value.is_nan());
            *valid &= !value.is_nan();
        }
        Ok(())
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        match &self.values {
            NumberValues::Int(v) => v.len(),
            NumberValues::Float(v) => v.len(),
        }
    }

    /// The number of a row, null or not.
    #[inline]
    pub(crate) fn number(&self, row: usize) -> Number {
        match &self.values {
            NumberValues::Int(v) => Number::Int(v[row]),
            NumberValues::Float(v) => Number::Float(v[row]),
        }
    }

    /// The number of a row; `None` where null.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<Number> {
        self.is_valid(row).then(|| self.number(row))
    }

    #[inline]
    pub(crate) fn is_valid(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid[row])
    }
}

/// Unsigned numbers: whole when all fit, else floats.
fn unsigned<'a>(column: &Column<'_>, values: &[u64]) -> NumberValues<'a> {
    let fits = |(row, &v): (usize, &u64)| i64::try_from(v).is_ok() || !column.is_valid(row);
    if values.iter().enumerate().all(fits) {
        NumberValues::Int(values.iter().map(|&v| v as i64).collect())
    } else {
        NumberValues::Float(values.iter().map(|&v| v as f64).collect())
    }
}

fn decimals<'a>(column: &Column<'_>, unscaled: &[i128], scale: i8) -> NumberValues<'a> {
    let whole = |(row, &v): (usize, &i128)| match column.is_valid(row) {
        true => i64::try_from(v).ok(),
        false => Some(0),
    };
    let ints = (scale == 0).then(|| unscaled.iter().enumerate().map(whole).collect::<Option<Vec<_>>>());
    if let Some(Some(ints)) = ints {
        return NumberValues::Int(ints.into());
    }
    let float = |&v: &i128| match (u64::try_from(v.unsigned_abs()), usize::try_from(scale)) {
        // Both are exact as floats, so their quotient is the nearest float.
        (Ok(n), Ok(scale)) if n < 1 << 53 && scale < POWERS.len() => v as f64 / POWERS[scale] as f64,
        _ => decimal_text(v, scale).parse().unwrap_or(f64::NAN),
    };
    NumberValues::Float(unscaled.iter().map(float).collect())
}

/// The years of instants: the first number of their string form.
fn years<'a>(column: &Column<'a>) -> Numbers<'a> {
    let interned = intern(column);
    let year = |text: &Cow<'_, str>| extract(text).and_then(|n| n.parse().ok()).unwrap_or(0);
    let years: Vec<i64> = interned.texts.iter().map(year).collect();
    Numbers::ints(interned.indices.iter().map(|&index| match index {
        NULL_INDEX => 0,
        index => years[index as usize],
    }))
}

fn read_texts<'a>(
    column: &Column<'_>,
    (texts, compat): (TextValues<'_>, Compat),
    first_row: u64,
) -> Numbers<'a> {
    let number_of = match compat {
        Compat::Native => whole,
        Compat::MostlyAi => extract,
    };
    let mut valid = Vec::with_capacity(texts.len());
    let mut numbers = Vec::with_capacity(texts.len());
    let mut parse_failures = ParseFailures::default();
    for row in 0..texts.len() {
        let present = column.is_valid(row);
        let number = present
            .then(|| number_of(texts.get(row)).and_then(Number::parse))
            .flatten();
        if present && number.is_none() {
            parse_failures.add(first_row + row as u64, || shorten(texts.get(row)));
        }
        parse_failures.present += u64::from(present);
        valid.push(number.is_some());
        numbers.push(number.unwrap_or(Number::Int(0)));
    }
    let int = |number: &Number| match number {
        Number::Int(v) => Some(*v),
        Number::Float(_) => None,
    };
    let values = match numbers.iter().map(int).collect::<Option<Vec<i64>>>() {
        Some(ints) => NumberValues::Int(ints.into()),
        None => NumberValues::Float(numbers.iter().map(|n| n.as_f64()).collect()),
    };
    Numbers {
        values,
        valid: valid.contains(&false).then_some(valid),
        nans: 0,
        parse_failures: Some(parse_failures),
    }
}

/// The number that a text is: that of [`extract`], perhaps after a plus or before a last point. One that is too large for a float is
/// none.
fn whole(text: &str) -> Option<&str> {
    let text = text.trim();
    let digits = match text.strip_prefix('+') {
        Some(rest) if !rest.starts_with('-') => rest,
        _ => text,
    };
    let number = extract(digits)?;
    let is_whole = digits.strip_suffix('.').unwrap_or(digits) == number || digits == number;
    (is_whole && Number::parse(number)?.as_f64().is_finite()).then_some(number)
}

/// The first number in a text: an optional minus, digits, optionally a point with digits, optionally an
/// exponent.
fn extract(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    for start in 0..bytes.len() {
        let whole = start + usize::from(bytes[start] == b'-');
        let mut end = whole + digits(whole);
        let decimals = if bytes.get(end) == Some(&b'.') {
            digits(end + 1)
        } else {
            0
        };
        if decimals > 0 {
            end += 1 + decimals;
        } else if end == whole {
            continue;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = if end + 1 + sign < bytes.len() {
                digits(end + 1 + sign)
            } else {
                0
            };
            if exponent > 0 {
                end += 1 + sign + exponent;
            }
        }
        return Some(&text[start..end]);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_a_text_counts() {
        for (text, number) in [
            ("tax: 1.23 EURO", Some(1.23)),
            ("+.23 EURO", Some(0.23)),
            ("x4y2", Some(4.0)),
            ("1.2.3", Some(1.2)),
            ("1,234.5", Some(1.0)),
            ("--5", Some(-5.0)),
            ("5.", Some(5.0)),
            ("1.e3", Some(1.0)),
            ("1e5", Some(100_000.0)),
            ("1e400", Some(f64::INFINITY)),
            ("E", None),
            ("0x1F", Some(0.0)),
            ("-35.3", Some(-35.3)),
            ("100.0", Some(100.0)),
            ("003", Some(3.0)),
            (" .348 ", Some(0.348)),
            ("-0", Some(0.0)),
            ("N/A", None),
            ("1.2E+3", Some(1200.0)),
            ("1E03", Some(1000.0)),
            (".1E3", Some(100.0)),
            ("0.1E-1", Some(0.01)),
            ("7e", Some(7.0)),
            ("7e-", Some(7.0)),
            ("größe 12", Some(12.0)),
            ("", None),
            ("-", None),
            (".", None),
        ] {
            let read = extract(text).and_then(Number::parse).map(Number::as_f64);
            assert_eq!(read, number, "{text:?}");
        }
    }

    #[test]
    fn a_whole_text_is_a_number_or_none_is_in_it() {
        for (text, number) in [
            ("5", Some(5.0)),
            (" -1.5 ", Some(-1.5)),
            ("+5", Some(5.0)),
            ("+.5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e5", Some(100_000.0)),
            ("007", Some(7.0)),
            ("$5", None),
            ("5 %", None),
            ("1,234", None),
            ("1.234,5", None),
            ("1.2.3", None),
            ("1..", None),
            ("+-5", None),
            ("--5", None),
            ("0x1F", None),
            ("1_000", None),
            ("2024-02-29", None),
            ("1e400", None),
            ("nan", None),
            ("+", None),
            (".", None),
            ("", None),
        ] {
            let read = whole(text).and_then(Number::parse).map(Number::as_f64);
            assert_eq!(read, number, "{text:?}");
        }
    }

    #[test]
    fn nan_is_null_and_infinity_an_error() {
        let column = |values| Column {
            name: "x",
            values: Values::Float64(values),
            validity: None,
        };
        let numbers = Numbers::read(&column(&[1.0, f64::NAN]), Compat::Native, 0).unwrap();
        assert_eq!((numbers.get(0), numbers.get(1)), (Some(Number::Float(1.0)), None));
        assert_eq!(numbers.nans, 1);
        let error = Numbers::read(&column(&[1.0, f64::NEG_INFINITY]), Compat::Native, 40).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column \"x\", row 42: the value is infinite, which a numeric encoding cannot hold; replace it by a number \
             or leave it empty"
        );
    }

    #[test]
    fn decimals_are_the_nearest_floats() {
        let column = |unscaled, scale| Column {
            name: "x",
            values: Values::Decimal { unscaled, scale },
            validity: None,
        };
        let unscaled = [120, -5, 10_i128.pow(25)];
        let numbers = Numbers::read(&column(&unscaled, 2), Compat::Native, 0).unwrap();
        let read: Vec<f64> = (0..3).map(|row| numbers.number(row).as_f64()).collect();
        assert_eq!(read, [1.2, -0.05, 1e23]);
        let whole = Numbers::read(&column(&[7], 0), Compat::Native, 0).unwrap();
        assert_eq!(whole.get(0), Some(Number::Int(7)));
    }
}
