//! A numeric column as a whole: what the numeric encodings make their statistics of, and the automatic choice goes by.

use indexmap::IndexMap;

use super::digits::Digits;
use super::partial::{NumericPartial, PLACES};
use crate::encode::EncodingType;
use crate::encode::encodings::encoding::Reason;
use crate::encode::protection::{ColumnProtection, Extremes, Histogram, SubjectCount};
use crate::encode::values::decimal::{Decimal, HIGHEST, LOWEST, POWERS, power_of_ten};
use crate::encode::values::numbers::Number;
use crate::encode::values::strings::float_text;
use crate::schema::names::{self, NULL_FLAG};

/// More than this share of rows must hold values that are not rare for numbers to be discrete.
const DISCRETE_SHARE: f64 = 0.999;
/// Numbers have 20 decimals; of a column below this there is hardly one left.
const SMALLEST: f64 = 1e-18;
/// Up to this many digits are encoded as digits.
pub(crate) const MAX_DIGITS: usize = 3;
/// Decimals whose digits are always shown.
const DECIMALS: i32 = 8;

/// A numeric column as a whole.
pub(crate) struct Summary {
    pub(crate) has_nan: bool,
    pub(crate) has_neg: bool,
    pub(crate) min_digits: Digits,
    pub(crate) max_digits: Digits,
    /// Power of ten of the last digit in use.
    pub(crate) min_decimal: i32,
    /// Power of ten of the first digit.
    pub(crate) max_decimal: i32,
    /// Number of digits in use.
    digits_in_use: usize,
    /// Quantiles of all parts, or as much of them as may be shown.
    pub(crate) quantiles: Vec<f64>,
    /// The least and the greatest value that may be shown.
    pub(crate) bounds: Option<(f64, f64)>,
    /// Values that are not rare, in the order in which they first appeared.
    pub(crate) categories: Vec<Number>,
    /// Power of ten of the last digit that they use.
    pub(crate) min_decimal_of_categories: i32,
    /// Share of the rows that hold them; 0 where discrete numbers are ruled out.
    share: f64,
}

/// Warns of numbers that are lost for being too small.
pub(crate) fn warn_of_small_numbers(column: &str, ends: Option<(f64, f64)>) {
    let size = ends.map_or(0.0, |(least, greatest)| least.abs().max(greatest.abs()));
    if size > 0.0 && size < SMALLEST {
        tracing::warn!(
            column,
            "all numbers are so near to zero that they become zero; multiply them, or encode the column as {}",
            EncodingType::CATEGORICAL
        );
    }
}

/// Whether a number has digits beyond the highest place that digits know.
pub(crate) fn is_beyond_digits(number: f64) -> bool {
    number.abs() >= 10.0 * POWERS[HIGHEST as usize] as f64
}

impl Summary {
    /// What the automatic choice among numeric encodings goes by.
    pub(crate) fn choice(&self, protection: &ColumnProtection) -> Reason {
        let digits = self.digits_in_use;
        if self.share > DISCRETE_SHARE {
            Reason::FewValues { share: self.share }
        } else if digits <= MAX_DIGITS && (self.digits_are_all() || !protection.is_detailed()) {
            Reason::FewDigits { digits }
        } else {
            Reason::ManyDigits { digits }
        }
    }

    /// Whether no number has digits beyond the highest place that digits know; far larger ones need bins.
    fn digits_are_all(&self) -> bool {
        self.bounds
            .is_none_or(|(least, greatest)| !is_beyond_digits(least) && !is_beyond_digits(greatest))
    }

    /// Merges the parts of a column.
    pub(crate) fn of(partials: &[&NumericPartial], protection: &ColumnProtection) -> Self {
        let mut nulls = SubjectCount::default();
        let mut extremes = Extremes::default();
        let mut digits = vec![Histogram::default(); PLACES];
        for partial in partials {
            nulls += &partial.nulls;
            extremes.merge(&partial.extremes);
            digits
                .iter_mut()
                .zip(&partial.digits)
                .for_each(|(all, more)| all.merge(more));
        }
        let (min_digits, max_digits) = digit_ranges(&digits, protection);
        let min_decimal = max_digits.places_in_use().last().unwrap_or(0);
        let mut bounds = protection.ends(&extremes);
        if protection.is_native() {
            bounds = bounds.map(|bounds| within_precision(bounds, min_decimal));
        }
        let (categories, share) = categories(partials, protection);
        Self {
            has_nan: protection.flag(NULL_FLAG, &nulls),
            has_neg: match bounds {
                // What the range says already.
                Some((least, _)) if protection.is_native() => least < 0.0,
                None if protection.is_native() => false,
                _ => extremes.smallest().first().is_some_and(|&least| least < 0.0),
            },
            digits_in_use: max_digits.places_in_use().count(),
            min_digits,
            max_digits,
            min_decimal,
            max_decimal: max_decimal(bounds).max(min_decimal).min(HIGHEST),
            bounds,
            quantiles: quantiles(partials, bounds, protection),
            min_decimal_of_categories: match protection.is_native() {
                true => last_place(&categories),
                false => min_decimal,
            },
            categories,
            share,
        }
    }
}

/// The ends of a range without digits beyond the last place that may be shown: each is moved into the range to the next
/// multiple of that place.
fn within_precision((least, greatest): (f64, f64), min_decimal: i32) -> (f64, f64) {
    let scale = power_of_ten(min_decimal.abs());
    let round = |value: f64, whole: fn(f64) -> f64| {
        if value == 0.0 || Decimal::shortest(value).exponent >= min_decimal {
            value
        } else if min_decimal < 0 {
            whole(value * scale) / scale
        } else {
            whole(value / scale) * scale
        }
    };
    let (up, down) = (round(least, f64::ceil), round(greatest, f64::floor));
    // All values can lie between two multiples.
    (up.min(down), down.max(up))
}

/// The least and the greatest digit at each place that may be shown; all 0 without values. Places beyond the
/// eighth decimal are left out where their digits are 0.
fn digit_ranges(digits: &[Histogram], protection: &ColumnProtection) -> (Digits, Digits) {
    let (mut least, mut greatest) = (Vec::new(), Vec::new());
    for (exponent, histogram) in (LOWEST..=HIGHEST).rev().zip(digits) {
        let (first, last) = protection
            .range(&names::digit(exponent), histogram)
            .unwrap_or((0, 0));
        least.push(first as u8);
        greatest.push(last as u8);
    }
    let in_use = greatest
        .iter()
        .rposition(|&digit| digit > 0)
        .map_or(0, |place| place + 1);
    let held = in_use.max((HIGHEST + DECIMALS + 1) as usize);
    (
        Digits::from_highest(&least[..held]),
        Digits::from_highest(&greatest[..held]),
    )
}

/// The power of ten of the first digit of the greatest absolute value, at least 0.
pub(crate) fn max_decimal(bounds: Option<(f64, f64)>) -> i32 {
    let greatest = bounds.map_or(0.0, |(least, greatest)| least.abs().max(greatest.abs()));
    POWERS[1..]
        .iter()
        .take_while(|&&power| greatest >= power as f64)
        .count() as i32
}

/// Subject count of each number, in the order in which the parts name them; `None` when a part has numbers that it
/// did not count.
pub(crate) fn holders(partials: &[&NumericPartial]) -> Option<Vec<(Number, SubjectCount)>> {
    let mut all: IndexMap<_, (Number, SubjectCount)> = IndexMap::new();
    for partial in partials.iter().filter(|p| !p.extremes.is_empty()) {
        for (value, holders) in partial.cnt_values.as_ref()? {
            let number = Number::parse(value).unwrap_or(Number::Float(f64::NAN));
            let entry = all
                .entry(number.key())
                .or_insert_with(|| (number, SubjectCount::default()));
            entry.1 += holders;
        }
    }
    Some(all.into_values().collect())
}

/// The quantiles of all parts that may be shown, up to both ends of the range.
fn quantiles(
    partials: &[&NumericPartial],
    bounds: Option<(f64, f64)>,
    protection: &ColumnProtection,
) -> Vec<f64> {
    if !protection.is_native() {
        return partials
            .iter()
            .flat_map(|p| p.quantiles.iter().flatten().copied())
            .collect();
    }
    let shared = partials
        .iter()
        .flat_map(|p| p.shared_quantiles.iter().flatten().copied());
    let mut shown: Vec<f64> = shared.collect();
    // Rounded quantiles need not reach the ends.
    if let Some((least, greatest)) = bounds {
        if shown.iter().all(|&quantile| quantile > least) {
            shown.push(least);
        }
        if shown.iter().all(|&quantile| quantile < greatest) {
            shown.push(greatest);
        }
    }
    shown
}

/// The power of ten of the last digit that some numbers use; 0 when that is none.
pub(crate) fn last_place(numbers: &[Number]) -> i32 {
    let decimals = numbers.iter().map(|number| match number.simplest() {
        Number::Int(value) => Decimal::of_int(value),
        Number::Float(value) => Decimal::for_digits(value),
    });
    decimals
        .filter(|decimal| decimal.mantissa > 0)
        .map(|decimal| decimal.exponent)
        .min()
        .unwrap_or(0)
}

/// Values that are not rare and the share of the rows that hold them.
fn categories(partials: &[&NumericPartial], protection: &ColumnProtection) -> (Vec<Number>, f64) {
    let counts = holders(partials).unwrap_or_default();
    let total: u64 = counts.iter().map(|(_, holders)| holders.rows()).sum();
    if total == 0 {
        return (Vec::new(), 0.0);
    }
    let threshold = protection.rare_threshold();
    let kept: Vec<_> = counts
        .into_iter()
        .filter(|(_, holders)| holders.count() >= threshold)
        .collect();
    let rows: u64 = kept.iter().map(|(_, holders)| holders.rows()).sum();
    let numbers = kept.into_iter().map(|(number, _)| number);
    (numbers.collect(), rows as f64 / total as f64)
}

/// The text of a number, however a part wrote it: without decimals in columns of whole numbers, else as a
/// float.
pub(crate) fn category(number: Number, min_decimal: i32) -> String {
    match number.simplest() {
        Number::Int(value) if min_decimal >= 0 => value.to_string(),
        _ => float_text(number.as_f64()),
    }
}
