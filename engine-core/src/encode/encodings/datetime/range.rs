//! What both encodings of dates count: nulls, extremes, how instants lie among the powers of two, and texts that are no dates. And the
//! least and the greatest instant that the statistics show, which are texts there.

use crate::calendar::SECOND;
use crate::encode::encodings::encoding::Coverage;
use crate::encode::protection::{EXTREMES, Extremes, SubjectCount};
use crate::encode::values::dates::Dates;
use crate::encode::values::instant_text::{Form, instant_text};
use crate::encode::values::instants::Instants;
use crate::encode::values::parse_failures::ParseFailures;
use crate::privacy::log_histogram;

/// What texts should hold.
pub(crate) const READS: &str = "date";

/// An instant and the form that the part of the table it is from writes instants in.
pub(crate) type Written = (i64, Form);

/// What both encodings count of a column in a part of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstantCounts {
    pub(crate) nulls: SubjectCount,
    pub(crate) extremes: Extremes<Written>,
    /// Rows by power of two of their microseconds since 1970.
    pub(crate) log_hist: Vec<u64>,
    pub(crate) parse_failures: Option<ParseFailures>,
}

impl InstantCounts {
    /// Of no rows.
    pub(crate) fn nothing() -> Self {
        Self {
            nulls: SubjectCount::default(),
            extremes: Extremes::default(),
            log_hist: vec![0; log_histogram::BINS],
            parse_failures: None,
        }
    }

    /// Counts a column, and returns its instants with their subjects too, rising.
    pub(crate) fn of(instants: &mut Instants, subjects: Option<&[u32]>) -> (Self, Vec<(i64, Option<u32>)>) {
        let rows = 0..instants.micros.len();
        let nulls = rows.clone().filter(|&row| !instants.is_valid(row));
        let nulls = SubjectCount::of(nulls, subjects);
        let valid = rows.filter(|&row| instants.is_valid(row));
        let subject = |row: usize| subjects.map(|subjects| subjects[row]);
        let mut sorted: Vec<_> = valid.map(|row| (instants.micros[row], subject(row))).collect();
        sorted.sort_unstable();
        let mut log_hist = vec![0; log_histogram::BINS];
        for run in sorted.chunk_by(|a, b| a.0 == b.0) {
            log_hist[log_histogram::bin_of(run[0].0 as f64)] += run.len() as u64;
        }
        let counts = Self {
            nulls,
            extremes: extremes(&sorted),
            log_hist,
            parse_failures: instants.parse_failures.take(),
        };
        (counts, sorted)
    }

    /// Merges the rows that follow.
    pub(crate) fn merge(&mut self, later: Self) {
        self.nulls += &later.nulls;
        self.extremes.merge(&later.extremes);
        for (count, more) in self.log_hist.iter_mut().zip(later.log_hist) {
            *count += more;
        }
        ParseFailures::merge_into(&mut self.parse_failures, later.parse_failures);
    }

    /// Rows that hold an instant, and how many of them lie outside the ends; all of them when these are hidden.
    pub(crate) fn outside(&self, ends: Option<(i64, i64)>) -> Coverage {
        let rows = self.log_hist.iter().sum();
        let protected = ends.map_or(rows, |(least, greatest)| {
            let (smallest, largest) = (self.extremes.smallest(), self.extremes.largest());
            let below = smallest.iter().filter(|(t, _)| *t < least).count();
            let above = largest.iter().filter(|(t, _)| *t > greatest).count();
            (below + above) as u64
        });
        Coverage {
            rows,
            protected,
            distinct: None,
        }
    }

    /// The least and the greatest instant of all.
    pub(crate) fn ends(&self) -> Option<(Written, Written)> {
        let first = self.extremes.smallest().first().copied();
        first.zip(self.extremes.largest().first().copied())
    }
}

/// Seconds and nanoseconds of an instant.
fn seconds_of(micros: i64) -> (i64, u32) {
    (
        micros.div_euclid(SECOND),
        micros.rem_euclid(SECOND) as u32 * 1_000,
    )
}

pub(crate) fn form_of(micros: i64) -> Form {
    let (seconds, nanos) = seconds_of(micros);
    Form::of(seconds, nanos)
}

/// An instant as text.
pub(crate) fn text((micros, form): Written) -> String {
    let (seconds, nanos) = seconds_of(micros);
    instant_text(seconds, nanos, form)
}

/// The extremes of rising instants; those of either end all get the shortest form that shows them wholly.
fn extremes(sorted: &[(i64, Option<u32>)]) -> Extremes<Written> {
    let shown = sorted.len().min(EXTREMES);
    let longest = |some: &[(i64, Option<u32>)]| some.iter().map(|&(t, _)| form_of(t)).max();
    let first = longest(&sorted[..shown]).unwrap_or(Form::Date);
    let last = longest(&sorted[sorted.len() - shown..]).unwrap_or(Form::Date);
    let written = |form: Form| sorted.iter().map(move |&(t, subject)| ((t, form), subject));
    Extremes::new(written(first), written(last).rev())
}

/// Reads an instant as the statistics write it.
fn instant(text: &str) -> Option<i64> {
    Dates::read([Some(text)].into_iter()).into_micros()[0]
}

/// The least and the greatest instant of the statistics, where they show any.
pub(crate) fn read_ends(min: Option<&str>, max: Option<&str>) -> (Option<i64>, Option<i64>) {
    (min.and_then(instant), max.and_then(instant))
}

/// Whether the ends of statistics from a file are instants.
pub(crate) fn check_ends(min: Option<&str>, max: Option<&str>) -> Result<(), (&'static str, String)> {
    for (key, text) in [("min", min), ("max", max)] {
        if text.is_some_and(|text| instant(text).is_none()) {
            return Err((key, "it is not a date".to_owned()));
        }
    }
    Ok(())
}
