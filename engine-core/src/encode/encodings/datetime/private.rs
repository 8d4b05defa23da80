//! Dates under a privacy budget.

use super::parts::{DateParts, split};
use super::range::InstantCounts;
use crate::calendar::{DAY, days_of};
use crate::encode::EncodeError;
use crate::encode::protection::{ColumnMechanism, Histogram};
use crate::encode::values::instant_text::Form;
use crate::privacy::log_histogram::{BINS, edges};

/// Exact counts of rows.
pub(crate) struct Counts {
    /// By power of two of microseconds since 1970, then of nulls.
    magnitudes: Vec<u64>,
    /// By form: a date, seconds, parts of a second.
    forms: [u64; 3],
}

/// What noisy counts show.
pub(crate) struct Shown {
    pub(crate) has_nan: bool,
    /// The first and the last instant that there may be.
    pub(crate) ends: Option<(i64, i64)>,
    pub(crate) form: Form,
}

impl Counts {
    /// Sums up parts.
    pub(crate) fn of<'a>(parts: impl Iterator<Item = (&'a InstantCounts, &'a Histogram)>) -> Self {
        let mut all = Self {
            magnitudes: vec![0; BINS + 1],
            forms: [0; 3],
        };
        for (counts, forms) in parts {
            let magnitudes = counts.log_hist.iter().copied().chain([counts.nulls.rows()]);
            all.magnitudes
                .iter_mut()
                .zip(magnitudes)
                .for_each(|(all, more)| *all += more);
            all.forms
                .iter_mut()
                .zip(forms.rows())
                .for_each(|(all, more)| *all += more);
        }
        all
    }

    /// Counts with noise. The range is one of powers of two. Half of the share goes to the range and the nulls, half to the form.
    pub(crate) fn release(&self, mechanism: &mut ColumnMechanism<'_>) -> Result<Shown, EncodeError> {
        let half = mechanism.epsilon / 2.0;
        let magnitudes = mechanism.histogram("range and nulls", &self.magnitudes, half)?;
        let forms = mechanism.histogram("times of day and milliseconds", &self.forms, half)?;
        // From 0001-01-01 to the last day of 9999.
        let possible = (days_of(1, 1, 1) * DAY, days_of(10_000, 1, 1) * DAY - 1);
        let ends = magnitudes.occupied(BINS).map(|(first, last)| {
            let within = |micros: f64| (micros as i64).clamp(possible.0, possible.1);
            (within(edges(first).0), within(edges(last).1))
        });
        let form = match ends {
            Some(_) if forms.is_above_noise(2) => Form::Millis,
            Some(_) if forms.is_above_noise(1) => Form::Seconds,
            _ => Form::Date,
        };
        Ok(Shown {
            has_nan: magnitudes.is_above_noise(BINS),
            ends,
            form,
        })
    }
}

impl Shown {
    /// The least and the greatest value of each part: those within a year have the ranges that they can have.
    pub(crate) fn ranges(&self) -> (DateParts, DateParts) {
        let Some((first, last)) = self.ends else {
            return (DateParts::NONE, DateParts::NONE);
        };
        let (mut least, mut greatest) = ([0; 9], [0, 12, 31, 23, 59, 59, 9, 9, 9]);
        (least[0], least[1], least[2]) = (split(first)[0], 1, 1);
        greatest[0] = split(last)[0];
        (DateParts::from_array(least), DateParts::from_array(greatest))
    }
}
