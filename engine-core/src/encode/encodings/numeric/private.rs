//! Numbers under a privacy budget.

use super::partial::{NumericPartial, PLACES};
use super::summary::{holders, max_decimal};
use crate::encode::EncodeError;
use crate::encode::error::shorten;
use crate::encode::protection::{ColumnMechanism, NoisyHistogram};
use crate::encode::values::decimal::{HIGHEST, LOWEST};
use crate::encode::values::numbers::Number;
use crate::privacy::log_histogram::{BINS, edges};

/// The numbers of a public domain, and whether there are nulls.
pub(crate) fn domain(
    values: &[String],
    partials: &[&NumericPartial],
    mechanism: &mut ColumnMechanism<'_>,
) -> Result<(Vec<Number>, bool), EncodeError> {
    let numbers = values.iter().map(|value| {
        let number = Number::parse(value).filter(|number| number.as_f64().is_finite());
        number.ok_or_else(|| EncodeError::DomainValue {
            column: mechanism.column().to_owned(),
            value: shorten(value),
        })
    });
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    let nulls = partials.iter().map(|p| p.nulls.rows()).sum();
    let has_nan = mechanism.nulls_of_domain(nulls)?;
    Ok((numbers, has_nan))
}

/// The numbers that enough rows share, each with its noisy count, and whether there are nulls.
pub(crate) fn categories(
    partials: &[&NumericPartial],
    epsilon: f64,
    mechanism: &mut ColumnMechanism<'_>,
) -> Result<(Vec<(Number, f64)>, bool), EncodeError> {
    let holders = holders(partials).unwrap_or_default();
    let counts: Vec<u64> = holders.iter().map(|(_, holders)| holders.rows()).collect();
    let nulls = partials.iter().map(|p| p.nulls.rows()).sum();
    let (kept, has_nan) = mechanism.categories(&counts, nulls, epsilon)?;
    let kept = kept.into_iter().map(|(place, count)| (holders[place].0, count));
    Ok((kept.collect(), has_nan))
}

/// Whether the numbers that were found are nearly all that there are, as far as noise allows.
pub(crate) fn are_nearly_all(numbers: &[(Number, f64)], present: f64, deviation: f64) -> bool {
    let held: f64 = numbers.iter().map(|&(_, count)| count).sum();
    let slack = 3.0 * deviation * ((numbers.len() + 2) as f64).sqrt();
    !numbers.is_empty() && held >= 0.9 * present && held >= 0.999 * present - slack
}

/// What is known about the range and the decimals.
pub(crate) struct Range {
    /// Noisy counts of the powers of two, then of nulls.
    pub(crate) magnitudes: NoisyHistogram,
    /// The first and the last power of two that stand out.
    pub(crate) occupied: Option<(usize, usize)>,
    pub(crate) min_decimal: i32,
    pub(crate) max_decimal: i32,
}

impl Range {
    /// Counts it with noise: an epsilon each goes to range (with nulls) and decimals.
    pub(crate) fn release(
        partials: &[&NumericPartial],
        epsilon: f64,
        mechanism: &mut ColumnMechanism<'_>,
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
        let magnitudes = mechanism.histogram("range and nulls", &magnitudes, epsilon)?;
        let last_places = mechanism.histogram("decimals", &last_places, epsilon)?;
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

    /// The number of rows that hold a number, of so many.
    pub(crate) fn present(&self, rows: f64) -> f64 {
        rows - self.magnitudes.counts[BINS].max(0.0)
    }

    /// The ends of the powers of two that stand out.
    pub(crate) fn bounds(&self) -> Option<(f64, f64)> {
        self.occupied.map(|(first, last)| (edges(first).0, edges(last).1))
    }
}
