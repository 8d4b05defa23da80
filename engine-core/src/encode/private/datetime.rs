//! Dates under a privacy budget.

use super::Release;
use crate::encode::EncodeError;
use crate::encode::calendar::{DAY, Form, days_of};
use crate::encode::datetime::{DateParts, DatetimePartial, DatetimeStats, split, text};
use crate::encode::log_histogram::BINS;
use crate::encode::log_histogram::edges;

/// Statistics of a column of dates. The range is one of powers of two of microseconds since 1970, the parts within a year have the
/// ranges that they can have. Half of the share goes to the range and the nulls, half to the form.
pub(super) fn reduce_private(
    partials: &[&DatetimePartial],
    release: &mut Release<'_>,
) -> Result<DatetimeStats, EncodeError> {
    let half = release.epsilon / 2.0;
    let mut magnitudes = vec![0; BINS + 1];
    let mut forms = [0; 3];
    for partial in partials {
        let counts = partial.log_hist.iter().copied().chain([partial.nulls.rows()]);
        magnitudes
            .iter_mut()
            .zip(counts)
            .for_each(|(all, more)| *all += more);
        forms
            .iter_mut()
            .zip(partial.forms.rows())
            .for_each(|(all, more)| *all += more);
    }
    let magnitudes = release.histogram("range and nulls", &magnitudes, half)?;
    let forms = release.histogram("times of day and milliseconds", &forms, half)?;
    // From 0001-01-01 to the last day of 9999.
    let possible = (days_of(1, 1, 1) * DAY, days_of(10_000, 1, 1) * DAY - 1);
    let ends = magnitudes.occupied(BINS).map(|(first, last)| {
        let within = |micros: f64| (micros as i64).clamp(possible.0, possible.1);
        (within(edges(first).0), within(edges(last).1))
    });
    let has_ms = ends.is_some() && forms.stands_out(2);
    let has_time = has_ms || ends.is_some() && forms.stands_out(1);
    let form = match (has_time, has_ms) {
        (_, true) => Form::Millis,
        (true, false) => Form::Seconds,
        (false, false) => Form::Date,
    };
    let (mut least, mut greatest) = (DateParts::NONE.to_array(), DateParts::NONE.to_array());
    if let Some((first, last)) = ends {
        (least, greatest) = ([0; 9], [0, 12, 31, 23, 59, 59, 9, 9, 9]);
        (least[0], least[1], least[2]) = (split(first)[0], 1, 1);
        greatest[0] = split(last)[0];
    }
    Ok(DatetimeStats::new(
        magnitudes.stands_out(BINS),
        (has_time, has_ms),
        (DateParts::from_array(least), DateParts::from_array(greatest)),
        ends.map(|(first, last)| (text((first, form)), text((last, form)))),
    ))
}
