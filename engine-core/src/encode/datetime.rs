//! Dates and times: one sub-column per part, from the year to the last digit of the millisecond.

use serde::{Deserialize, Serialize};

use super::EncodeError;
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
use crate::schema::{CodeColumn, Column, DecodedValues};

/// Names of the parts.
const PARTS: [&str; 9] = [
    "year", "month", "day", "hour", "minute", "second", "ms_E2", "ms_E1", "ms_E0",
];
/// How many extremes are kept on each side.
pub(super) const EXTREMES: usize = 1_000;

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
    const NONE: Self = Self::from_array([2022, 1, 1, 0, 0, 0, 0, 0, 0]);

    const fn from_array([year, month, day, hour, minute, second, ms_e2, ms_e1, ms_e0]: [i64; 9]) -> Self {
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

    fn to_array(self) -> [i64; 9] {
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

/// Statistics of a column of dates in a part of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DatetimePartial {
    has_nan: bool,
    min_values: DateParts,
    max_values: DateParts,
    /// The smallest instants, rising, all in one form.
    min_n: Vec<String>,
    /// The largest instants, falling, all in one form.
    max_n: Vec<String>,
    log_hist: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) misfits: Option<Misfits>,
}

impl DatetimePartial {
    /// Takes in the rows that follow.
    pub(crate) fn merge(&mut self, later: Self) {
        self.has_nan |= later.has_nan;
        match (&mut self.misfits, later.misfits) {
            (Some(misfits), Some(more)) => misfits.merge(more),
            (misfits, more) => *misfits = misfits.take().or(more),
        }
        // Rows without a single date say nothing about the ranges.
        if later.min_n.is_empty() {
            return;
        }
        if self.min_n.is_empty() {
            let (has_nan, misfits) = (self.has_nan, self.misfits.take());
            *self = Self {
                has_nan,
                misfits,
                ..later
            };
            return;
        }
        let parts = |a: DateParts, b: DateParts, choose: fn(i64, i64) -> i64| {
            let (a, b) = (a.to_array(), b.to_array());
            DateParts::from_array(std::array::from_fn(|place| choose(a[place], b[place])))
        };
        self.min_values = parts(self.min_values, later.min_values, i64::min);
        self.max_values = parts(self.max_values, later.max_values, i64::max);
        self.min_n.extend(later.min_n);
        self.min_n.sort();
        self.min_n.truncate(EXTREMES);
        self.max_n.extend(later.max_n);
        self.max_n.sort_by(|a, b| b.cmp(a));
        self.max_n.truncate(EXTREMES);
        for (count, more) in self.log_hist.iter_mut().zip(later.log_hist) {
            *count += more;
        }
    }

    /// Rows that hold an instant, and how many of them lie outside `least` to `greatest`.
    pub(crate) fn outside(&self, least: &str, greatest: &str) -> Coverage {
        let below = self.min_n.iter().filter(|text| text.as_str() < least).count();
        let above = self.max_n.iter().filter(|text| text.as_str() > greatest).count();
        Coverage {
            rows: self.log_hist.iter().sum(),
            protected: (below + above) as u64,
            distinct: None,
        }
    }
}

/// Instants as text, all in the shortest form that shows them wholly.
pub(super) fn texts(micros: impl Iterator<Item = i64> + Clone) -> Vec<String> {
    let parts = |t: i64| (t.div_euclid(SECOND), t.rem_euclid(SECOND) as u32 * 1_000);
    let forms = micros.clone().map(|t| {
        let (seconds, nanos) = parts(t);
        Form::of(seconds, nanos)
    });
    let form = forms.max().unwrap_or(Form::Date);
    let text = |t| {
        let (seconds, nanos) = parts(t);
        calendar::instant_text(seconds, nanos, form)
    };
    micros.map(text).collect()
}

/// Counts a column of dates. `first_row` is the row of the whole table that the first row is.
pub(crate) fn analyze(column: &Column<'_>, first_row: u64) -> Result<DatetimePartial, EncodeError> {
    let instants = Instants::read(column, first_row)?;
    if instants.out_of_range > 0 {
        let rows = instants.out_of_range;
        tracing::warn!(
            column = column.name,
            rows,
            "instants outside the years 1 to 9999 are taken as null"
        );
    }
    let valid = (0..instants.micros.len()).filter(|&row| instants.is_valid(row));
    let mut sorted: Vec<i64> = valid.map(|row| instants.micros[row]).collect();
    sorted.sort_unstable();
    let mut log_hist = vec![0; log_histogram::BINS];
    let (mut least, mut greatest) = ([i64::MAX; 9], [i64::MIN; 9]);
    for &micros in &sorted {
        log_hist[log_histogram::bin_of(micros as f64)] += 1;
        for (place, part) in split(micros).into_iter().enumerate() {
            least[place] = least[place].min(part);
            greatest[place] = greatest[place].max(part);
        }
    }
    let ranges =
        (!sorted.is_empty()).then(|| (DateParts::from_array(least), DateParts::from_array(greatest)));
    let (min_values, max_values) = ranges.unwrap_or((DateParts::NONE, DateParts::NONE));
    Ok(DatetimePartial {
        has_nan: instants.valid.is_some(),
        min_values,
        max_values,
        min_n: texts(sorted.iter().copied().take(EXTREMES)),
        max_n: texts(sorted.iter().rev().copied().take(EXTREMES)),
        log_hist,
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
    let (mut least, mut greatest) = ([i64::MAX; 9], [i64::MIN; 9]);
    // A part without a single date says nothing about the ranges.
    for partial in partials.iter().filter(|p| !p.min_n.is_empty()) {
        let (min, max) = (partial.min_values.to_array(), partial.max_values.to_array());
        for place in 0..PARTS.len() {
            least[place] = least[place].min(min[place]);
            greatest[place] = greatest[place].max(max[place]);
        }
    }
    if partials.iter().all(|p| p.min_n.is_empty()) {
        (least, greatest) = (DateParts::NONE.to_array(), DateParts::NONE.to_array());
    }
    let mut smallest: Vec<&String> = partials.iter().flat_map(|p| &p.min_n).collect();
    let mut largest: Vec<&String> = partials.iter().flat_map(|p| &p.max_n).collect();
    smallest.sort_unstable();
    largest.sort_unstable_by(|a, b| b.cmp(a));
    let bounds = protection.bounds(&smallest, &largest);
    let hidden = protection.is_on() && bounds.is_none();
    if let (true, Some((min, max))) = (protection.is_on(), bounds) {
        let year = |text: &str| text.get(..4).and_then(|year| year.parse().ok());
        (least[0], greatest[0]) = (year(min).unwrap_or(least[0]), year(max).unwrap_or(greatest[0]));
    }
    let has_time = !hidden && greatest[3..6].iter().any(|&part| part > 0);
    let mut stats = DatetimeStats {
        cardinalities: Cardinalities::new(),
        has_nan: partials.iter().any(|p| p.has_nan),
        has_time,
        has_ms: has_time && greatest[6..].iter().any(|&part| part > 0),
        min_values: DateParts::from_array(least),
        max_values: DateParts::from_array(greatest),
        min: bounds.map(|(min, _)| min.clone()),
        max: bounds.map(|(_, max)| max.clone()),
    };
    stats.cardinalities = stats.expected_cardinalities();
    stats
}

/// Reads an instant as the statistics write it.
pub(super) fn instant(text: &str) -> Option<i64> {
    Dates::read([Some(text)].into_iter()).into_micros()[0]
}

impl DatetimeStats {
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
    fn bounds(&self) -> (Option<i64>, Option<i64>) {
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
        let instants = Instants::read(column, site.first_row)?;
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
