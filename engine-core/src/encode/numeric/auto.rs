//! From partial statistics to an encoding: what all numeric encodings share, and the automatic choice among
//! them.

use indexmap::IndexMap;

use super::binned::BinnedStats;
use super::decimal::{HIGHEST, POWERS};
use super::digit::DigitStats;
use super::digits::Digits;
use super::discrete::DiscreteStats;
use super::partial::NumericPartial;
use super::values::Number;
use crate::encode::EncodingType;
use crate::encode::protection::ColumnProtection;
use crate::encode::stats::EncodingStats;
use crate::encode::strings::float_text;

/// More than this share of rows must hold values that are not rare for numbers to be discrete.
const DISCRETE_SHARE: f64 = 0.999;
/// Up to this many digits are encoded as digits.
const FEW_DIGITS: usize = 3;

/// A numeric column as a whole.
pub(super) struct Summary {
    pub(super) has_nan: bool,
    pub(super) has_neg: bool,
    pub(super) min_digits: Digits,
    pub(super) max_digits: Digits,
    /// Power of ten of the last digit in use.
    pub(super) min_decimal: i32,
    /// Power of ten of the first digit.
    pub(super) max_decimal: i32,
    /// Number of digits in use.
    digits_in_use: usize,
    /// The least and the greatest value that may be shown.
    pub(super) bounds: Option<(f64, f64)>,
    /// Values that are not rare, as text, in the order in which they first appeared.
    pub(super) categories: Vec<String>,
    /// Share of the rows that hold them; 0 where discrete numbers are out of the question.
    share: f64,
}

/// Puts partial statistics together and resolves the automatic choice.
pub(crate) fn reduce(
    partials: &[&NumericPartial],
    encoding: EncodingType,
    protection: &ColumnProtection,
) -> EncodingStats {
    let summary = Summary::of(partials, protection);
    let resolved = match encoding {
        EncodingType::NumericAuto if summary.share > DISCRETE_SHARE => EncodingType::NumericDiscrete,
        EncodingType::NumericAuto if summary.digits_in_use <= FEW_DIGITS => EncodingType::NumericDigit,
        EncodingType::NumericAuto => EncodingType::NumericBinned,
        encoding => encoding,
    };
    match resolved {
        EncodingType::NumericDiscrete => EncodingStats::Discrete(DiscreteStats::of(summary)),
        EncodingType::NumericDigit => EncodingStats::Digit(DigitStats::of(summary)),
        _ => EncodingStats::Binned(BinnedStats::of(&summary, partials, protection)),
    }
}

impl Summary {
    fn of(partials: &[&NumericPartial], protection: &ColumnProtection) -> Self {
        // A part without a single number says nothing about digits.
        let mut with_values: Vec<_> = partials.iter().filter(|p| !p.min_n.is_empty()).collect();
        if with_values.is_empty() {
            with_values = partials.iter().take(1).collect();
        }
        let mut min_digits = with_values[0].min_digits.clone();
        let mut max_digits = with_values[0].max_digits.clone();
        for partial in &with_values[1..] {
            min_digits.merge(&partial.min_digits, u8::min);
            max_digits.merge(&partial.max_digits, u8::max);
        }
        let min_decimal = max_digits.places_in_use().last().unwrap_or(0);
        let bounds = bounds(partials, protection);
        let (categories, share) = categories(partials, min_decimal, protection);
        Self {
            has_nan: partials.iter().any(|p| p.has_nan),
            has_neg: partials.iter().any(|p| p.has_neg),
            digits_in_use: max_digits.places_in_use().count(),
            min_digits,
            max_digits,
            min_decimal,
            max_decimal: max_decimal(bounds).max(min_decimal).min(HIGHEST),
            bounds,
            categories,
            share,
        }
    }
}

fn bounds(partials: &[&NumericPartial], protection: &ColumnProtection) -> Option<(f64, f64)> {
    let mut smallest: Vec<f64> = partials.iter().flat_map(|p| p.min_n.iter().copied()).collect();
    let mut largest: Vec<f64> = partials.iter().flat_map(|p| p.max_n.iter().copied()).collect();
    smallest.sort_unstable_by(f64::total_cmp);
    largest.sort_unstable_by(|a, b| b.total_cmp(a));
    protection.bounds(&smallest, &largest)
}

/// The power of ten of the first digit of the greatest absolute value, at least 0.
fn max_decimal(bounds: Option<(f64, f64)>) -> i32 {
    let greatest = bounds.map_or(0.0, |(least, greatest)| least.abs().max(greatest.abs()));
    POWERS[1..]
        .iter()
        .take_while(|&&power| greatest >= power as f64)
        .count() as i32
}

/// Values that are not rare and the share of the rows that hold them.
fn categories(
    partials: &[&NumericPartial],
    min_decimal: i32,
    protection: &ColumnProtection,
) -> (Vec<String>, f64) {
    let mut counts: IndexMap<_, (String, u64)> = IndexMap::new();
    for partial in partials.iter().filter(|p| !p.min_n.is_empty()) {
        let Some(values) = &partial.cnt_values else {
            return (Vec::new(), 0.0);
        };
        for (value, count) in values {
            let number = Number::parse(value).unwrap_or(Number::Float(f64::NAN));
            let entry = counts
                .entry(number.key())
                .or_insert_with(|| (category(number, min_decimal), 0));
            entry.1 += count;
        }
    }
    let total: u64 = counts.values().map(|(_, count)| count).sum();
    if total == 0 {
        return (Vec::new(), 0.0);
    }
    let threshold = protection.rare_threshold();
    counts.retain(|_, (_, count)| *count >= threshold);
    let kept: u64 = counts.values().map(|(_, count)| count).sum();
    (
        counts.into_values().map(|(text, _)| text).collect(),
        kept as f64 / total as f64,
    )
}

/// The text of a number, however a part wrote it: without decimals in columns of whole numbers, else as a
/// float.
fn category(number: Number, min_decimal: i32) -> String {
    match number.simplest() {
        Number::Int(value) if min_decimal >= 0 => value.to_string(),
        _ => float_text(number.as_f64()),
    }
}
