//! What is counted in a part of a numeric column.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::decimal::{Decimal, HIGHEST, LOWEST};
use super::digits::Digits;
use super::quantiles;
use super::values::{NumberValues, Numbers};
use super::within::{Run, WithinPartial};
use crate::encode::log_histogram;
use crate::encode::partial::Misfits;
use crate::encode::strings::float_text;
use crate::encode::{EncodeError, EncodingType};
use crate::schema::Column;

/// From this many distinct values on in one part the automatic choice does not consider discrete numbers.
const MOST_DISTINCT: usize = 100;
/// How many extremes are kept on each side.
const EXTREMES: usize = 1_000;
/// Decimals that are always analysed.
const DECIMALS: i32 = 8;

/// Statistics of a numeric column in a part of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NumericPartial {
    pub(crate) has_nan: bool,
    pub(crate) has_neg: bool,
    pub(crate) min_digits: Digits,
    pub(crate) max_digits: Digits,
    /// The smallest values, rising.
    pub(crate) min_n: Vec<f64>,
    /// The largest values, falling.
    pub(crate) max_n: Vec<f64>,
    /// Rows by value, rising; `None` where discrete numbers are out of the question.
    pub(crate) cnt_values: Option<IndexMap<String, u64>>,
    pub(crate) quantiles: Option<Vec<f64>>,
    pub(crate) log_hist: Vec<u64>,
    /// What lies between the quantiles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) within: Option<WithinPartial>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) misfits: Option<Misfits>,
}

/// What counting needs to know of a number.
trait Countable: Copy + PartialEq {
    fn as_f64(self) -> f64;
    fn decimal(self) -> Decimal;
    fn decimals(self) -> i32;
    /// Power of ten of the last digit that is analysed.
    fn place(self) -> i32 {
        self.decimal().exponent
    }
    fn text(self) -> String;
}

impl Countable for i64 {
    fn as_f64(self) -> f64 {
        self as f64
    }

    fn decimal(self) -> Decimal {
        Decimal::of_int(self)
    }

    fn decimals(self) -> i32 {
        0
    }

    fn text(self) -> String {
        self.to_string()
    }
}

impl Countable for f64 {
    fn as_f64(self) -> f64 {
        self
    }

    fn decimal(self) -> Decimal {
        Decimal::for_digits(self)
    }

    fn decimals(self) -> i32 {
        Decimal::shortest(self).decimals()
    }

    fn text(self) -> String {
        float_text(self)
    }
}

/// Counts a numeric column. `first_row` is the row of the whole table that the first row is.
pub(crate) fn analyze(
    column: &Column<'_>,
    encoding: EncodingType,
    first_row: u64,
) -> Result<NumericPartial, EncodeError> {
    let mut numbers = Numbers::read(column, first_row)?;
    if numbers.nans > 0 {
        tracing::info!(column = column.name, rows = numbers.nans, "NaN is taken as null");
    }
    let misfits = numbers.misfits.take();
    let has_nan = numbers.has_nulls();
    let valid = (0..numbers.len()).filter(|&row| numbers.is_valid(row));
    let mut partial = match &numbers.values {
        NumberValues::Int(values) => {
            let mut sorted: Vec<i64> = valid.map(|row| values[row]).collect();
            sorted.sort_unstable();
            count_sorted(&sorted, encoding)
        }
        NumberValues::Float(values) => {
            let mut sorted: Vec<f64> = valid.map(|row| values[row]).collect();
            // Minus zero and zero are one value; the first of them in the table gives it its sign.
            if let Some(zero) = sorted.iter().copied().find(|&v| v == 0.0) {
                sorted.iter_mut().filter(|v| **v == 0.0).for_each(|v| *v = zero);
            }
            sorted.sort_unstable_by(f64::total_cmp);
            count_sorted(&sorted, encoding)
        }
    };
    partial.has_nan = has_nan;
    partial.misfits = misfits;
    Ok(partial)
}

fn count_sorted<T: Countable>(sorted: &[T], encoding: EncodingType) -> NumericPartial {
    let runs: Vec<&[T]> = sorted.chunk_by(|a, b| a == b).collect();
    let may_be_discrete = match encoding {
        EncodingType::NumericDiscrete => true,
        EncodingType::NumericAuto => runs.len() < MOST_DISTINCT,
        _ => false,
    };
    let wants_quantiles = matches!(encoding, EncodingType::NumericAuto | EncodingType::NumericBinned);
    let mut log_hist = vec![0; log_histogram::BINS];
    for run in &runs {
        log_hist[log_histogram::bin_of(run[0].as_f64())] += run.len() as u64;
    }
    let (min_digits, max_digits) = digit_ranges(&runs);
    let quantiles = wants_quantiles
        .then(|| quantiles::of_sorted(sorted, T::as_f64))
        .flatten();
    let within = quantiles.as_ref().map(|quantiles| {
        let runs = runs.iter().map(|run| Run {
            value: run[0].as_f64(),
            rows: run.len() as u64,
            place: run[0].place(),
        });
        WithinPartial::of_runs(runs, quantiles)
    });
    NumericPartial {
        has_nan: false,
        has_neg: sorted.first().is_some_and(|v| v.as_f64() < 0.0),
        min_digits,
        max_digits,
        min_n: sorted.iter().take(EXTREMES).map(|v| v.as_f64()).collect(),
        max_n: sorted.iter().rev().take(EXTREMES).map(|v| v.as_f64()).collect(),
        cnt_values: may_be_discrete
            .then(|| runs.iter().map(|run| (run[0].text(), run.len() as u64)).collect()),
        quantiles,
        log_hist,
        within,
        misfits: None,
    }
}

/// The least and the greatest digit by decimal place; all 0 without values.
fn digit_ranges<T: Countable>(runs: &[&[T]]) -> (Digits, Digits) {
    const PLACES: usize = (HIGHEST - LOWEST + 1) as usize;
    let decimals = runs.iter().map(|run| run[0].decimals()).max().unwrap_or(0);
    let lowest = -decimals.clamp(DECIMALS, -LOWEST);
    let (mut least, mut greatest) = ([9u8; PLACES], [0u8; PLACES]);
    for run in runs {
        let mut digits = [0; PLACES];
        run[0].decimal().each_digit(|exponent, digit| {
            if (lowest..=HIGHEST).contains(&exponent) {
                digits[(HIGHEST - exponent) as usize] = digit;
            }
        });
        for place in 0..PLACES {
            least[place] = least[place].min(digits[place]);
            greatest[place] = greatest[place].max(digits[place]);
        }
    }
    if runs.is_empty() {
        least = greatest;
    }
    let held = (HIGHEST - lowest + 1) as usize;
    (
        Digits::from_highest(&least[..held]),
        Digits::from_highest(&greatest[..held]),
    )
}
