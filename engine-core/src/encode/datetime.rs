//! Dates and times: one sub-column per part, from the year to the last digit of the millisecond.

use serde::{Deserialize, Serialize};

use super::calendar::{self, DAY, Form, SECOND, date_of, days_in_month, days_of};
use super::column::{ColumnEncoding, DecodeSite, Decoded, EncodeSite};
use super::dates::Dates;
use super::explain::Coverage;
use super::impute::Stand;
use super::instants::Instants;
use super::log_histogram;
use super::partial::Misfits;
use super::protection::ColumnProtection;
use super::stats::Cardinalities;
use super::support::{EXTREMES, Extremes, Spread, Support};
use super::{Compat, EncodeError};
use crate::schema::{CodeColumn, Column, DecodedValues};

/// Names of the parts.
const PARTS: [&str; 9] = [
    "year", "month", "day", "hour", "minute", "second", "ms_E2", "ms_E1", "ms_E0",
];
/// One value for every part of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateParts {
    /// Year.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Day, 1 to 31.
    pub day: i64,
    /// Hour, 0 to 23.
    pub hour: i64,
    /// Minute, 0 to 59.
    pub minute: i64,
    /// Second, 0 to 59.
    pub second: i64,
    /// Hundreds of milliseconds, 0 to 9.
    #[serde(rename = "ms_E2")]
    pub ms_e2: i64,
    /// Tens of milliseconds, 0 to 9.
    #[serde(rename = "ms_E1")]
    pub ms_e1: i64,
    /// Milliseconds, 0 to 9.
    #[serde(rename = "ms_E0")]
    pub ms_e0: i64,
}

impl DateParts {
    /// The parts of columns without a single date.
    pub(super) const NONE: Self = Self::from_array([2022, 1, 1, 0, 0, 0, 0, 0, 0]);

    pub(super) const fn from_array(
        [year, month, day, hour, minute, second, ms_e2, ms_e1, ms_e0]: [i64; 9],
    ) -> Self {
        Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ms_e2,
            ms_e1,
            ms_e0,
        }
    }

    pub(super) fn to_array(self) -> [i64; 9] {
        [
            self.year,
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second,
            self.ms_e2,
            self.ms_e1,
            self.ms_e0,
        ]
    }
}

/// The parts of an instant.
pub(super) fn split(micros: i64) -> [i64; 9] {
    let (year, month, day) = date_of(micros.div_euclid(DAY));
    let millis = micros.rem_euclid(DAY) / 1_000;
    let second = millis / 1_000;
    [
        year,
        month,
        day,
        second / 3_600,
        second / 60 % 60,
        second % 60,
        millis / 100 % 10,
        millis / 10 % 10,
        millis % 10,
    ]
}

/// The instant of parts; a day beyond the end of its month is the last of the month.
pub(super) fn join([year, month, day, hour, minute, second, e2, e1, e0]: [i64; 9]) -> i64 {
    let days = days_of(year, month, day.min(days_in_month(year, month)));
    let millis = ((hour * 60 + minute) * 60 + second) * 1_000 + e2 * 100 + e1 * 10 + e0;
    days * DAY + millis * 1_000
}

/// An instant and the form that the part of the table it is from writes instants in.
pub(super) type Written = (i64, Form);

/// Statistics of a column of dates in a part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatetimePartial {
    pub(crate) nulls: Support,
    pub(crate) extremes: Extremes<Written>,
    /// The values of each part, the year left out.
    parts: [Spread; 8],
    pub(crate) log_hist: Vec<u64>,
    /// Instants that need nothing but a date, those that need seconds, and those that need parts of a second.
    pub(crate) forms: Spread,
    pub(crate) misfits: Option<Misfits>,
}

impl DatetimePartial {
    /// Takes in the rows that follow.
    pub(crate) fn merge(&mut self, later: Self) {
        self.nulls += &later.nulls;
        self.extremes.merge(&later.extremes);
        let parts = self.parts.iter_mut().zip(&later.parts);
        parts.for_each(|(all, more)| all.merge(more));
        for (count, more) in self.log_hist.iter_mut().zip(later.log_hist) {
            *count += more;
        }
        self.forms.merge(&later.forms);
        Misfits::join(&mut self.misfits, later.misfits);
    }

    /// Rows that hold an instant, and how many of them lie outside the ends; all of them when these are hidden.
    pub(crate) fn outside(&self, ends: Option<(i64, i64)>) -> Coverage {
        let rows = self.log_hist.iter().sum();
        let protected = ends.map_or(rows, |(least, greatest)| {
            let below = self
                .extremes
                .smallest()
                .iter()
                .filter(|(t, _)| *t < least)
                .count();
            let above = self
                .extremes
                .largest()
                .iter()
                .filter(|(t, _)| *t > greatest)
                .count();
            (below + above) as u64
        });
        Coverage {
            rows,
            protected,
            distinct: None,
        }
    }
}

/// Seconds and nanoseconds of an instant.
fn seconds_of(micros: i64) -> (i64, u32) {
    (
        micros.div_euclid(SECOND),
        micros.rem_euclid(SECOND) as u32 * 1_000,
    )
}

fn form_of(micros: i64) -> Form {
    let (seconds, nanos) = seconds_of(micros);
    Form::of(seconds, nanos)
}

/// An instant as text.
pub(super) fn text((micros, form): Written) -> String {
    let (seconds, nanos) = seconds_of(micros);
    calendar::instant_text(seconds, nanos, form)
}

/// The extremes of rising instants; those of either end all get the shortest form that shows them wholly.
pub(super) fn extremes(sorted: &[(i64, Option<u32>)]) -> Extremes<Written> {
    let shown = sorted.len().min(EXTREMES);
    let longest = |some: &[(i64, Option<u32>)]| some.iter().map(|&(t, _)| form_of(t)).max();
    let first = longest(&sorted[..shown]).unwrap_or(Form::Date);
    let last = longest(&sorted[sorted.len() - shown..]).unwrap_or(Form::Date);
    let written = |form: Form| sorted.iter().map(move |&(t, subject)| ((t, form), subject));
    Extremes::new(written(first), written(last).rev())
}

/// Counts a column of dates. `first_row` is the row of the whole table that the first row is, `subjects` are
/// those of the rows, if rows name any.
pub(crate) fn analyze(
    column: &Column<'_>,
    compat: Compat,
    subjects: Option<&[u32]>,
    first_row: u64,
) -> Result<DatetimePartial, EncodeError> {
    let instants = Instants::read(column, compat, first_row)?;
    if instants.out_of_range > 0 {
        let rows = instants.out_of_range;
        tracing::warn!(
            column = column.name,
            rows,
            "instants outside the years 1 to 9999 are taken as null"
        );
    }
    let rows = 0..instants.micros.len();
    let nulls = rows.clone().filter(|&row| !instants.is_valid(row));
    let valid = rows.filter(|&row| instants.is_valid(row));
    let subject = |row: usize| subjects.map(|subjects| subjects[row]);
    let mut sorted: Vec<_> = valid.map(|row| (instants.micros[row], subject(row))).collect();
    sorted.sort_unstable();
    let mut log_hist = vec![0; log_histogram::BINS];
    let mut parts: [Spread; 8] = Default::default();
    let mut forms = Spread::default();
    for run in sorted.chunk_by(|a, b| a.0 == b.0) {
        let micros = run[0].0;
        log_hist[log_histogram::bin_of(micros as f64)] += run.len() as u64;
        let mut holders = Support::default();
        run.iter().for_each(|&(_, subject)| holders.add(subject));
        for (spread, part) in parts.iter_mut().zip(&split(micros)[1..]) {
            spread.add(*part as usize, &holders);
        }
        forms.add(form_of(micros).min(Form::Millis) as usize, &holders);
    }
    Ok(DatetimePartial {
        nulls: Support::of(nulls, subjects),
        extremes: extremes(&sorted),
        parts,
        log_hist,
        forms,
        misfits: instants.misfits,
    })
}

/// Statistics of a column of dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatetimeStats {
    /// `nan` if there are nulls, `year`, `month`, `day`, with times `hour`, `minute`, `second`, with
    /// milliseconds `ms_E2`, `ms_E1`, `ms_E0`.
    pub cardinalities: Cardinalities,
    /// Whether there are nulls.
    pub has_nan: bool,
    /// Whether there are times of day.
    pub has_time: bool,
    /// Whether there are milliseconds.
    pub has_ms: bool,
    /// Least value of each part.
    pub min_values: DateParts,
    /// Greatest value of each part.
    pub max_values: DateParts,
    /// Least instant; `None` when value protection hides it or there is none.
    pub min: Option<String>,
    /// Greatest instant; `None` when value protection hides it or there is none.
    pub max: Option<String>,
}

/// Puts partial statistics together.
pub(crate) fn reduce(partials: &[&DatetimePartial], protection: &ColumnProtection) -> DatetimeStats {
    let mut nulls = Support::default();
    let mut extremes = Extremes::default();
    let mut parts: [Spread; 8] = Default::default();
    for partial in partials {
        nulls += &partial.nulls;
        extremes.merge(&partial.extremes);
        parts
            .iter_mut()
            .zip(&partial.parts)
            .for_each(|(all, more)| all.merge(more));
    }
    let bounds = protection.ends(&extremes);
    let mut least = DateParts::NONE.to_array();
    let mut greatest = least;
    let all = extremes
        .smallest()
        .first()
        .copied()
        .zip(extremes.largest().first().copied());
    // The years follow from the range where there is one, those of hidden ranges are hidden too.
    let years = match protection.is_native() {
        true => bounds,
        false => bounds.filter(|_| protection.is_on()).or(all),
    };
    if let Some(((first, _), (last, _))) = years {
        (least[0], greatest[0]) = (split(first)[0], split(last)[0]);
    }
    for (place, spread) in (1..).zip(&parts) {
        if let Some((first, last)) = protection.range(PARTS[place], spread) {
            (least[place], greatest[place]) = (first as i64, last as i64);
        }
    }
    let hidden = protection.is_on() && bounds.is_none();
    let has_time = !hidden && greatest[3..6].iter().any(|&part| part > 0);
    let has_ms = has_time && greatest[6..].iter().any(|&part| part > 0);
    let most = match (has_time, has_ms) {
        _ if !protection.is_native() => Form::Nanos,
        (false, _) => Form::Date,
        (true, false) => Form::Seconds,
        (true, true) => Form::Millis,
    };
    // What a form does not show is cut off.
    let shown = |(micros, form): Written| text((micros, form.min(most)));
    DatetimeStats::new(
        protection.flag("nan", &nulls),
        (has_time, has_ms),
        (DateParts::from_array(least), DateParts::from_array(greatest)),
        bounds.map(|(min, max)| (shown(min), shown(max))),
    )
}

/// Reads an instant as the statistics write it.
pub(super) fn instant(text: &str) -> Option<i64> {
    Dates::read([Some(text)].into_iter()).into_micros()[0]
}

impl DatetimeStats {
    /// Statistics with these flags, ranges of the parts and ends.
    pub(super) fn new(
        has_nan: bool,
        (has_time, has_ms): (bool, bool),
        (min_values, max_values): (DateParts, DateParts),
        ends: Option<(String, String)>,
    ) -> Self {
        let (min, max) = ends.unzip();
        let mut stats = Self {
            cardinalities: Cardinalities::new(),
            has_nan,
            has_time,
            has_ms,
            min_values,
            max_values,
            min,
            max,
        };
        stats.cardinalities = stats.expected_cardinalities();
        stats
    }

    /// Number of parts in use.
    fn parts(&self) -> usize {
        match (self.has_time, self.has_ms) {
            (_, true) => 9,
            (true, false) => 6,
            (false, false) => 3,
        }
    }

    fn expected_cardinalities(&self) -> Cardinalities {
        let (min, max) = (self.min_values.to_array(), self.max_values.to_array());
        let nan = self.has_nan.then(|| ("nan".to_owned(), 2));
        let part = |place: usize| {
            let range = usize::try_from(max[place] - min[place]).unwrap_or(0);
            (PARTS[place].to_owned(), range + 1)
        };
        nan.into_iter().chain((0..self.parts()).map(part)).collect()
    }

    /// The bounds as instants.
    pub(crate) fn bounds(&self) -> (Option<i64>, Option<i64>) {
        (
            self.min.as_deref().and_then(instant),
            self.max.as_deref().and_then(instant),
        )
    }
}

impl ColumnEncoding for DatetimeStats {
    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let (min, max) = (self.min_values.to_array(), self.max_values.to_array());
        let are_months = min[1] >= 1 && max[1] <= 12;
        let are_years = min[0] >= 1 && max[0] <= 9_999;
        let rise = min
            .iter()
            .zip(&max)
            .all(|(min, max)| *min >= 0 && min <= max && *max <= 9_999);
        if !are_months || !are_years || !rise {
            return Err((
                "min_values",
                "they and max_values must be parts of dates and rise".to_owned(),
            ));
        }
        for (key, text) in [("min", &self.min), ("max", &self.max)] {
            if text.as_deref().is_some_and(|text| instant(text).is_none()) {
                return Err((key, "it is not a date".to_owned()));
            }
        }
        if self.cardinalities.iter().ne(self.expected_cardinalities().iter()) {
            return Err((
                "cardinalities",
                "they do not fit the ranges of the parts".to_owned(),
            ));
        }
        Ok(())
    }

    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Vec<CodeColumn>, EncodeError> {
        let instants = Instants::read(column, site.compat, site.first_row)?;
        let rows = instants.micros.len();
        let stand = Stand::new(instants.valid.as_deref(), site);
        let (min, max) = self.bounds();
        let (least, greatest) = (self.min_values.to_array(), self.max_values.to_array());
        let parts = self.parts();
        let mut codes = vec![vec![0u16; rows]; parts];
        for row in 0..rows {
            let Some(source) = stand.source(row) else { continue };
            let micros = instants.micros[source];
            let micros = min.map_or(micros, |min| micros.max(min));
            let micros = max.map_or(micros, |max| micros.min(max));
            let ranges = least.iter().zip(&greatest);
            for ((codes, part), (least, greatest)) in codes.iter_mut().zip(split(micros)).zip(ranges) {
                codes[row] = (part.min(*greatest) - least).max(0) as u16;
            }
        }
        let nulls = (0..rows).map(|row| u32::from(!instants.is_valid(row)));
        let nulls = self.has_nan.then(|| CodeColumn::from_codes(2, nulls));
        let cardinalities = self.cardinalities.values().skip(usize::from(self.has_nan));
        let narrow = |(codes, &cardinality): (Vec<u16>, &usize)| {
            CodeColumn::from_codes(cardinality, codes.into_iter().map(u32::from))
        };
        Ok(nulls
            .into_iter()
            .chain(codes.into_iter().zip(cardinalities).map(narrow))
            .collect())
    }

    fn decode(&self, codes: &[CodeColumn], rows: usize, _site: DecodeSite) -> Decoded {
        // Without bounds every value is hidden: either none was seen or too few to show any.
        let (Some(min), Some(max)) = self.bounds() else {
            return (DecodedValues::Timestamp(vec![0; rows]), Some(vec![false; rows]));
        };
        let unit = match self.parts() {
            3 => DAY,
            6 => SECOND,
            _ => 1,
        };
        let (min, max) = (min - min.rem_euclid(unit), max - max.rem_euclid(unit));
        let least = self.min_values.to_array();
        let (nulls, parts) = codes.split_at(usize::from(self.has_nan));
        let decode = |row: usize| {
            let mut split = [0; 9];
            for (place, codes) in parts.iter().enumerate() {
                split[place] = i64::from(codes.get(row)) + least[place];
            }
            join(split).max(min).min(max)
        };
        let valid = nulls
            .first()
            .map(|nulls| (0..rows).map(|row| nulls.get(row) == 0).collect::<Vec<_>>());
        let valid = valid.filter(|valid| valid.contains(&false));
        (DecodedValues::Timestamp((0..rows).map(decode).collect()), valid)
    }
}
