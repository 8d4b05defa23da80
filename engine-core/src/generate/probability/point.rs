//! From a distribution over codes to one value: mean, median or mode of the values behind the codes.

use super::super::GenerateError;
use super::chain::SparseDistribution;
use crate::encode::{self, BinOffsets, BinnedStats, ModelColumn, TableStats};
use crate::schema::{CodeColumn, CodeTable, DecodedColumn, DecodedValues};

/// The last position inside a bin.
const UPPER: f64 = 1.0 - f64::EPSILON;

/// Which value stands for a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The mean over all values that are not null; of bins, their middle.
    Mean,
    /// The least value that at least half of the mass of values that are not null lies at or below; within a bin the mass is even.
    Median,
    /// The most probable value that is not null; of bins, the middle of the most probable one; of equals the smallest.
    Mode,
}

/// One value for each distribution of a column, by its statistics; null where null is all that is possible.
///
/// Means and medians are floats, those of instants are instants (rounded to microseconds). Modes have the type of the column.
///
/// # Errors
/// [`GenerateError::NoSuchPoint`] for means and medians of texts, [`GenerateError::Decode`] when the codes are of another model,
/// [`GenerateError::Targets`] when there is no such column.
pub fn point_predictions(
    stats: &TableStats,
    column: usize,
    distributions: &[SparseDistribution],
    point: Point,
) -> Result<DecodedColumn, GenerateError> {
    let model_column = stats
        .model_columns()
        .into_iter()
        .nth(column)
        .ok_or(GenerateError::Targets)?;
    let of_column = Decoder::new(stats, &model_column)?;
    let name = match point {
        Point::Mean => "mean",
        Point::Median => "median",
        Point::Mode => return of_column.modes(distributions),
    };
    let mut points = Vec::with_capacity(distributions.len());
    let mut instants = false;
    for atoms in distributions {
        let (lower, upper) = (
            of_column.decode(&atoms.codes, 0.0)?,
            of_column.decode(&atoms.codes, UPPER)?,
        );
        let numbers = |c: &DecodedColumn| numbers(c).ok_or_else(|| no_point(&model_column.name, name));
        let (lower_values, upper_values) = (numbers(&lower)?, numbers(&upper)?);
        instants |= matches!(lower.values, DecodedValues::Timestamp(_));
        let mut intervals: Vec<Interval> = (0..atoms.probs.len())
            .filter(|i| is_value(&lower, *i))
            .map(|i| Interval {
                lower: lower_values[i],
                upper: if of_column.is_binned {
                    upper_values[i]
                } else {
                    lower_values[i]
                },
                mass: atoms.probs[i],
            })
            .collect();
        points.push(match point {
            Point::Mean => mean(&intervals),
            _ => median(&mut intervals),
        });
    }
    let validity = points.iter().any(Option::is_none);
    let validity = validity.then(|| points.iter().map(Option::is_some).collect());
    let values = points.into_iter().map(Option::unwrap_or_default);
    let values = match instants {
        true => DecodedValues::Timestamp(values.map(|v| v.round() as i64).collect()),
        false => DecodedValues::Float(values.collect()),
    };
    Ok(DecodedColumn {
        name: model_column.name,
        values,
        validity,
    })
}

fn no_point(column: &str, point: &'static str) -> GenerateError {
    GenerateError::NoSuchPoint {
        column: column.to_owned(),
        point,
    }
}

/// An atom's values, evenly spread between two ends, and its probability.
#[derive(Debug, Clone, Copy)]
struct Interval {
    lower: f64,
    upper: f64,
    mass: f64,
}

fn mean(intervals: &[Interval]) -> Option<f64> {
    let total: f64 = intervals.iter().map(|p| p.mass).sum();
    let sum: f64 = intervals
        .iter()
        .map(|p| p.mass * (p.lower + (p.upper - p.lower) / 2.0))
        .sum();
    (total > 0.0).then(|| sum / total)
}

fn median(intervals: &mut [Interval]) -> Option<f64> {
    intervals.sort_by(|a, b| a.lower.total_cmp(&b.lower).then(a.upper.total_cmp(&b.upper)));
    let half = intervals.iter().map(|p| p.mass).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for interval in intervals.iter().filter(|p| p.mass > 0.0) {
        if below + interval.mass >= half {
            let share = (half - below) / interval.mass;
            return Some(interval.lower + (interval.upper - interval.lower) * share);
        }
        below += interval.mass;
    }
    // Rounding may leave the sum just short of its half twice over.
    intervals.last().map(|p| p.upper)
}

fn is_value(column: &DecodedColumn, row: usize) -> bool {
    let valid = column.validity.as_ref().is_none_or(|v| v[row]);
    valid
        && match &column.values {
            DecodedValues::Labels { indices, labels } => labels[indices[row] as usize].is_some(),
            DecodedValues::Null(_) => false,
            _ => true,
        }
}

fn numbers(column: &DecodedColumn) -> Option<Vec<f64>> {
    match &column.values {
        DecodedValues::Int(v) | DecodedValues::Timestamp(v) => Some(v.iter().map(|x| *x as f64).collect()),
        DecodedValues::Float(v) => Some(v.clone()),
        _ => None,
    }
}

/// Decodes codes of a single column.
struct Decoder {
    stats: TableStats,
    cardinalities: Vec<usize>,
    is_binned: bool,
}

impl Decoder {
    fn new(stats: &TableStats, column: &ModelColumn) -> Result<Self, GenerateError> {
        let mut alone = stats.clone();
        alone.columns.retain(|name, _| *name == column.name);
        let cardinalities: Vec<usize> = alone.sub_columns().iter().map(|s| s.cardinality).collect();
        let is_binned = alone
            .modelled()
            .any(|(_, _, values, _)| values.get::<BinnedStats>().is_some());
        Ok(Self {
            stats: alone,
            cardinalities,
            is_binned,
        })
    }

    /// Values of codes `[rows, sub-columns]`.
    fn decode(&self, codes: &[u32], position: f64) -> Result<DecodedColumn, GenerateError> {
        let width = self.cardinalities.len().max(1);
        let column = |(i, v): (usize, &usize)| {
            CodeColumn::from_codes(*v, codes.iter().skip(i).step_by(width).copied())
        };
        let columns = self.cardinalities.iter().enumerate().map(column).collect();
        let table = CodeTable::new(columns, codes.len() / width).ok_or(GenerateError::Targets)?;
        let mut decoded = encode::decode(&table, &self.stats, BinOffsets::Constant(position))?;
        decoded.pop().ok_or(GenerateError::Targets)
    }

    fn modes(&self, distributions: &[SparseDistribution]) -> Result<DecodedColumn, GenerateError> {
        let width = self.cardinalities.len().max(1);
        let mut best = Vec::with_capacity(distributions.len() * width);
        for atoms in distributions {
            let decoded = self.decode(&atoms.codes, 0.0)?;
            let by_mass = |a: &usize, b: &usize| atoms.probs[*a].total_cmp(&atoms.probs[*b]).then(b.cmp(a));
            let values = (0..atoms.probs.len()).filter(|i| is_value(&decoded, *i));
            // Null where there is nothing else.
            let mode = values.max_by(by_mass).unwrap_or(0);
            best.extend_from_slice(&atoms.codes[mode * width..(mode + 1) * width]);
        }
        self.decode(&best, 0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(lower: f64, upper: f64, mass: f64) -> Interval {
        Interval { lower, upper, mass }
    }

    #[test]
    fn means_and_medians_are_those_of_the_mass() {
        let mut intervals = [
            interval(10.0, 20.0, 0.5),
            interval(0.0, 10.0, 0.25),
            interval(20.0, 40.0, 0.25),
        ];
        assert_eq!(mean(&intervals), Some(0.25 * 5.0 + 0.5 * 15.0 + 0.25 * 30.0));
        assert_eq!(median(&mut intervals), Some(15.0));
        let mut points = [
            interval(3.0, 3.0, 0.4),
            interval(1.0, 1.0, 0.3),
            interval(2.0, 2.0, 0.3),
        ];
        assert_eq!(median(&mut points), Some(2.0));
        assert_eq!(mean(&[interval(3.0, 3.0, 0.0)]), None);
        assert_eq!(median(&mut []), None);
    }
}
