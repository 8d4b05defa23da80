//! What the model takes from codes and statistics besides the codes: how often codes occur, and which it
//! never draws.

use super::codes::check_codes;
use super::stats::TableStats;
use crate::encode::{EncodeError, RareReplacement};
use crate::schema::CodeTable;

/// The share of each code by sub-column, over all rows of some code tables, smoothed by one row per code: the
/// initial weights of the predictors. Of a column with nulls the parts are counted over the rows that are not
/// null, if there are any.
///
/// # Errors
/// [`EncodeError::UnequalColumns`] and [`EncodeError::CodeOutOfRange`] when the codes are of another model.
pub fn empirical_probabilities(
    stats: &TableStats,
    tables: &[&CodeTable],
) -> Result<Vec<Vec<f64>>, EncodeError> {
    for codes in tables {
        check_codes(codes, stats)?;
    }
    let sub_columns = stats.sub_columns();
    let mut probabilities = Vec::with_capacity(sub_columns.len());
    for column in stats.model_columns() {
        let flag = column
            .sub_columns
            .clone()
            .find(|&s| sub_columns[s].name.is_null_flag());
        for sub_column in column.sub_columns {
            let cardinality = sub_columns[sub_column].cardinality;
            let flag = flag.filter(|&flag| flag != sub_column);
            let counts = counts(tables, sub_column, flag, cardinality);
            let total = (counts.iter().sum::<u64>() + cardinality as u64) as f64;
            probabilities.push(
                counts
                    .iter()
                    .map(|&n| ((n + 1) as f64 / total).max(1e-12))
                    .collect(),
            );
        }
    }
    Ok(probabilities)
}

/// How often each code occurs where the flag is 0; everywhere if that is nowhere.
fn counts(tables: &[&CodeTable], sub_column: usize, flag: Option<usize>, cardinality: usize) -> Vec<u64> {
    let mut counts = vec![0; cardinality];
    if let Some(flag) = flag {
        for codes in tables {
            let (flags, codes) = (&codes.columns()[flag], &codes.columns()[sub_column]);
            for row in (0..codes.len()).filter(|&row| flags.get(row) == 0) {
                counts[codes.get(row) as usize] += 1;
            }
        }
        if counts.iter().any(|&n| n > 0) {
            return counts;
        }
    }
    for codes in tables {
        let more = codes.columns()[sub_column].counts(cardinality);
        counts
            .iter_mut()
            .zip(more)
            .for_each(|(count, more)| *count += more);
    }
    counts
}

/// Codes that generation never draws, as (index of the sub-column, code): those of rare categories where
/// there were none or where another category replaces them, those of unknown numbers always.
pub fn rare_codes(stats: &TableStats, replacement: RareReplacement) -> Vec<(usize, u32)> {
    let mut codes = Vec::new();
    let mut start = 0;
    for (_, _, values, _) in stats.modelled() {
        let encoding = values.encoding();
        codes.extend(
            encoding
                .never_drawn(replacement)
                .map(|(sub, code)| (start + sub, code)),
        );
        start += encoding.cardinalities().len();
    }
    codes
}
