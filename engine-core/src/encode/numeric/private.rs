//! Numbers under a privacy budget.

use super::auto::{FEW_DIGITS, holders, last_place, max_decimal};
use super::binned::BinnedStats;
use super::decimal::{HIGHEST, LOWEST, POWERS, power_of_ten};
use super::digit::DigitStats;
use super::digits::Digits;
use super::discrete::DiscreteStats;
use super::partial::{NumericPartial, PLACES};
use super::quantiles::INTERVALS;
use super::values::Number;
use crate::encode::error::shorten;
use crate::encode::log_histogram::{BINS, edges};
use crate::encode::private::{Noisy, Release};
use crate::encode::stats::{Cardinalities, EncodingStats};
use crate::encode::{EncodeError, EncodingType};

/// Statistics of a numeric column. Its share goes to the values where only these are asked for, in halves to range (with nulls) and
/// decimals of digits and bins, in thirds to all of them where the encoding is chosen. `rows` is the noisy number of rows.
pub(crate) fn reduce_private(
    partials: &[&NumericPartial],
    encoding: EncodingType,
    domain: Option<&[String]>,
    rows: f64,
    release: &mut Release<'_>,
) -> Result<EncodingStats, EncodeError> {
    if let Some(values) = domain {
        let numbers = values.iter().map(|value| {
            let number = Number::parse(value).filter(|number| number.as_f64().is_finite());
            number.ok_or_else(|| EncodeError::DomainValue {
                column: release.column().to_owned(),
                value: shorten(value),
            })
        });
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let nulls = partials.iter().map(|p| p.nulls.rows()).sum();
        let has_nan = release.nulls_of_domain(nulls)?;
        return Ok(discrete(numbers, has_nan));
    }
    if encoding == EncodingType::NumericDiscrete {
        let (numbers, has_nan) = categories(partials, release.epsilon, release)?;
        return Ok(discrete(
            numbers.into_iter().map(|(number, _)| number).collect(),
            has_nan,
        ));
    }
    let is_automatic = encoding == EncodingType::NumericAuto;
    let share = release.epsilon / if is_automatic { 3.0 } else { 2.0 };
    let found = match is_automatic {
        true => Some(categories(partials, share, release)?),
        false => None,
    };
    let range = Range::release(partials, share, release)?;
    if let Some((numbers, has_nan)) = found {
        let present = rows - range.magnitudes.counts[BINS].max(0.0);
        if are_nearly_all(&numbers, present, range.magnitudes.deviation()) {
            return Ok(discrete(
                numbers.into_iter().map(|(number, _)| number).collect(),
                has_nan,
            ));
        }
    }
    let is_digit = match encoding {
        EncodingType::NumericAuto => range.max_decimal - range.min_decimal < FEW_DIGITS as i32,
        encoding => encoding == EncodingType::NumericDigit,
    };
    Ok(match is_digit {
        true => EncodingStats::Digit(range.digits()),
        false => EncodingStats::Binned(range.bins()),
    })
}

/// The numbers that enough rows share, each with its noisy count, and whether there are nulls.
fn categories(
    partials: &[&NumericPartial],
    epsilon: f64,
    release: &mut Release<'_>,
) -> Result<(Vec<(Number, f64)>, bool), EncodeError> {
    let holders = holders(partials).unwrap_or_default();
    let counts: Vec<u64> = holders.iter().map(|(_, holders)| holders.rows()).collect();
    let nulls = partials.iter().map(|p| p.nulls.rows()).sum();
    let (kept, has_nan) = release.categories(&counts, nulls, epsilon)?;
    let kept = kept.into_iter().map(|(place, count)| (holders[place].0, count));
    Ok((kept.collect(), has_nan))
}

/// Discrete numbers in rising order: that of the table would tell something of its rows.
fn discrete(mut numbers: Vec<Number>, has_nan: bool) -> EncodingStats {
    numbers.sort_by(|a, b| a.as_f64().total_cmp(&b.as_f64()));
    numbers.dedup_by_key(|number| number.key());
    EncodingStats::Discrete(DiscreteStats::new(&numbers, has_nan, last_place(&numbers)))
}

/// Whether the numbers that were found are nearly all that there are, as far as noise lets one tell.
fn are_nearly_all(numbers: &[(Number, f64)], present: f64, deviation: f64) -> bool {
    let held: f64 = numbers.iter().map(|&(_, count)| count).sum();
    let slack = 3.0 * deviation * ((numbers.len() + 2) as f64).sqrt();
    !numbers.is_empty() && held >= 0.9 * present && held >= 0.999 * present - slack
}

/// What is known about the range and the decimals.
struct Range {
    /// Noisy counts of the powers of two, then of nulls.
    magnitudes: Noisy,
    /// The first and the last power of two that stand out.
    occupied: Option<(usize, usize)>,
    min_decimal: i32,
    max_decimal: i32,
}

impl Range {
    fn release(
        partials: &[&NumericPartial],
        epsilon: f64,
        release: &mut Release<'_>,
    ) -> Result<Self, EncodeError> {
        let mut magnitudes = vec![0; BINS + 1];
        let mut last_places = [0; PLACES];
        for partial in partials {
            let counts = partial.log_hist.iter().copied().chain([partial.nulls.rows()]);
            magnitudes
                .iter_mut()
                .zip(counts)
                .for_each(|(all, more)| *all += more);
            last_places
                .iter_mut()
                .zip(partial.last_places.rows())
                .for_each(|(all, more)| *all += more);
        }
        let magnitudes = release.histogram("range and nulls", &magnitudes, epsilon)?;
        let last_places = release.histogram("decimals", &last_places, epsilon)?;
        let occupied = magnitudes.occupied(BINS);
        let bounds = occupied.map(|(first, last)| (edges(first).0, edges(last).1));
        let max_decimal = max_decimal(bounds).min(HIGHEST);
        let last_place = last_places
            .occupied(PLACES)
            .map(|(first, _)| first as i32 + LOWEST);
        Ok(Self {
            occupied,
            // Beyond the first digit there is none: only zeros end there.
            min_decimal: last_place
                .filter(|&place| place <= max_decimal && occupied.is_some())
                .unwrap_or(0),
            max_decimal,
            magnitudes,
        })
    }

    fn bounds(&self) -> Option<(f64, f64)> {
        self.occupied.map(|(first, last)| (edges(first).0, edges(last).1))
    }

    /// All digits are possible, but for the first one, which the range limits.
    fn digits(self) -> DigitStats {
        let bounds = self.bounds();
        let largest = bounds.map_or(0.0, |(least, greatest)| least.abs().max(greatest.abs()));
        let greatest = |exponent: i32| match exponent {
            e if e > self.max_decimal || e < self.min_decimal || bounds.is_none() => 0,
            e if e == self.max_decimal => (largest / POWERS[e as usize] as f64).clamp(1.0, 9.0) as u8,
            _ => 9,
        };
        let lowest = self.min_decimal.min(-8);
        let places: Vec<i32> = (lowest..=HIGHEST).rev().collect();
        let max_digits: Vec<u8> = places.iter().map(|&exponent| greatest(exponent)).collect();
        let stats = DigitStats {
            cardinalities: Cardinalities::new(),
            has_nan: self.magnitudes.stands_out(BINS),
            has_neg: bounds.is_some_and(|(least, _)| least < 0.0),
            min_digits: Digits::from_highest(&vec![0; places.len()]),
            max_digits: Digits::from_highest(&max_digits),
            max_decimal: self.max_decimal,
            min_decimal: self.min_decimal,
            min: bounds.map(|(least, _)| least),
            max: bounds.map(|(_, greatest)| greatest),
        };
        stats.with_cardinalities()
    }

    /// The intervals are shared out among the powers of two by their noisy counts; within one they are equally wide.
    fn bins(self) -> BinnedStats {
        let bins = self.occupied.map(|(first, last)| {
            let weights: Vec<f64> = (first..=last)
                .map(|bin| self.magnitudes.counts[bin].max(0.0))
                .collect();
            let total: f64 = weights.iter().sum();
            let left = INTERVALS.saturating_sub(weights.len()) as f64;
            let mut all = vec![edges(first).0];
            for (bin, weight) in (first..=last).zip(weights) {
                let (lower, upper) = edges(bin);
                let share = (left * weight / total.max(1.0)) as usize + 1;
                // No narrower than the last decimal.
                let most = ((upper - lower) / power_of_ten(self.min_decimal)).max(1.0);
                let intervals = if most < share as f64 { most as usize } else { share };
                all.extend((1..=intervals).map(|i| lower + (upper - lower) * i as f64 / intervals as f64));
            }
            all.dedup();
            all
        });
        BinnedStats::new(self.magnitudes.stands_out(BINS), bins, self.min_decimal)
    }
}
