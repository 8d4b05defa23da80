//! Analysis: the columns of a part of a table are counted side by side, each by its encoding.

use rayon::prelude::*;

use super::partial::{ColumnPartial, PartialStats, SplitPart};
use crate::encode::encodings::encoding::{AnyPartial, CountSite, Counting};
use crate::encode::{Compat, EncodeError, EncodingType, EncodingTypes};
use crate::schema::Table;

/// Statistics of a part of a table; `first_row` is the row of the whole table that its first row is. Where
/// the rows name subjects ([`Table::with_subjects`]), value protection counts these and not the rows; a
/// number must then mean the same subject in all parts. `compat` says what a text means as a number or a date, and must be that of
/// [`reduce`](crate::encode::reduce): by our rules it is one from end to end, with a year of four digits.
///
/// # Errors
/// [`EncodeError::MissingColumn`], [`EncodeError::Unsupported`], [`EncodeError::NoSubjects`],
/// [`EncodeError::Infinite`], [`EncodeError::WrongValues`], [`EncodeError::ShortYear`]; of several columns at fault the
/// first in model order.
pub fn analyze_partition(
    table: &Table<'_>,
    types: &EncodingTypes,
    part: SplitPart,
    first_row: u64,
    compat: Compat,
) -> Result<PartialStats, EncodeError> {
    let counting = match table.subjects() {
        None => Counting::Rows,
        Some(_) => Counting::Subjects,
    };
    count(table, types, part, first_row, (counting, compat))
}

/// Statistics of a part of a table for [`reduce_private`](crate::encode::reduce_private): as [`analyze_partition`],
/// but how much is counted does not depend on the rows. Memory grows with the distinct values of a column.
///
/// # Errors
/// As [`analyze_partition`], and [`EncodeError::BudgetOfSubjects`] when the rows name subjects.
pub fn analyze_private(
    table: &Table<'_>,
    types: &EncodingTypes,
    part: SplitPart,
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
    part: SplitPart,
    first_row: u64,
    (counting, compat): (Counting, Compat),
) -> Result<PartialStats, EncodeError> {
    let site = CountSite {
        first_row,
        subjects: table.subjects(),
        counting,
        compat,
    };
    let columns = types.par_iter().map(|(name, &encoding)| {
        let values = count_column(table, name, encoding, site)?;
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

/// What a column of the part holds; `None` without rows.
fn count_column(
    table: &Table<'_>,
    name: &str,
    encoding: EncodingType,
    site: CountSite,
) -> Result<Option<AnyPartial>, EncodeError> {
    let counter = encoding.of_column(name)?;
    let column = table.column(name).ok_or_else(|| EncodeError::MissingColumn {
        column: name.to_owned(),
    })?;
    if counter.needs_subjects() && site.subjects.is_none() {
        return Err(EncodeError::NoSubjects {
            column: name.to_owned(),
            encoding,
        });
    }
    match table.rows() {
        0 => Ok(None),
        _ => counter.count(column, site).map(Some),
    }
}
