//! Columns as instants: microseconds since 1970-01-01 00:00 UTC.

use super::dates::Dates;
use super::numbers::{NumberValues, Numbers};
use super::parse_failures::ParseFailures;
use crate::calendar::{DAY, SECOND, days_of};
use crate::encode::error::shorten;
use crate::encode::{Compat, EncodeError, EncodingType};
use crate::schema::{Column, TextValues, TimeUnit, Values};

/// A column as instants, within the years 1 to 9999 where valid.
pub(crate) struct Instants {
    /// Microseconds since 1970; arbitrary where null.
    pub(crate) micros: Vec<i64>,
    /// Validity by row; `None` when all rows hold an instant.
    pub(crate) valid: Option<Vec<bool>>,
    /// Texts that hold no date.
    pub(crate) parse_failures: Option<ParseFailures>,
    /// Rows whose instant lies outside the years 1 to 9999.
    pub(crate) out_of_range: u64,
}

impl Instants {
    /// Reads the instants of a column. Numbers are nanoseconds since 1970; of texts see [`Dates`]. Instants
    /// outside the years 1 to 9999 are null. `encoding` is the one that reads, `first_row` the row of the whole table that the first row is.
    ///
    /// # Errors
    /// [`EncodeError::WrongValues`] for booleans, [`EncodeError::Infinite`] for infinite numbers,
    /// [`EncodeError::ShortYear`] for texts whose year has two digits, which mostlyai-engine guesses.
    pub(crate) fn read(
        column: &Column<'_>,
        encoding: EncodingType,
        compat: Compat,
        first_row: u64,
    ) -> Result<Self, EncodeError> {
        let mut parse_failures = None;
        let parsed: Vec<Option<i64>> = match column.values {
            Values::Null(rows) => vec![None; rows],
            Values::Boolean(_) => {
                return Err(EncodeError::WrongValues {
                    column: column.name.to_owned(),
                    encoding,
                    values: "booleans",
                });
            }
            Values::Date(days) => days.iter().map(|&d| i64::from(d).checked_mul(DAY)).collect(),
            Values::Timestamp { ticks, unit, .. } => ticks.iter().map(|&t| micros_of(t, unit)).collect(),
            Values::Text(texts) => {
                let (parsed, counted) = read_texts(column, (texts, compat), first_row)?;
                parse_failures = Some(counted);
                parsed
            }
            _ => of_numbers(&Numbers::read(column, compat, first_row)?),
        };
        let (first, last) = (days_of(1, 1, 1) * DAY, days_of(10_000, 1, 1) * DAY);
        let mut out_of_range = 0;
        let valid = parsed.iter().enumerate().map(|(row, instant)| {
            let present = instant.is_some() && column.is_valid(row);
            let in_range = instant.is_some_and(|t| (first..last).contains(&t));
            out_of_range += u64::from(present && !in_range);
            present && in_range
        });
        let valid: Vec<bool> = valid.collect();
        Ok(Self {
            micros: parsed.iter().map(|t| t.unwrap_or(0)).collect(),
            valid: valid.contains(&false).then_some(valid),
            parse_failures,
            out_of_range,
        })
    }

    #[inline]
    pub(crate) fn is_valid(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid[row])
    }
}

fn micros_of(tick: i64, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => tick.checked_mul(SECOND),
        TimeUnit::Millisecond => tick.checked_mul(1_000),
        TimeUnit::Microsecond => Some(tick),
        TimeUnit::Nanosecond => Some(tick.div_euclid(1_000)),
    }
}

/// Numbers as nanoseconds since 1970.
fn of_numbers(numbers: &Numbers<'_>) -> Vec<Option<i64>> {
    match &numbers.values {
        NumberValues::Int(v) => v.iter().map(|n| Some(n.div_euclid(1_000))).collect(),
        NumberValues::Float(v) => {
            let micros =
                |(row, n): (usize, &f64)| numbers.is_valid(row).then(|| (n / 1_000.0).floor() as i64);
            v.iter().enumerate().map(micros).collect()
        }
    }
}

fn read_texts(
    column: &Column<'_>,
    (texts, compat): (TextValues<'_>, Compat),
    first_row: u64,
) -> Result<(Vec<Option<i64>>, ParseFailures), EncodeError> {
    let text = |row: usize| column.is_valid(row).then(|| texts.get(row));
    let dates = Dates::read((0..texts.len()).map(text));
    if compat == Compat::Native
        && let Some(row) = dates.first_short_year()
    {
        return Err(EncodeError::ShortYear {
            column: column.name.to_owned(),
            row: first_row + row as u64,
            value: shorten(texts.get(row)),
        });
    }
    let parsed = dates.into_micros();
    let mut parse_failures = ParseFailures::default();
    for (row, instant) in parsed.iter().enumerate() {
        if let Some(text) = text(row) {
            parse_failures.present += 1;
            if instant.is_none() {
                parse_failures.add(first_row + row as u64, || shorten(text));
            }
        }
    }
    Ok((parsed, parse_failures))
}
