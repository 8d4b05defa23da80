//! Digits: one sub-column per decimal place.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decoded::finish;
use super::digits::Digits;
use super::encoding::NumericEncoding;
use super::partial::NumericPartial;
use super::private::Range;
use super::summary::{Summary, is_beyond_digits, warn_of_small_numbers};
use crate::encode::encodings::column::{
    ColumnEncoding, DecodeSite, Decoded, EncodeSite, Encoded, EncodingStats, WrittenDigits,
};
use crate::encode::encodings::encoding::{Coverage, PublicFacts, read_stats};
use crate::encode::encodings::null_fill::NullFill;
use crate::encode::encodings::tokens::Cardinalities;
use crate::encode::protection::{ColumnMechanism, ColumnProtection};
use crate::encode::values::decimal::{Decimal, HIGHEST, LOWEST, POWERS, power_of_ten};
use crate::encode::values::numbers::{Number, Numbers};
use crate::encode::{EncodeError, EncodingType};
use crate::privacy::log_histogram::BINS;
use crate::schema::names::{self, NEGATIVE_FLAG, NULL_FLAG};
use crate::schema::{CodeColumn, Column};

impl EncodingType {
    /// One sub-column per decimal digit.
    pub const NUMERIC_DIGIT: Self = Self::named("TABULAR_NUMERIC_DIGIT");
}

/// The encoding by digits.
pub(crate) struct Digit;

impl NumericEncoding for Digit {
    const TYPE: EncodingType = EncodingType::NUMERIC_DIGIT;
    const QUANTILES: bool = false;

    fn reduce(
        column: &str,
        summary: Summary,
        _partials: &[&NumericPartial],
        _protection: &ColumnProtection,
    ) -> EncodingStats {
        let stats = DigitStats::of(summary);
        let ends = stats.min.zip(stats.max);
        if ends.is_some_and(|(least, greatest)| is_beyond_digits(least) || is_beyond_digits(greatest)) {
            tracing::warn!(
                column,
                "digits beyond the 19th before the point are lost; encode the column as {}",
                EncodingType::NUMERIC_BINNED
            );
        }
        warn_of_small_numbers(column, ends);
        stats.into()
    }

    /// Half of the share goes to the range (with nulls), half to the decimals.
    fn reduce_private(
        partials: &[&NumericPartial],
        _public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError> {
        let range = Range::release(partials, mechanism.epsilon / 2.0, mechanism)?;
        Ok(DigitStats::of_range(&range).into())
    }

    fn read(keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        read_stats::<DigitStats>(keys)
    }

    fn coverage(partial: &NumericPartial, stats: &EncodingStats) -> Option<Coverage> {
        let stats: &DigitStats = stats.get()?;
        Some(partial.outside(stats.min.zip(stats.max)))
    }
}

/// Statistics of a column of digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigitStats {
    /// `nan` if there are nulls, `neg` if there are negative numbers, then `E<max_decimal>` to
    /// `E<min_decimal>`.
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

impl DigitStats {
    pub(crate) fn of(summary: Summary) -> Self {
        let stats = Self {
            cardinalities: Cardinalities::new(),
            has_nan: summary.has_nan,
            has_neg: summary.has_neg,
            min_digits: summary.min_digits,
            max_digits: summary.max_digits,
            max_decimal: summary.max_decimal,
            min_decimal: summary.min_decimal,
            min: summary.bounds.map(|(least, _)| least),
            max: summary.bounds.map(|(_, greatest)| greatest),
        };
        stats.with_cardinalities()
    }

    /// Of what is known under a privacy budget. All digits are possible, but for the first one, which the range limits.
    pub(crate) fn of_range(range: &Range) -> Self {
        let bounds = range.bounds();
        let largest = bounds.map_or(0.0, |(least, greatest)| least.abs().max(greatest.abs()));
        let greatest = |exponent: i32| match exponent {
            e if e > range.max_decimal || e < range.min_decimal || bounds.is_none() => 0,
            e if e == range.max_decimal => (largest / POWERS[e as usize] as f64).clamp(1.0, 9.0) as u8,
            _ => 9,
        };
        let lowest = range.min_decimal.min(-8);
        let places: Vec<i32> = (lowest..=HIGHEST).rev().collect();
        let max_digits: Vec<u8> = places.iter().map(|&exponent| greatest(exponent)).collect();
        let stats = Self {
            cardinalities: Cardinalities::new(),
            has_nan: range.magnitudes.is_above_noise(BINS),
            has_neg: bounds.is_some_and(|(least, _)| least < 0.0),
            min_digits: Digits::from_highest(&vec![0; places.len()]),
            max_digits: Digits::from_highest(&max_digits),
            max_decimal: range.max_decimal,
            min_decimal: range.min_decimal,
            min: bounds.map(|(least, _)| least),
            max: bounds.map(|(_, greatest)| greatest),
        };
        stats.with_cardinalities()
    }

    /// The same with the cardinalities that follow.
    fn with_cardinalities(mut self) -> Self {
        self.cardinalities = self.expected_cardinalities();
        self
    }

    fn expected_cardinalities(&self) -> Cardinalities {
        let flags = [(NULL_FLAG, self.has_nan), (NEGATIVE_FLAG, self.has_neg)];
        let flags = flags
            .into_iter()
            .filter(|&(_, is_there)| is_there)
            .map(|(name, _)| (name.to_owned(), 2));
        flags
            .chain(
                self.places()
                    .map(|e| (names::digit(e), usize::from(self.range(e)) + 1)),
            )
            .collect()
    }

    /// Powers of ten from the first digit to the last.
    fn places(&self) -> impl Iterator<Item = i32> + use<> {
        (self.min_decimal..=self.max_decimal).rev()
    }

    /// The greatest code of a place.
    fn range(&self, exponent: i32) -> u8 {
        self.max_digits
            .get(exponent)
            .saturating_sub(self.min_digits.get(exponent))
    }

    /// A number as it is encoded: in whole columns rounded, and moved into the range. Returns its sign and
    /// its digits.
    fn prepare(&self, number: Number) -> (bool, Decimal) {
        let whole = self.min_decimal >= 0;
        let number = match number {
            Number::Float(v) if whole => Number::Float(v.round_ties_even()).simplest(),
            number => number,
        };
        match number {
            Number::Int(v) => {
                let v = self.min.map_or(v, |min| v.max(min as i64));
                let v = self.max.map_or(v, |max| v.min(max as i64));
                (v < 0, Decimal::of_int(v))
            }
            Number::Float(v) => {
                let bound = |bound: f64| if whole { bound.trunc() } else { bound };
                let v = self.min.map_or(v, |min| v.max(bound(min)));
                let v = self.max.map_or(v, |max| v.min(bound(max)));
                match Number::Float(v).simplest() {
                    Number::Int(v) if whole => (v < 0, Decimal::of_int(v)),
                    _ => (v < 0.0, Decimal::for_digits(v)),
                }
            }
        }
    }
}

impl ColumnEncoding for DigitStats {
    fn encoding_type(&self) -> EncodingType {
        EncodingType::NUMERIC_DIGIT
    }

    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if self.min_decimal < LOWEST || self.max_decimal > HIGHEST || self.min_decimal > self.max_decimal {
            return Err((
                "min_decimal",
                format!("it and max_decimal must rise and lie between {LOWEST} and {HIGHEST}"),
            ));
        }
        if self.cardinalities.iter().ne(self.expected_cardinalities().iter()) {
            return Err(("cardinalities", "they do not fit the digits".to_owned()));
        }
        Ok(())
    }

    fn written_digits(&self) -> WrittenDigits {
        let ends = [self.min, self.max].into_iter().flatten();
        WrittenDigits {
            last_place: Some(self.min_decimal),
            largest: ends.fold(0.0, |m: f64, v| m.max(v.abs())),
            milliseconds: false,
        }
    }

    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Encoded, EncodeError> {
        let numbers = Numbers::read(column, site.compat, site.first_row)?;
        let rows = numbers.len();
        let fill = NullFill::new(numbers.valid.as_deref(), site);
        let places: Vec<(u8, u8)> = self
            .places()
            .map(|e| (self.min_digits.get(e), self.range(e)))
            .collect();
        let mut negative = vec![0u8; rows];
        let mut digits = vec![vec![0u8; rows]; places.len()];
        let mut of_row = vec![0u8; places.len()];
        for row in 0..rows {
            let Some(source) = fill.source(row) else { continue };
            let (is_negative, decimal) = self.prepare(numbers.number(source));
            negative[row] = u8::from(is_negative);
            of_row.fill(0);
            decimal.each_digit(|exponent, digit| {
                let place = usize::try_from(self.max_decimal - exponent);
                if let Some(slot) = place.ok().and_then(|place| of_row.get_mut(place)) {
                    *slot = digit;
                }
            });
            for ((codes, &digit), &(least, range)) in digits.iter_mut().zip(&of_row).zip(&places) {
                codes[row] = digit.saturating_sub(least).min(range);
            }
        }
        let nulls = self
            .has_nan
            .then(|| (0..rows).map(|row| u8::from(!numbers.is_valid(row))).collect());
        let negative = self.has_neg.then_some(negative);
        let codes = nulls.into_iter().chain(negative).chain(digits);
        Ok(Encoded {
            codes: codes.map(CodeColumn::U8).collect(),
            unknown: numbers.beyond(self.min.zip(self.max)),
        })
    }

    fn decode(&self, codes: &[CodeColumn], rows: usize, _site: DecodeSite) -> Decoded {
        let whole = self.min_decimal >= 0;
        let nulls = self.has_nan.then(|| &codes[0]);
        let negative = self.has_neg.then(|| &codes[usize::from(self.has_nan)]);
        let digits = &codes[usize::from(self.has_nan) + usize::from(self.has_neg)..];
        let places: Vec<(i32, u64)> = self
            .places()
            .map(|e| (e, u64::from(self.min_digits.get(e))))
            .collect();
        // Without bounds every value is hidden: either none was seen or too few to show any.
        let bounds = self.min.zip(self.max);
        let value = |row: usize| {
            let (min, max) = bounds?;
            if nulls.is_some_and(|nulls| nulls.get(row) == 1) {
                return None;
            }
            let (mut integer, mut fraction) = (0u64, None::<f64>);
            for (codes, &(exponent, least)) in digits.iter().zip(&places) {
                let digit = u64::from(codes.get(row)) + least;
                if exponent >= 0 {
                    integer += digit * POWERS[exponent as usize];
                } else {
                    fraction =
                        Some(fraction.unwrap_or(integer as f64) + digit as f64 * power_of_ten(exponent));
                }
            }
            let is_negative = negative.is_some_and(|negative| negative.get(row) == 1);
            Some(if whole {
                let v = i64::try_from(integer).unwrap_or(i64::MAX);
                let v = if is_negative { -v } else { v };
                Number::Int(round_to_place(
                    v.max(min as i64).min(max as i64),
                    self.min_decimal,
                ))
            } else {
                let v = fraction.unwrap_or(integer as f64);
                let v = if is_negative { -v } else { v };
                let scale = power_of_ten(-self.min_decimal);
                Number::Float((v.max(min).min(max) * scale).round_ties_even() / scale)
            })
        };
        finish(rows, whole, value)
    }
}

/// Rounds half to even to a multiple of `10^exponent`, in floats like mostlyai-engine.
fn round_to_place(value: i64, exponent: i32) -> i64 {
    if exponent <= 0 {
        return value;
    }
    let unit = power_of_ten(exponent);
    ((value as f64 / unit).round_ties_even() * unit) as i64
}
