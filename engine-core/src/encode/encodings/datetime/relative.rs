//! Dates of the rows of a subject: where the first one lies, and the time from each to the next. Rows of a
//! subject are those with one number in [`crate::schema::Table::with_subjects`], in their order.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parts::join;
use super::range::{InstantCounts, READS, Written, check_ends, read_ends, text};
use super::relative_parts::{
    MAX_WEEKS, OF_DATES, PARTS, Ranges, RelativeParts, SECONDS, START, STEP, start_parts, step_parts,
};
use crate::calendar::{DAY, SECOND, days_of};
use crate::encode::encodings::column::{
    ColumnEncoding, DecodeSite, Decoded, EncodeSite, Encoded, EncodingStats,
};
use crate::encode::encodings::encoding::{
    ColumnKind, CountSite, Coverage, Encoding, Partial, ValueKind, read_stats,
};
use crate::encode::encodings::null_fill::{null_flags, validity};
use crate::encode::encodings::tokens::Cardinalities;
use crate::encode::protection::{ColumnProtection, Extremes, Histogram, SubjectCount};
use crate::encode::values::instant_text::Form;
use crate::encode::values::instants::Instants;
use crate::encode::values::parse_failures::ParseFailures;
use crate::encode::values::strings::FastMap;
use crate::encode::values::unknown::UnknownValues;
use crate::encode::{EncodeError, EncodingType};
use crate::schema::names::{BACKWARD_FLAG, NEGATIVE_FLAG, NULL_FLAG, RELATIVE_PARTS};
use crate::schema::{CodeColumn, Column, DecodedValues};

impl EncodingType {
    /// Dates as differences to the row before.
    pub const DATETIME_RELATIVE: Self = Self::named("TABULAR_DATETIME_RELATIVE");
}

/// A column as steps from row to row. A null row is where its subject was before, or where it is first seen.
struct Steps {
    /// First instant of each row's subject, in microseconds; `None` when the subject has none.
    starts: Vec<Option<i64>>,
    /// Milliseconds since the subject's row before, rounded down; `None` at its first row.
    steps: Vec<Option<i64>>,
}

impl Steps {
    fn of(instants: &Instants, subjects: &[u32]) -> Self {
        let mut first: FastMap<u32, i64> = FastMap::default();
        for (row, &subject) in subjects.iter().enumerate() {
            if instants.is_valid(row) {
                first.entry(subject).or_insert(instants.micros[row]);
            }
        }
        let mut last: FastMap<u32, i64> = FastMap::default();
        let mut starts = Vec::with_capacity(subjects.len());
        let mut steps = Vec::with_capacity(subjects.len());
        for (row, &subject) in subjects.iter().enumerate() {
            let start = first.get(&subject).copied();
            let before = last.get(&subject).copied();
            let now = match instants.is_valid(row) {
                true => instants.micros[row],
                false => before.or(start).unwrap_or(0),
            };
            starts.push(start);
            steps.push(before.map(|before| (now - before).div_euclid(1_000)));
            last.insert(subject, now);
        }
        Self { starts, steps }
    }
}

/// Statistics of a column of dates of subjects in a part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RelativePartial {
    counts: InstantCounts,
    /// Subject count of rows that lie before the one that precedes it.
    negative: SubjectCount,
    /// Years in which subjects start.
    years: Extremes<i64>,
    /// The other parts of starts, from the month on.
    starts: [Histogram; START - 1],
    /// Whole weeks of the steps; none when no subject has two rows.
    weeks: Extremes<i64>,
    /// The other parts of steps, from the day on.
    steps: [Histogram; STEP - 1],
}

impl Partial for RelativePartial {
    /// The rows that follow are of other subjects.
    fn merge(&mut self, later: Self) {
        self.counts.merge(later.counts);
        self.negative += &later.negative;
        self.years.merge(&later.years);
        self.weeks.merge(&later.weeks);
        let histograms = self.starts.iter_mut().chain(&mut self.steps);
        let more = later.starts.iter().chain(&later.steps);
        histograms.zip(more).for_each(|(all, more)| all.merge(more));
    }

    fn parse_failures(&self) -> Option<&ParseFailures> {
        self.counts.parse_failures.as_ref()
    }
}

/// The encoding of dates by the time between the rows of a subject.
pub(crate) struct DatetimeRelative;

impl Encoding for DatetimeRelative {
    type Partial = RelativePartial;

    fn encoding_type(&self) -> EncodingType {
        EncodingType::DATETIME_RELATIVE
    }

    fn decodes_to(&self) -> ValueKind {
        ValueKind::Instants
    }

    fn suits(&self, column: ColumnKind) -> bool {
        column == ColumnKind::Texts
    }

    fn needs_subjects(&self) -> bool {
        true
    }

    fn reads(&self) -> &'static str {
        READS
    }

    fn reads_by_rules(&self) -> bool {
        true
    }

    fn count(&self, column: &Column<'_>, site: CountSite) -> Result<RelativePartial, EncodeError> {
        let subjects = site.subjects.unwrap_or_default();
        let encoding = EncodingType::DATETIME_RELATIVE;
        let mut instants = Instants::read(column, encoding, site.compat, site.first_row)?;
        let steps = Steps::of(&instants, subjects);
        let (counts, _) = InstantCounts::of(&mut instants, Some(subjects));
        Ok(RelativePartial::of(counts, &steps, subjects))
    }

    fn reduce(
        &self,
        _column: &str,
        partials: &[&RelativePartial],
        protection: &ColumnProtection,
    ) -> EncodingStats {
        let mut all = RelativePartial::nothing();
        partials.iter().for_each(|&partial| all.merge(partial.clone()));
        RelativeStats::of(&all, protection).into()
    }

    fn read(&self, keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        read_stats::<RelativeStats>(keys)
    }

    fn coverage(&self, partial: &RelativePartial, stats: &EncodingStats) -> Option<Coverage> {
        let (least, greatest) = stats.get::<RelativeStats>()?.bounds();
        Some(partial.counts.outside(least.zip(greatest)))
    }
}

impl RelativePartial {
    /// Of no rows.
    fn nothing() -> Self {
        Self {
            counts: InstantCounts::nothing(),
            negative: SubjectCount::default(),
            years: Extremes::default(),
            starts: Default::default(),
            weeks: Extremes::default(),
            steps: Default::default(),
        }
    }

    /// Counts the parts of starts and of steps.
    fn of(counts: InstantCounts, steps: &Steps, subjects: &[u32]) -> Self {
        let mut partial = Self {
            counts,
            ..Self::nothing()
        };
        let (mut years, mut weeks) = (Vec::new(), Vec::new());
        for (row, (start, step)) in steps.starts.iter().zip(&steps.steps).enumerate() {
            let mut holder = SubjectCount::default();
            holder.add(Some(subjects[row]));
            match (start, step) {
                (None, _) => {}
                (Some(start), None) => {
                    let parts = start_parts(*start);
                    years.push((parts[0], Some(subjects[row])));
                    let histograms = partial.starts.iter_mut().zip(&parts[1..]);
                    histograms.for_each(|(histogram, &part)| histogram.add(part as usize, &holder));
                }
                (Some(_), Some(step)) => {
                    let parts = step_parts(*step);
                    weeks.push((parts[0], Some(subjects[row])));
                    let histograms = partial.steps.iter_mut().zip(&parts[1..]);
                    histograms.for_each(|(histogram, &part)| histogram.add(part as usize, &holder));
                    if *step < 0 {
                        partial.negative += &holder;
                    }
                }
            }
        }
        years.sort_unstable();
        weeks.sort_unstable();
        partial.years = Extremes::of_sorted(years.iter().copied());
        partial.weeks = Extremes::of_sorted(weeks.iter().copied());
        partial
    }

    /// The ranges of the parts that may be shown; `bounds` are the least and the greatest instant that may.
    fn ranges(&self, bounds: Option<(Written, Written)>, protection: &ColumnProtection) -> Ranges {
        let mut ranges = Ranges::NONE;
        let ends = |all: &Extremes<i64>, name: &str| match protection.is_native() {
            true => protection.of_part(name).ends(all),
            false => all
                .smallest()
                .first()
                .copied()
                .zip(all.largest().first().copied()),
        };
        let year = |(micros, _): Written| start_parts(micros)[0];
        let years = bounds
            .filter(|_| protection.is_on())
            .map(|(least, greatest)| (year(least), year(greatest)));
        let years = match protection.is_native() {
            true => years,
            false => years.or(ends(&self.years, RELATIVE_PARTS[0])),
        };
        if let Some(years) = years {
            ranges.set(0, years);
        }
        if let Some(weeks) = ends(&self.weeks, RELATIVE_PARTS[START]) {
            ranges.set(START, weeks);
        }
        let starts = (1..START).zip(&self.starts);
        for (place, histogram) in starts.chain((START + 1..PARTS).zip(&self.steps)) {
            if let Some((first, last)) = protection.range(RELATIVE_PARTS[place], histogram) {
                ranges.set(place, (first as i64, last as i64));
            }
        }
        ranges
    }
}

/// Statistics of a column of dates of subjects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelativeStats {
    /// `nan` if there are nulls, `start_year`, `start_month`, `start_day`, with times `start_hour`,
    /// `start_minute`, `start_second`, `itt_neg` if time runs backwards somewhere, `itt_week`, `itt_day`, with
    /// times `itt_hour`, `itt_minute`, `itt_second`.
    pub cardinalities: Cardinalities,
    /// Whether there are nulls.
    pub has_nan: bool,
    /// Whether a row lies before the one that precedes it.
    pub has_neg: bool,
    /// Whether subjects start at times of day.
    pub has_time: bool,
    /// Least value of each part.
    pub min_values: RelativeParts,
    /// Greatest value of each part.
    pub max_values: RelativeParts,
    /// Least instant; `None` when value protection hides it or there is none.
    pub min: Option<String>,
    /// Greatest instant; `None` when value protection hides it or there is none.
    pub max: Option<String>,
}

impl RelativeStats {
    /// What of all rows may be shown.
    fn of(all: &RelativePartial, protection: &ColumnProtection) -> Self {
        let bounds = protection.ends(&all.counts.extremes);
        let ranges = all.ranges(bounds, protection);
        let hidden = protection.is_on() && bounds.is_none();
        let has_time = !hidden && ranges.greatest[3..START].iter().any(|&part| part > 0);
        let most = match has_time {
            _ if !protection.is_native() => Form::Nanos,
            true => Form::Seconds,
            false => Form::Date,
        };
        // What a form does not show is cut off.
        let shown = |(micros, form): Written| text((micros, form.min(most)));
        let mut stats = Self {
            cardinalities: Cardinalities::new(),
            has_nan: protection.flag(NULL_FLAG, &all.counts.nulls),
            has_neg: protection.flag(NEGATIVE_FLAG, &all.negative),
            has_time,
            min_values: RelativeParts::from_array(ranges.least),
            max_values: RelativeParts::from_array(ranges.greatest),
            min: bounds.map(|(min, _)| shown(min)),
            max: bounds.map(|(_, max)| shown(max)),
        };
        stats.cardinalities = stats.expected_cardinalities();
        stats
    }

    /// Parts in use, as indices into [`RELATIVE_PARTS`]: of the start, and of the step.
    fn places(&self) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let (start, step) = if self.has_time { (START, STEP) } else { OF_DATES };
        (0..start, START..START + step)
    }

    fn ranges(&self) -> Ranges {
        Ranges {
            least: self.min_values.to_array(),
            greatest: self.max_values.to_array(),
        }
    }

    fn expected_cardinalities(&self) -> Cardinalities {
        let Ranges { least, greatest } = self.ranges();
        let flag = |name: &str, is_there: bool| is_there.then(|| (name.to_owned(), 2));
        let part = |place: usize| {
            let range = usize::try_from(greatest[place] - least[place]).unwrap_or(0);
            (RELATIVE_PARTS[place].to_owned(), range + 1)
        };
        let (start, step) = self.places();
        flag(NULL_FLAG, self.has_nan)
            .into_iter()
            .chain(start.map(part))
            .chain(flag(BACKWARD_FLAG, self.has_neg))
            .chain(step.map(part))
            .collect()
    }

    /// The bounds as instants.
    fn bounds(&self) -> (Option<i64>, Option<i64>) {
        read_ends(self.min.as_deref(), self.max.as_deref())
    }

    /// Where subjects without a single date start: nothing says where, so all start at the least date.
    fn default_start(&self) -> i64 {
        let least = self.min_values.to_array();
        let mut parts = [0; 9];
        parts[..START].copy_from_slice(&least[..START]);
        self.bounds().0.unwrap_or_else(|| join(parts))
    }
}

impl ColumnEncoding for RelativeStats {
    fn encoding_type(&self) -> EncodingType {
        EncodingType::DATETIME_RELATIVE
    }

    fn cardinalities(&self) -> &Cardinalities {
        &self.cardinalities
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let Ranges { least, greatest } = self.ranges();
        let lowest = [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let highest = [9_999, 12, 31, 23, 59, 59, MAX_WEEKS, 6, 23, 59, 59];
        let is_range = |place: usize| {
            lowest[place] <= least[place]
                && least[place] <= greatest[place]
                && greatest[place] <= highest[place]
        };
        if let Some(place) = (0..PARTS).find(|&place| !is_range(place)) {
            let name = RELATIVE_PARTS[place];
            return Err((
                "min_values",
                format!("{name} there and in max_values must be a part of a date and rise"),
            ));
        }
        check_ends(self.min.as_deref(), self.max.as_deref())?;
        if self.cardinalities.iter().ne(self.expected_cardinalities().iter()) {
            return Err((
                "cardinalities",
                "they do not fit the ranges of the parts".to_owned(),
            ));
        }
        Ok(())
    }

    fn needs_subjects(&self) -> bool {
        true
    }

    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Encoded, EncodeError> {
        let subjects = site.subjects.ok_or_else(|| EncodeError::NoSubjects {
            column: column.name.to_owned(),
            encoding: EncodingType::DATETIME_RELATIVE,
        })?;
        let encoding = EncodingType::DATETIME_RELATIVE;
        let instants = Instants::read(column, encoding, site.compat, site.first_row)?;
        let Steps { starts, steps } = Steps::of(&instants, subjects);
        let Ranges { least, greatest } = self.ranges();
        let default_start = self.default_start();
        let starts: Vec<[i64; START]> = starts
            .iter()
            .map(|start| start_parts(start.unwrap_or(default_start)))
            .collect();
        let steps: Vec<i64> = steps.iter().map(|step| step.unwrap_or(0)).collect();
        let codes = |place: usize, part: &dyn Fn(usize) -> i64| {
            let (least, range) = (least[place], greatest[place] - least[place]);
            let code = |row: usize| (part(row) - least).clamp(0, range) as u32;
            CodeColumn::from_codes(range as usize + 1, (0..starts.len()).map(code))
        };
        let flags = |flag: &dyn Fn(usize) -> bool| {
            CodeColumn::from_codes(2, (0..starts.len()).map(|row| u32::from(flag(row))))
        };
        let (start, step) = self.places();
        let nan = self
            .has_nan
            .then(|| null_flags((0..starts.len()).map(|row| instants.is_valid(row))));
        let start = start.map(|place| codes(place, &|row| starts[row][place]));
        let neg = self.has_neg.then(|| flags(&|row| steps[row] < 0));
        let step = step.map(|place| codes(place, &|row| step_parts(steps[row])[place - START]));
        Ok(Encoded {
            codes: nan.into_iter().chain(start).chain(neg).chain(step).collect(),
            unknown: UnknownValues::default(),
        })
    }

    fn decode(&self, codes: &[CodeColumn], rows: usize, site: DecodeSite) -> Decoded {
        // Without bounds every value is hidden: either none was seen or too few to show any.
        let (Some(min), Some(max), Some(subjects)) = (self.bounds().0, self.bounds().1, site.subjects) else {
            return (DecodedValues::Timestamp(vec![0; rows]), Some(vec![false; rows]));
        };
        let (first, last) = (days_of(1, 1, 1) * DAY, days_of(10_000, 1, 1) * DAY - 1);
        let least = self.min_values.to_array();
        let (start, step) = self.places();
        let (nulls, codes) = codes.split_at(usize::from(self.has_nan));
        let (starts, codes) = codes.split_at(start.len());
        let (negative, steps) = codes.split_at(usize::from(self.has_neg));
        let start_at = |row: usize| {
            let mut parts = [0; 9];
            for (place, codes) in start.clone().zip(starts) {
                parts[place] = i64::from(codes.get(row)) + least[place];
            }
            join(parts).max(min).min(max)
        };
        let step_at = |row: usize| {
            let parts = step.clone().zip(steps);
            let seconds: i64 = parts
                .map(|(place, codes)| (i64::from(codes.get(row)) + least[place]) * SECONDS[place - START])
                .sum();
            let is_back = negative.first().is_some_and(|negative| negative.get(row) == 1);
            seconds * if is_back { -SECOND } else { SECOND }
        };
        let mut now: FastMap<u32, i64> = FastMap::default();
        let values = subjects.iter().enumerate().map(|(row, &subject)| {
            let place = now
                .entry(subject)
                .and_modify(|before| *before = before.saturating_add(step_at(row)))
                .or_insert_with(|| start_at(row));
            let value = (*place).clamp(first, last);
            if self.has_time {
                value
            } else {
                value - value.rem_euclid(DAY)
            }
        });
        let values = DecodedValues::Timestamp(values.collect());
        (values, validity(nulls.first(), rows))
    }
}
