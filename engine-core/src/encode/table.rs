//! Whole tables: analyse, reduce, encode, decode. Columns go side by side.

use indexmap::IndexMap;
use rayon::prelude::*;

use super::column::{DecodeSite, EncodeSite};
use super::partial::{ColumnPartial, Counting, Part, PartialStats, PartialValues, check_fit};
use super::protection::ColumnProtection;
use super::stats::{ColumnStats, EncodingStats, Modelled, Place, SequenceLengths, TableKeys, TableStats};
use super::{Compat, EncodeError, EncodingType, Positions, Protection, categorical, datetime, numeric};
use crate::schema::{CodeColumn, CodeTable, DecodedColumn, Table};

/// The encodings of the columns of a model, in model order. Key columns and columns that are left out are not
/// in it.
pub type EncodingTypes = IndexMap<String, EncodingType>;

/// Statistics of a part of a table; `first_row` is the row of the whole table that its first row is. Where the rows name
/// subjects ([`Table::with_subjects`]), value protection counts these and not the rows; a number must then mean the same
/// subject in all parts.
///
/// # Errors
/// [`EncodeError::MissingColumn`], [`EncodeError::Unsupported`], [`EncodeError::Infinite`],
/// [`EncodeError::WrongValues`]; of several columns at fault the first in model order.
pub fn analyze_partition(
    table: &Table<'_>,
    types: &EncodingTypes,
    part: Part,
    first_row: u64,
) -> Result<PartialStats, EncodeError> {
    let counting = match table.subjects() {
        None => Counting::Rows,
        Some(_) => Counting::Subjects,
    };
    count(table, types, part, first_row, counting)
}

/// Statistics of a part of a table for [`reduce_private`](super::reduce_private): as [`analyze_partition`], but how much
/// is counted does not depend on the rows. Memory grows with the distinct values of a column.
///
/// # Errors
/// As [`analyze_partition`], and [`EncodeError::BudgetOfSubjects`] when the rows name subjects.
pub fn analyze_private(
    table: &Table<'_>,
    types: &EncodingTypes,
    part: Part,
    first_row: u64,
) -> Result<PartialStats, EncodeError> {
    match table.subjects() {
        None => count(table, types, part, first_row, Counting::Budget),
        Some(_) => Err(EncodeError::BudgetOfSubjects),
    }
}

fn count(
    table: &Table<'_>,
    types: &EncodingTypes,
    part: Part,
    first_row: u64,
    counting: Counting,
) -> Result<PartialStats, EncodeError> {
    let columns = types.par_iter().map(|(name, &encoding)| {
        let values = analyze_column(table, name, encoding, counting, first_row)?;
        let partial = ColumnPartial {
            encoding_type: encoding,
            values,
        };
        Ok((name.clone(), partial))
    });
    // Collected before errors are looked for: which one is reported must not depend on timing.
    let columns: Vec<Result<_, EncodeError>> = columns.collect();
    Ok(PartialStats {
        part,
        rows: table.rows() as u64,
        counting,
        columns: columns.into_iter().collect::<Result<_, _>>()?,
    })
}

fn analyze_column(
    table: &Table<'_>,
    name: &str,
    encoding: EncodingType,
    counting: Counting,
    first_row: u64,
) -> Result<PartialValues, EncodeError> {
    if !encoding.is_supported() {
        return Err(EncodeError::Unsupported {
            column: name.to_owned(),
            encoding,
        });
    }
    let column = table.column(name).ok_or_else(|| EncodeError::MissingColumn {
        column: name.to_owned(),
    })?;
    let subjects = table.subjects();
    if table.rows() == 0 {
        Ok(PartialValues::Empty)
    } else if encoding.is_numeric() {
        numeric::analyze(column, encoding, counting, subjects, first_row).map(PartialValues::Numeric)
    } else if encoding == EncodingType::Datetime {
        datetime::analyze(column, subjects, first_row).map(PartialValues::Datetime)
    } else {
        Ok(PartialValues::Categorical(categorical::analyze(column, subjects)))
    }
}

/// Puts the statistics of all parts of a flat table together. The result depends on the order of the parts
/// where discrete numbers are concerned: they are numbered as they appear. `compat` says whose rules of value protection
/// hold.
///
/// # Errors
/// [`EncodeError::Misfit`] when over half of the values of a column cannot be read the way its encoding asks
/// for; [`EncodeError::UnequalParts`] when parts were analysed with other encodings than `types`.
pub fn reduce(
    partials: &[PartialStats],
    types: &EncodingTypes,
    protection: Protection,
    compat: Compat,
    keys: TableKeys,
    seed: u64,
) -> Result<TableStats, EncodeError> {
    let places = places(types);
    let columns = types.par_iter().zip(places).map(|((name, &encoding), place)| {
        let of_column = parts_of_column(partials, name, encoding)?;
        let protection = ColumnProtection::new(protection, compat, seed, name);
        let Some(values) = reduce_column(name, encoding, &of_column, &protection)? else {
            return Ok((name.clone(), ColumnStats::Empty(encoding)));
        };
        let stats = ColumnStats::Modelled {
            value_protection: encoding.records_protection().then_some(protection.is_on()),
            values,
            place,
        };
        Ok((name.clone(), stats))
    });
    let columns: Vec<Result<_, EncodeError>> = columns.collect();
    let rows = |part| partials.iter().filter(|p| p.part == part).map(|p| p.rows).sum();
    Ok(TableStats {
        columns: columns.into_iter().collect::<Result<_, _>>()?,
        no_of_training_records: rows(Part::Training),
        no_of_validation_records: rows(Part::Validation),
        seq_len: SequenceLengths::flat(protection != Protection::Off),
        is_sequential: false,
        keys,
        value_protection_epsilon_spent: None,
    })
}

/// The statistics of a column in all parts.
pub(super) fn parts_of_column<'a>(
    partials: &'a [PartialStats],
    name: &str,
    encoding: EncodingType,
) -> Result<Vec<&'a ColumnPartial>, EncodeError> {
    let of_column: Vec<&ColumnPartial> = partials.iter().filter_map(|p| p.columns.get(name)).collect();
    let complete = of_column.len() == partials.len();
    if !complete || of_column.iter().any(|p| p.encoding_type != encoding) {
        let column = name.to_owned();
        return Err(EncodeError::UnequalParts { column });
    }
    Ok(of_column)
}

/// The names of target columns in the model. Columns whose names share what stands before `::` share a table.
pub(super) fn places(types: &EncodingTypes) -> Vec<Place> {
    let mut tables: IndexMap<&str, ()> = IndexMap::new();
    let columns = types.keys().enumerate().map(|(column, name)| {
        let table = name.split_once("::").map_or(name.as_str(), |(table, _)| table);
        let table = tables.insert_full(table, ()).0;
        Place {
            processor: "tgt".to_owned(),
            table: format!("t{table}"),
            column: format!("c{column}"),
        }
    });
    columns.collect()
}

/// Statistics of a column; `None` when no part has rows.
fn reduce_column(
    name: &str,
    encoding: EncodingType,
    partials: &[&ColumnPartial],
    protection: &ColumnProtection,
) -> Result<Option<EncodingStats>, EncodeError> {
    let (mut categorical, mut numeric, mut datetime) = (Vec::new(), Vec::new(), Vec::new());
    for partial in partials {
        match &partial.values {
            PartialValues::Empty => {}
            PartialValues::Categorical(values) => categorical.push(values),
            PartialValues::Numeric(values) => numeric.push(values),
            PartialValues::Datetime(values) => datetime.push(values),
        }
    }
    if !numeric.is_empty() {
        check_fit(
            name,
            encoding,
            "number",
            numeric.iter().filter_map(|p| p.misfits.as_ref()),
        )?;
        return Ok(Some(numeric::reduce(&numeric, encoding, protection)));
    }
    if !datetime.is_empty() {
        check_fit(
            name,
            encoding,
            "date",
            datetime.iter().filter_map(|p| p.misfits.as_ref()),
        )?;
        return Ok(Some(EncodingStats::Datetime(datetime::reduce(
            &datetime, protection,
        ))));
    }
    let reduced = || EncodingStats::Categorical(categorical::reduce(&categorical, protection));
    Ok((!categorical.is_empty()).then(reduced))
}

/// The codes of a table, one column per sub-column of [`TableStats::sub_columns`]. `first_row` is the row of
/// the whole table that the first row is; with the seed it decides which values stand in for nulls.
///
/// # Errors
/// [`EncodeError::MissingColumn`], [`EncodeError::Infinite`], [`EncodeError::WrongValues`].
pub fn encode(
    table: &Table<'_>,
    stats: &TableStats,
    seed: u64,
    first_row: u64,
) -> Result<CodeTable, EncodeError> {
    let modelled: Vec<_> = stats.modelled().collect();
    let encoded = modelled.par_iter().map(|&(index, name, values, _)| {
        let column = table.column(name).ok_or_else(|| EncodeError::MissingColumn {
            column: name.to_owned(),
        })?;
        let site = EncodeSite {
            seed,
            first_row,
            column: index as u32,
        };
        values.encoding().encode(column, site)
    });
    let encoded: Vec<Result<Vec<CodeColumn>, EncodeError>> = encoded.collect();
    let columns: Vec<Vec<CodeColumn>> = encoded.into_iter().collect::<Result<_, _>>()?;
    let columns: Vec<CodeColumn> = columns.into_iter().flatten().collect();
    let got = columns.len();
    CodeTable::new(columns, table.rows()).ok_or(EncodeError::UnequalColumns { expected: got, got })
}

/// The values of codes, one column per column of the statistics, in their order; columns that were empty in
/// training come out as nulls.
///
/// # Errors
/// [`EncodeError::UnequalColumns`] when the codes are of another model, [`EncodeError::CodeOutOfRange`].
pub fn decode(
    codes: &CodeTable,
    stats: &TableStats,
    positions: Positions,
) -> Result<Vec<DecodedColumn>, EncodeError> {
    check_codes(codes, stats)?;
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
            positions,
            column: index as u32,
        };
        let (values, validity) = match column {
            ColumnStats::Empty(_) => (crate::schema::DecodedValues::Null(codes.rows()), None),
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
