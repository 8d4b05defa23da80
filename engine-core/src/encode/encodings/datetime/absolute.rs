//! Dates and times: one sub-column per part, from the year to the last digit of the millisecond.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::parts::{DateParts, join, split};
use super::private;
use super::range::{InstantCounts, READS, Written, check_ends, form_of, read_ends, text};
use crate::calendar::{DAY, SECOND};
use crate::encode::encodings::column::{
    ColumnEncoding, DecodeSite, Decoded, EncodeSite, Encoded, EncodingStats, WrittenDigits,
};
use crate::encode::encodings::encoding::{
    ColumnKind, CountSite, Coverage, Encoding, Partial, PublicFacts, ValueKind, check_read, read_stats,
};
use crate::encode::encodings::null_fill::{NullFill, null_flags, validity};
use crate::encode::encodings::tokens::Cardinalities;
use crate::encode::protection::{ColumnMechanism, ColumnProtection, Histogram, SubjectCount};
use crate::encode::values::instant_text::Form;
use crate::encode::values::instants::Instants;
use crate::encode::values::parse_failures::ParseFailures;
use crate::encode::values::unknown::UnknownValues;
use crate::encode::{EncodeError, EncodingType};
use crate::schema::names::{DATE_PARTS, NULL_FLAG};
use crate::schema::{CodeColumn, Column, DecodedValues};

impl EncodingType {
    /// One sub-column per part of a date and time.
    pub const DATETIME: Self = Self::named("TABULAR_DATETIME");
}

/// Statistics of a column of dates in a part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatetimePartial {
    pub(crate) counts: InstantCounts,
    /// The values of each part, the year left out.
    parts: [Histogram; 8],
    /// Instants that need nothing but a date, those that need seconds, and those that need parts of a second.
    pub(crate) forms: Histogram,
}

impl DatetimePartial {
    /// Of no rows.
    fn nothing() -> Self {
        Self {
            counts: InstantCounts::nothing(),
            parts: Default::default(),
            forms: Histogram::default(),
        }
    }
}

impl Partial for DatetimePartial {
    fn merge(&mut self, later: Self) {
        self.counts.merge(later.counts);
        let parts = self.parts.iter_mut().zip(&later.parts);
        parts.for_each(|(all, more)| all.merge(more));
        self.forms.merge(&later.forms);
    }

    fn parse_failures(&self) -> Option<&ParseFailures> {
        self.counts.parse_failures.as_ref()
    }
}

/// The encoding of dates by their parts.
pub(crate) struct Datetime;

impl Encoding for Datetime {
    type Partial = DatetimePartial;

    fn encoding_type(&self) -> EncodingType {
        EncodingType::DATETIME
    }

    fn decodes_to(&self) -> ValueKind {
        ValueKind::Instants
    }

    fn suits(&self, column: ColumnKind) -> bool {
        matches!(column, ColumnKind::Texts | ColumnKind::Times)
    }

    fn reads(&self) -> &'static str {
        READS
    }

    fn reads_by_rules(&self) -> bool {
        true
    }

    fn count(&self, column: &Column<'_>, site: CountSite) -> Result<DatetimePartial, EncodeError> {
        let mut instants = Instants::read(column, EncodingType::DATETIME, site.compat, site.first_row)?;
        if instants.out_of_range > 0 {
            let rows = instants.out_of_range;
            tracing::warn!(
                column = column.name,
                rows,
                "instants outside the years 1 to 9999 are taken as null"
            );
        }
        let (counts, sorted) = InstantCounts::of(&mut instants, site.subjects);
        let mut parts: [Histogram; 8] = Default::default();
        let mut forms = Histogram::default();
        for run in sorted.chunk_by(|a, b| a.0 == b.0) {
            let micros = run[0].0;
            let mut holders = SubjectCount::default();
            run.iter().for_each(|&(_, subject)| holders.add(subject));
            for (histogram, part) in parts.iter_mut().zip(&split(micros)[1..]) {
                histogram.add(*part as usize, &holders);
            }
            forms.add(form_of(micros).min(Form::Millis) as usize, &holders);
        }
        Ok(DatetimePartial { counts, parts, forms })
    }

    fn reduce(
        &self,
        _column: &str,
        partials: &[&DatetimePartial],
        protection: &ColumnProtection,
    ) -> EncodingStats {
        let mut all = DatetimePartial::nothing();
        partials.iter().for_each(|&partial| all.merge(partial.clone()));
        DatetimeStats::of(&all, protection).into()
    }

    fn reduce_private(
        &self,
        partials: &[&DatetimePartial],
        _public: PublicFacts<'_>,
        mechanism: &mut ColumnMechanism<'_>,
    ) -> Result<EncodingStats, EncodeError> {
        check_read(self, mechanism.column(), partials)?;
        let counts = private::Counts::of(partials.iter().map(|partial| (&partial.counts, &partial.forms)));
        let shown = counts.release(mechanism)?;
        let ends = shown
            .ends
            .map(|(first, last)| (text((first, shown.form)), text((last, shown.form))));
        let has_ms = shown.form == Form::Millis;
        let times = (has_ms || shown.form == Form::Seconds, has_ms);
        Ok(DatetimeStats::new(shown.has_nan, times, shown.ranges(), ends).into())
    }

    fn read(&self, keys: Value) -> Option<serde_json::Result<EncodingStats>> {
        read_stats::<DatetimeStats>(keys)
    }

    fn coverage(&self, partial: &DatetimePartial, stats: &EncodingStats) -> Option<Coverage> {
        let (least, greatest) = stats.get::<DatetimeStats>()?.bounds();
        Some(partial.counts.outside(least.zip(greatest)))
    }
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

impl DatetimeStats {
    /// What of all rows may be shown.
    fn of(all: &DatetimePartial, protection: &ColumnProtection) -> Self {
        let bounds = protection.ends(&all.counts.extremes);
        let mut least = DateParts::NONE.to_array();
        let mut greatest = least;
        // The years follow from the range where there is one, those of hidden ranges are hidden too.
        let years = match protection.is_native() {
            true => bounds,
            false => bounds.filter(|_| protection.is_on()).or(all.counts.ends()),
        };
        if let Some(((first, _), (last, _))) = years {
            (least[0], greatest[0]) = (split(first)[0], split(last)[0]);
        }
        for (place, histogram) in (1..).zip(&all.parts) {
            if let Some((first, last)) = protection.range(DATE_PARTS[place], histogram) {
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
        Self::new(
            protection.flag(NULL_FLAG, &all.counts.nulls),
            (has_time, has_ms),
            (DateParts::from_array(least), DateParts::from_array(greatest)),
            bounds.map(|(min, max)| (shown(min), shown(max))),
        )
    }

    /// Statistics with these flags, ranges of the parts and ends.
    fn new(
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
        let nan = self.has_nan.then(|| (NULL_FLAG.to_owned(), 2));
        let part = |place: usize| {
            let range = usize::try_from(max[place] - min[place]).unwrap_or(0);
            (DATE_PARTS[place].to_owned(), range + 1)
        };
        nan.into_iter().chain((0..self.parts()).map(part)).collect()
    }

    /// The bounds as instants.
    fn bounds(&self) -> (Option<i64>, Option<i64>) {
        read_ends(self.min.as_deref(), self.max.as_deref())
    }
}

impl ColumnEncoding for DatetimeStats {
    fn encoding_type(&self) -> EncodingType {
        EncodingType::DATETIME
    }

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
        check_ends(self.min.as_deref(), self.max.as_deref())?;
        if self.cardinalities.iter().ne(self.expected_cardinalities().iter()) {
            return Err((
                "cardinalities",
                "they do not fit the ranges of the parts".to_owned(),
            ));
        }
        Ok(())
    }

    fn written_digits(&self) -> WrittenDigits {
        WrittenDigits {
            milliseconds: self.has_ms,
            ..WrittenDigits::default()
        }
    }

    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Encoded, EncodeError> {
        let instants = Instants::read(column, EncodingType::DATETIME, site.compat, site.first_row)?;
        let rows = instants.micros.len();
        let fill = NullFill::new(instants.valid.as_deref(), site);
        let (min, max) = self.bounds();
        let is_outside = |row: &usize| {
            let micros = instants.micros[*row];
            instants.is_valid(*row)
                && (min.is_some_and(|min| micros < min) || max.is_some_and(|max| micros > max))
        };
        let (least, greatest) = (self.min_values.to_array(), self.max_values.to_array());
        let parts = self.parts();
        let mut codes = vec![vec![0u16; rows]; parts];
        for row in 0..rows {
            let Some(source) = fill.source(row) else { continue };
            let micros = instants.micros[source];
            let micros = min.map_or(micros, |min| micros.max(min));
            let micros = max.map_or(micros, |max| micros.min(max));
            let ranges = least.iter().zip(&greatest);
            for ((codes, part), (least, greatest)) in codes.iter_mut().zip(split(micros)).zip(ranges) {
                codes[row] = (part.min(*greatest) - least).max(0) as u16;
            }
        }
        let nulls = self
            .has_nan
            .then(|| null_flags((0..rows).map(|row| instants.is_valid(row))));
        let cardinalities = self.cardinalities.values().skip(usize::from(self.has_nan));
        let narrow = |(codes, &cardinality): (Vec<u16>, &usize)| {
            CodeColumn::from_codes(cardinality, codes.into_iter().map(u32::from))
        };
        let codes = codes.into_iter().zip(cardinalities).map(narrow);
        Ok(Encoded {
            codes: nulls.into_iter().chain(codes).collect(),
            unknown: UnknownValues {
                unseen: 0,
                outside: (0..rows).filter(is_outside).count() as u64,
            },
        })
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
        let values = DecodedValues::Timestamp((0..rows).map(decode).collect());
        (values, validity(nulls.first(), rows))
    }
}
