//! Reduction: the parts of a table become statistics that show no more of its values than value protection allows.

use indexmap::IndexMap;
use rayon::prelude::*;

use super::partial::{ColumnPartial, PartialStats, SplitPart};
use super::stats::{ColumnStats, ModelPlace, SequenceLengths, TableKeys, TableStats};
use crate::encode::encodings::encoding::AnyPartial;
use crate::encode::protection::ColumnProtection;
use crate::encode::{Compat, EncodeError, EncodingType, EncodingTypes, Protection};
use crate::schema::names;

/// Reduces the statistics of all parts of a flat table to those of the table. The result depends on the order of the parts
/// where discrete numbers are concerned: they are numbered as they appear. `compat` says whose rules of value
/// protection hold.
///
/// # Errors
/// [`EncodeError::ParseFailures`] when over half of the values of a column cannot be parsed as its encoding needs
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
        let counted = counted(&of_column);
        if counted.is_empty() {
            return Ok((name.clone(), ColumnStats::Empty(encoding)));
        }
        let reducer = encoding.of_column(name)?;
        let stats = ColumnStats::Modelled {
            value_protection: reducer.records_protection().then_some(protection.is_on()),
            texts: texts_of(encoding, &counted, compat),
            values: reducer.reduce(name, &counted, &protection)?,
            place,
        };
        Ok((name.clone(), stats))
    });
    let columns: Vec<Result<_, EncodeError>> = columns.collect();
    let rows = |part| partials.iter().filter(|p| p.part == part).map(|p| p.rows).sum();
    Ok(TableStats {
        columns: columns.into_iter().collect::<Result<_, _>>()?,
        no_of_training_records: rows(SplitPart::Training),
        no_of_validation_records: rows(SplitPart::Validation),
        seq_len: SequenceLengths::flat(protection != Protection::Off),
        is_sequential: false,
        keys,
        value_protection_epsilon_spent: None,
    })
}

/// What was counted of a column in the parts that have rows.
pub(super) fn counted<'a>(parts: &[&'a ColumnPartial]) -> Vec<&'a AnyPartial> {
    parts.iter().filter_map(|part| part.values.as_ref()).collect()
}

/// Whose rules say what the texts of a column mean: that is noted where texts were read by them.
pub(super) fn texts_of(encoding: EncodingType, counted: &[&AnyPartial], compat: Compat) -> Compat {
    let by_rules = encoding
        .encoding()
        .is_some_and(|encoding| encoding.reads_by_rules());
    let from_texts = counted.iter().any(|partial| partial.parse_failures().is_some());
    if by_rules && from_texts {
        compat
    } else {
        Compat::MostlyAi
    }
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
pub(super) fn places(types: &EncodingTypes) -> Vec<ModelPlace> {
    let mut tables: IndexMap<&str, ()> = IndexMap::new();
    let columns = types.keys().enumerate().map(|(column, name)| {
        let table = name.split_once("::").map_or(name.as_str(), |(table, _)| table);
        let table = tables.insert_full(table, ()).0;
        ModelPlace {
            processor: names::TARGET.to_owned(),
            table: format!("t{table}"),
            column: format!("c{column}"),
        }
    });
    columns.collect()
}
