//! Whole tables to codes and back, column by column.

use rayon::prelude::*;

use super::stats::{ColumnStats, Modelled, TableStats};
use crate::encode::encodings::column::{DecodeSite, EncodeSite, Encoded};
use crate::encode::{BinOffsets, Compat, EncodeError, EncodingStats, UnknownValues};
use crate::schema::{CodeColumn, CodeTable, DecodedColumn, DecodedValues, Table};

/// The codes of a table, one column per sub-column of [`TableStats::sub_columns`]. `first_row` is the row of
/// the whole table that the first row is; with the seed it decides the null fill.
///
/// # Errors
/// [`EncodeError::MissingColumn`], [`EncodeError::NoSubjects`], [`EncodeError::Infinite`],
/// [`EncodeError::WrongValues`], [`EncodeError::ShortYear`].
pub fn encode(
    table: &Table<'_>,
    stats: &TableStats,
    seed: u64,
    first_row: u64,
) -> Result<CodeTable, EncodeError> {
    let (codes, _) = encode_columns(table, stats, (seed, first_row), |name, _| {
        Err(EncodeError::MissingColumn {
            column: name.to_owned(),
        })
    })?;
    Ok(codes)
}

/// [`encode`] of a table that may lack columns of the model: all their codes are 0. Beside the codes stands how many
/// values of each column the statistics do not know, by name; columns whose values are all known are left out.
///
/// # Errors
/// As [`encode`], but for missing columns.
pub fn encode_present(
    table: &Table<'_>,
    stats: &TableStats,
    seed: u64,
    first_row: u64,
) -> Result<(CodeTable, Vec<(String, UnknownValues)>), EncodeError> {
    encode_columns(table, stats, (seed, first_row), |_, values| {
        let cardinalities = values.cardinalities().values();
        Ok(Encoded {
            codes: cardinalities
                .map(|v| CodeColumn::zeros(*v, table.rows()))
                .collect(),
            unknown: UnknownValues::default(),
        })
    })
}

/// Where the column at `index` of the statistics is encoded.
fn site<'t>(
    table: &Table<'t>,
    stats: &TableStats,
    index: usize,
    (seed, first_row): (u64, u64),
) -> EncodeSite<'t> {
    let compat = match &stats.columns[index] {
        ColumnStats::Modelled { texts, .. } => *texts,
        ColumnStats::Empty(_) => Compat::MostlyAi,
    };
    EncodeSite {
        seed,
        first_row,
        column: index as u32,
        compat,
        subjects: table.subjects(),
    }
}

fn encode_columns(
    table: &Table<'_>,
    stats: &TableStats,
    (seed, first_row): (u64, u64),
    missing: impl Fn(&str, &EncodingStats) -> Result<Encoded, EncodeError> + Sync,
) -> Result<(CodeTable, Vec<(String, UnknownValues)>), EncodeError> {
    let modelled: Vec<_> = stats.modelled().collect();
    let encoded = modelled.par_iter().map(|&(index, name, values, _)| {
        let Some(column) = table.column(name) else {
            return missing(name, values);
        };
        values
            .encoding()
            .encode(column, site(table, stats, index, (seed, first_row)))
    });
    let encoded: Vec<Result<Encoded, EncodeError>> = encoded.collect();
    let (mut columns, mut unknown) = (Vec::new(), Vec::new());
    for (encoded, &(_, name, ..)) in encoded.into_iter().zip(&modelled) {
        let encoded = encoded?;
        columns.extend(encoded.codes);
        if !encoded.unknown.is_zero() {
            unknown.push((name.to_owned(), encoded.unknown));
        }
    }
    let got = columns.len();
    match CodeTable::new(columns, table.rows()) {
        Some(codes) => Ok((codes, unknown)),
        None => Err(EncodeError::UnequalColumns { expected: got, got }),
    }
}

/// The values of codes, one column per column of the statistics, in their order; columns that were empty in
/// training are returned as nulls.
///
/// # Errors
/// [`EncodeError::UnequalColumns`] when the codes are of another model, [`EncodeError::CodeOutOfRange`];
/// [`EncodeError::NoSubjects`] for an encoding that needs to know whose rows they are ([`decode_subjects`]).
pub fn decode(
    codes: &CodeTable,
    stats: &TableStats,
    offsets: BinOffsets,
) -> Result<Vec<DecodedColumn>, EncodeError> {
    decode_columns(codes, stats, offsets, None)
}

/// [`decode`] for rows of subjects: those with one number belong to one subject, whole and in their order.
///
/// # Errors
/// As [`decode`]; [`EncodeError::UnequalSubjects`] when there are not as many numbers as rows.
pub fn decode_subjects(
    codes: &CodeTable,
    stats: &TableStats,
    offsets: BinOffsets,
    subjects: &[u32],
) -> Result<Vec<DecodedColumn>, EncodeError> {
    if subjects.len() != codes.rows() {
        return Err(EncodeError::UnequalSubjects {
            rows: codes.rows(),
            subjects: subjects.len(),
        });
    }
    decode_columns(codes, stats, offsets, Some(subjects))
}

fn decode_columns(
    codes: &CodeTable,
    stats: &TableStats,
    offsets: BinOffsets,
    subjects: Option<&[u32]>,
) -> Result<Vec<DecodedColumn>, EncodeError> {
    check_codes(codes, stats)?;
    let lost = stats
        .modelled()
        .find(|(_, _, values, _)| values.encoding().needs_subjects());
    if let (Some((_, name, values, _)), None) = (lost, subjects) {
        return Err(EncodeError::NoSubjects {
            column: name.to_owned(),
            encoding: values.encoding_type(),
        });
    }
    let mut ranges = Vec::with_capacity(stats.columns.len());
    let mut start = 0;
    for column in stats.columns.values() {
        let width = match column {
            ColumnStats::Empty(_) => 0,
            ColumnStats::Modelled { values, .. } => values.cardinalities().len(),
        };
        ranges.push(start..start + width);
        start += width;
    }
    let columns: Vec<_> = stats.columns.iter().enumerate().zip(ranges).collect();
    let decoded = columns.into_par_iter().map(|((index, (name, column)), range)| {
        let site = DecodeSite {
            offsets,
            column: index as u32,
            subjects,
        };
        let (values, validity) = match column {
            ColumnStats::Empty(_) => (DecodedValues::Null(codes.rows()), None),
            ColumnStats::Modelled { values, .. } => {
                values
                    .encoding()
                    .decode(&codes.columns()[range], codes.rows(), site)
            }
        };
        DecodedColumn {
            name: name.clone(),
            values,
            validity,
        }
    });
    Ok(decoded.collect())
}

/// Checks that codes belong to the statistics.
pub(super) fn check_codes(codes: &CodeTable, stats: &TableStats) -> Result<(), EncodeError> {
    let expected = stats
        .modelled()
        .map(|(_, _, values, _): Modelled<'_>| values.cardinalities().len())
        .sum();
    if codes.columns().len() != expected {
        return Err(EncodeError::UnequalColumns {
            expected,
            got: codes.columns().len(),
        });
    }
    for (sub_column, codes) in stats.sub_columns().into_iter().zip(codes.columns()) {
        let cardinality = sub_column.cardinality;
        if codes.max().is_some_and(|code| code as usize >= cardinality) {
            let row = (0..codes.len())
                .find(|&row| codes.get(row) as usize >= cardinality)
                .unwrap_or(0);
            return Err(EncodeError::CodeOutOfRange {
                sub_column: sub_column.name.to_string(),
                row: row as u64,
                code: codes.get(row),
                cardinality,
            });
        }
    }
    Ok(())
}
