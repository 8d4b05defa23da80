//! Whole tables: analyse, reduce, encode, decode. Columns go side by side.

use indexmap::IndexMap;
use rayon::prelude::*;

use super::column::{DecodeSite, EncodeSite};
use super::partial::{ColumnPartial, Counting, Part, PartialStats, PartialValues, check_fit};
use super::protection::ColumnProtection;
use super::stats::{ColumnStats, EncodingStats, Modelled, Place, SequenceLengths, TableKeys, TableStats};
use super::{
    Compat, EncodeError, EncodingType, Positions, Protection, categorical, character, datetime,
    datetime_relative, lat_long, numeric,
};
use crate::schema::{CodeColumn, CodeTable, DecodedColumn, Table};

/// The encodings of the columns of a model, in model order. Key columns and columns that are left out are not
/// in it.
pub type EncodingTypes = IndexMap<String, EncodingType>;

/// Statistics of a part of a table; `first_row` is the row of the whole table that its first row is. Where
/// the rows name subjects ([`Table::with_subjects`]), value protection counts these and not the rows; a
/// number must then mean the same subject in all parts. `compat` says what a text means as a number or a date, and must be that of
/// [`reduce`]: by our rules it is one from end to end, with a year of four digits.
///
/// # Errors
/// [`EncodeError::MissingColumn`], [`EncodeError::Unsupported`], [`EncodeError::NoSubjects`],
/// [`EncodeError::Infinite`], [`EncodeError::WrongValues`], [`EncodeError::ShortYear`]; of several columns at fault the
/// first in model order.
pub fn analyze_partition(
    table: &Table<'_>,
    types: &EncodingTypes,
    part: Part,
    first_row: u64,
    compat: Compat,
) -> Result<PartialStats, EncodeError> {
    let counting = match table.subjects() {
        None => Counting::Rows,
        Some(_) => Counting::Subjects,
    };
    count(table, types, part, first_row, (counting, compat))
}

/// Statistics of a part of a table for [`reduce_private`](super::reduce_private): as [`analyze_partition`],
/// but how much is counted does not depend on the rows. Memory grows with the distinct values of a column.
///
/// # Errors
/// As [`analyze_partition`], and [`EncodeError::BudgetOfSubjects`] when the rows name subjects.
pub fn analyze_private(
    table: &Table<'_>,
    types: &EncodingTypes,
    part: Part,
    first_row: u64,
    compat: Compat,
) -> Result<PartialStats, EncodeError> {
    match table.subjects() {
        None => count(table, types, part, first_row, (Counting::Budget, compat)),
        Some(_) => Err(EncodeError::BudgetOfSubjects),
    }
}

fn count(
    table: &Table<'_>,
    types: &EncodingTypes,
    part: Part,
    first_row: u64,
    (counting, compat): (Counting, Compat),
) -> Result<PartialStats, EncodeError> {
    let columns = types.par_iter().map(|(name, &encoding)| {
        let values = analyze_column(table, name, encoding, (counting, compat), first_row)?;
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
    (counting, compat): (Counting, Compat),
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
    if encoding.needs_subjects() && subjects.is_none() {
        return Err(EncodeError::NoSubjects {
            column: name.to_owned(),
        });
    }
    match encoding {
        _ if table.rows() == 0 => Ok(PartialValues::Empty),
        EncodingType::Character => Ok(PartialValues::Character(character::analyze(column, subjects))),
        EncodingType::Datetime => {
            datetime::analyze(column, compat, subjects, first_row).map(PartialValues::Datetime)
        }
        EncodingType::DatetimeRelative => {
            datetime_relative::analyze(column, compat, subjects.unwrap_or_default(), first_row)
                .map(PartialValues::DatetimeRelative)
        }
        EncodingType::LatLong => Ok(PartialValues::LatLong(lat_long::analyze(
            column, subjects, first_row,
        ))),
        _ if encoding.is_numeric() => {
            numeric::analyze(column, encoding, (counting, compat), subjects, first_row)
                .map(PartialValues::Numeric)
        }
        _ => Ok(PartialValues::Categorical(categorical::analyze(column, subjects))),
    }
}

/// Puts the statistics of all parts of a flat table together. The result depends on the order of the parts
/// where discrete numbers are concerned: they are numbered as they appear. `compat` says whose rules of value
/// protection hold.
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
            texts: texts_of(&of_column, compat),
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

/// Whose rules say what the texts of a column mean: that is noted where numbers or dates were read from texts.
pub(super) fn texts_of(partials: &[&ColumnPartial], compat: Compat) -> Compat {
    let from_texts = partials.iter().any(|p| match &p.values {
        PartialValues::Numeric(values) => values.misfits.is_some(),
        PartialValues::Datetime(values) => values.misfits.is_some(),
        PartialValues::DatetimeRelative(values) => values.misfits.is_some(),
        _ => false,
    });
    if from_texts { compat } else { Compat::Reference }
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

/// Those of partial statistics that are of one kind.
macro_rules! of_kind {
    ($partials:expr, $kind:ident) => {{
        let of_kind = $partials.iter().filter_map(|p| match &p.values {
            PartialValues::$kind(values) => Some(values),
            _ => None,
        });
        of_kind.collect::<Vec<_>>()
    }};
}

/// Statistics of a column; `None` when no part has rows.
fn reduce_column(
    name: &str,
    encoding: EncodingType,
    partials: &[&ColumnPartial],
    protection: &ColumnProtection,
) -> Result<Option<EncodingStats>, EncodeError> {
    let mut with_rows = partials.iter().map(|p| &p.values);
    let Some(first) = with_rows.find(|values| !matches!(values, PartialValues::Empty)) else {
        return Ok(None);
    };
    Ok(Some(match first {
        PartialValues::Empty | PartialValues::Categorical(_) => {
            EncodingStats::Categorical(categorical::reduce(&of_kind!(partials, Categorical), protection))
        }
        PartialValues::Numeric(_) => {
            let partials = of_kind!(partials, Numeric);
            let misfits = partials.iter().filter_map(|p| p.misfits.as_ref());
            check_fit(name, encoding, "number", misfits)?;
            let stats = numeric::reduce(&partials, encoding, protection);
            numeric::warn_of_limits(name, &stats);
            stats
        }
        PartialValues::Character(_) => {
            EncodingStats::Character(character::reduce(&of_kind!(partials, Character), protection))
        }
        PartialValues::Datetime(_) => {
            let partials = of_kind!(partials, Datetime);
            let misfits = partials.iter().filter_map(|p| p.misfits.as_ref());
            check_fit(name, encoding, "date", misfits)?;
            EncodingStats::Datetime(datetime::reduce(&partials, protection))
        }
        PartialValues::DatetimeRelative(_) => {
            let partials = of_kind!(partials, DatetimeRelative);
            let misfits = partials.iter().filter_map(|p| p.misfits.as_ref());
            check_fit(name, encoding, "date", misfits)?;
            EncodingStats::DatetimeRelative(datetime_relative::reduce(&partials, protection))
        }
        PartialValues::LatLong(_) => {
            let partials = of_kind!(partials, LatLong);
            let misfits = partials.iter().filter_map(|p| p.misfits.as_ref());
            check_fit(name, encoding, lat_long::KIND, misfits)?;
            EncodingStats::LatLong(lat_long::reduce(&partials, protection))
        }
    }))
}

/// The codes of a table, one column per sub-column of [`TableStats::sub_columns`]. `first_row` is the row of
/// the whole table that the first row is; with the seed it decides which values stand in for nulls.
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
    let modelled: Vec<_> = stats.modelled().collect();
    let encoded = modelled.par_iter().map(|&(index, name, values, _)| {
        let compat = match &stats.columns[index] {
            ColumnStats::Modelled { texts, .. } => *texts,
            ColumnStats::Empty(_) => Compat::Reference,
        };
        let column = table.column(name).ok_or_else(|| EncodeError::MissingColumn {
            column: name.to_owned(),
        })?;
        let site = EncodeSite {
            seed,
            first_row,
            column: index as u32,
            compat,
            subjects: table.subjects(),
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
/// [`EncodeError::UnequalColumns`] when the codes are of another model, [`EncodeError::CodeOutOfRange`];
/// [`EncodeError::NoSubjects`] for an encoding that needs to know whose rows they are ([`decode_subjects`]).
pub fn decode(
    codes: &CodeTable,
    stats: &TableStats,
    positions: Positions,
) -> Result<Vec<DecodedColumn>, EncodeError> {
    decode_columns(codes, stats, positions, None)
}

/// [`decode`] for rows of subjects: those with one number belong to one subject, whole and in their order.
///
/// # Errors
/// As [`decode`]; [`EncodeError::UnequalSubjects`] when there are not as many numbers as rows.
pub fn decode_subjects(
    codes: &CodeTable,
    stats: &TableStats,
    positions: Positions,
    subjects: &[u32],
) -> Result<Vec<DecodedColumn>, EncodeError> {
    if subjects.len() != codes.rows() {
        return Err(EncodeError::UnequalSubjects {
            rows: codes.rows(),
            subjects: subjects.len(),
        });
    }
    decode_columns(codes, stats, positions, Some(subjects))
}

fn decode_columns(
    codes: &CodeTable,
    stats: &TableStats,
    positions: Positions,
    subjects: Option<&[u32]>,
) -> Result<Vec<DecodedColumn>, EncodeError> {
    check_codes(codes, stats)?;
    let lost = stats
        .modelled()
        .find(|(_, _, values, _)| values.encoding().needs_subjects());
    if let (Some((_, name, ..)), None) = (lost, subjects) {
        return Err(EncodeError::NoSubjects {
            column: name.to_owned(),
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
            positions,
            column: index as u32,
            subjects,
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
