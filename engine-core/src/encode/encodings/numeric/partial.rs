//! What is counted in a part of a numeric column.

use std::cmp::Ordering;

use indexmap::IndexMap;

use super::bin_distributions::PartialBinDistributions;
use super::quantiles::{self, Sorted};
use crate::encode::EncodeError;
use crate::encode::encodings::encoding::{CountSite, Counting, Coverage, Partial};
use crate::encode::protection::{Extremes, Histogram, SubjectCount};
use crate::encode::values::decimal::{Decimal, HIGHEST, LOWEST};
use crate::encode::values::numbers::{NumberValues, Numbers};
use crate::encode::values::parse_failures::ParseFailures;
use crate::encode::values::strings::float_text;
use crate::privacy::log_histogram;
use crate::schema::Column;

/// Decimal places that are analysed.
pub(crate) const PLACES: usize = (HIGHEST - LOWEST + 1) as usize;

/// Statistics of a numeric column in a part of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NumericPartial {
    pub(crate) nulls: SubjectCount,
    /// The digits at each decimal place, from 10^18 down to 10^-20.
    pub(crate) digits: Vec<Histogram>,
    /// The place of the last digit that is not 0, counted up from 10^-20; of zero it is that of 10^18.
    pub(crate) last_places: Histogram,
    pub(crate) extremes: Extremes<f64>,
    /// Subject count of each value, rising; `None` where discrete numbers are ruled out.
    pub(crate) cnt_values: Option<IndexMap<String, SubjectCount>>,
    pub(crate) quantiles: Option<Vec<f64>>,
    /// The same quantiles with as many digits as enough subjects share.
    pub(crate) shared_quantiles: Option<Vec<f64>>,
    pub(crate) log_hist: Vec<u64>,
    /// What lies between the quantiles.
    pub(crate) within: Option<PartialBinDistributions>,
    pub(crate) parse_failures: Option<ParseFailures>,
}

impl Partial for NumericPartial {
    fn merge(&mut self, later: Self) {
        self.nulls += &later.nulls;
        ParseFailures::merge_into(&mut self.parse_failures, later.parse_failures);
        // Rows without a single number say nothing about categories.
        if later.extremes.is_empty() {
            return;
        }
        if self.extremes.is_empty() {
            self.cnt_values = later.cnt_values;
        } else {
            let both = self.cnt_values.take().zip(later.cnt_values);
            self.cnt_values = both.map(|(mut all, more)| {
                for (value, holders) in more {
                    *all.entry(value).or_default() += &holders;
                }
                all
            });
        }
        self.extremes.merge(&later.extremes);
        let digits = self.digits.iter_mut().zip(&later.digits);
        digits.for_each(|(all, more)| all.merge(more));
        self.last_places.merge(&later.last_places);
        let join = |all: &mut Option<Vec<f64>>, more: Option<Vec<f64>>| match (all.as_mut(), more) {
            (Some(all), Some(more)) => all.extend(more),
            (None, more) => *all = more,
            (Some(_), None) => {}
        };
        join(&mut self.quantiles, later.quantiles);
        join(&mut self.shared_quantiles, later.shared_quantiles);
        match (self.within.as_mut(), later.within) {
            (Some(all), Some(more)) => all.merge(more),
            (None, more) => self.within = more,
            (Some(_), None) => {}
        }
        for (count, more) in self.log_hist.iter_mut().zip(later.log_hist) {
            *count += more;
        }
    }

    fn parse_failures(&self) -> Option<&ParseFailures> {
        self.parse_failures.as_ref()
    }
}

impl NumericPartial {
    /// Rows that hold a number, and how many of them lie outside the ends; all of them when these are hidden. Of a subject's rows
    /// only the most extreme one on either side is counted.
    pub(crate) fn outside(&self, ends: Option<(f64, f64)>) -> Coverage {
        let rows = self.log_hist.iter().sum();
        let distinct = self.cnt_values.as_ref().map(|values| values.len() as u64);
        let Some((least, greatest)) = ends else {
            return Coverage {
                rows,
                protected: rows,
                distinct,
            };
        };
        let below = self.extremes.smallest().iter().filter(|&&v| v < least).count();
        let above = self.extremes.largest().iter().filter(|&&v| v > greatest).count();
        Coverage {
            rows,
            protected: (below + above) as u64,
            distinct,
        }
    }
}

/// What counting needs to know of a number.
trait Countable: Copy + PartialEq {
    fn order(&self, other: &Self) -> Ordering;
    fn as_f64(self) -> f64;
    fn decimal(self) -> Decimal;
    fn text(self) -> String;
}

impl Countable for i64 {
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }

    fn as_f64(self) -> f64 {
        self as f64
    }

    fn decimal(self) -> Decimal {
        Decimal::of_int(self)
    }

    fn text(self) -> String {
        self.to_string()
    }
}

impl Countable for f64 {
    fn order(&self, other: &Self) -> Ordering {
        self.total_cmp(other)
    }

    fn as_f64(self) -> f64 {
        self
    }

    fn decimal(self) -> Decimal {
        Decimal::for_digits(self)
    }

    fn text(self) -> String {
        float_text(self)
    }
}

/// Rising numbers with the rows that hold them, and the subjects of all rows if rows name any.
struct Rows<'a, T> {
    sorted: Vec<T>,
    /// The rows of the numbers; empty when not needed.
    rows: Vec<u32>,
    subjects: Option<&'a [u32]>,
}

impl<'a, T: Countable> Rows<'a, T> {
    fn sort(values: impl Iterator<Item = (usize, T)>, subjects: Option<&'a [u32]>) -> Self {
        if subjects.is_none() {
            let mut sorted: Vec<T> = values.map(|(_, value)| value).collect();
            sorted.sort_unstable_by(T::order);
            let rows = Vec::new();
            return Self {
                sorted,
                rows,
                subjects,
            };
        }
        let mut pairs: Vec<(T, u32)> = values.map(|(row, value)| (value, row as u32)).collect();
        pairs.sort_by(|(a, _), (b, _)| a.order(b));
        let (sorted, rows) = pairs.into_iter().unzip();
        Self {
            sorted,
            rows,
            subjects,
        }
    }

    fn subject(&self, place: usize) -> Option<u32> {
        self.subjects.map(|subjects| subjects[self.rows[place] as usize])
    }

    /// Runs of equal numbers, each with who holds it.
    fn runs(&self) -> Vec<(T, SubjectCount)> {
        let mut start = 0;
        let runs = self.sorted.chunk_by(|a, b| a == b).map(|run| {
            let places = start..start + run.len();
            start = places.end;
            let rows = places.map(|place| self.rows.get(place).map_or(0, |&row| row as usize));
            (run[0], SubjectCount::of(rows, self.subjects))
        });
        runs.collect()
    }
}

/// What an encoding wants to know of a column beyond what all of them do.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// Whether it is who holds each number, when a part has so many distinct ones.
    pub(crate) values: fn(usize, Counting) -> bool,
    /// Whether it is quantiles, and what lies between them.
    pub(crate) quantiles: bool,
}

/// Counts a numeric column.
pub(crate) fn count(
    column: &Column<'_>,
    wanted: Wanted,
    site: CountSite,
) -> Result<NumericPartial, EncodeError> {
    let subjects = site.subjects;
    let mut numbers = Numbers::read(column, site.compat, site.first_row)?;
    if numbers.nans > 0 {
        tracing::info!(column = column.name, rows = numbers.nans, "NaN is taken as null");
    }
    let parse_failures = numbers.parse_failures.take();
    let nulls = (0..numbers.len()).filter(|&row| !numbers.is_valid(row));
    let nulls = SubjectCount::of(nulls, subjects);
    let valid = (0..numbers.len()).filter(|&row| numbers.is_valid(row));
    let mut partial = match &numbers.values {
        NumberValues::Int(values) => {
            let rows = Rows::sort(valid.map(|row| (row, values[row])), subjects);
            count_sorted(&rows, wanted, site.counting)
        }
        NumberValues::Float(values) => {
            // Minus zero and zero are one value; the first of them in the table gives it its sign.
            let zero = valid.clone().map(|row| values[row]).find(|&v| v == 0.0);
            let value = |row: usize| match zero {
                Some(zero) if values[row] == 0.0 => (row, zero),
                _ => (row, values[row]),
            };
            let rows = Rows::sort(valid.map(value), subjects);
            count_sorted(&rows, wanted, site.counting)
        }
    };
    partial.nulls = nulls;
    partial.parse_failures = parse_failures;
    Ok(partial)
}

fn count_sorted<T: Countable>(rows: &Rows<'_, T>, wanted: Wanted, counting: Counting) -> NumericPartial {
    let runs = rows.runs();
    let counts_values = (wanted.values)(runs.len(), counting);
    let mut log_hist = vec![0; log_histogram::BINS];
    let mut digits = vec![Histogram::default(); PLACES];
    let mut last_places = Histogram::default();
    for (value, holders) in &runs {
        log_hist[log_histogram::bin_of(value.as_f64())] += holders.rows();
        let decimal = value.decimal();
        let mut of_value = [0; PLACES];
        decimal.each_digit(|exponent, digit| {
            if let Some(slot) = usize::try_from(HIGHEST - exponent)
                .ok()
                .and_then(|place| of_value.get_mut(place))
            {
                *slot = digit;
            }
        });
        for (histogram, digit) in digits.iter_mut().zip(of_value) {
            histogram.add(usize::from(digit), holders);
        }
        let last = if decimal.mantissa == 0 {
            HIGHEST
        } else {
            decimal.exponent
        };
        last_places.add((last.clamp(LOWEST, HIGHEST) - LOWEST) as usize, holders);
    }
    let sorted = Sorted {
        len: rows.sorted.len(),
        value: &|place| rows.sorted[place].as_f64(),
        subject: &|place| rows.subject(place),
    };
    let with_subjects = (0..sorted.len).map(|place| ((sorted.value)(place), (sorted.subject)(place)));
    let quantiles = wanted.quantiles.then(|| quantiles::of_sorted(&sorted)).flatten();
    let shared_quantiles = wanted.quantiles.then(|| quantiles::shared(&sorted)).flatten();
    let within = quantiles.as_ref().map(|quantiles| {
        let edges = quantiles.iter().chain(shared_quantiles.iter().flatten());
        let runs = runs.iter().map(|(value, holders)| (value.as_f64(), holders));
        PartialBinDistributions::of_runs(runs, edges.copied().collect())
    });
    NumericPartial {
        nulls: SubjectCount::default(),
        digits,
        last_places,
        extremes: Extremes::of_sorted(with_subjects),
        quantiles,
        shared_quantiles,
        cnt_values: counts_values.then(|| runs.into_iter().map(|(v, holders)| (v.text(), holders)).collect()),
        log_hist,
        within,
        parse_failures: None,
    }
}
