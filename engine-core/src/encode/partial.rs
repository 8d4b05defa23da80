//! Statistics of a part of a table. Parts are analysed one by one; only these are kept until they are
//! reduced.

use indexmap::IndexMap;

use super::categorical::CategoricalPartial;
use super::datetime::DatetimePartial;
use super::numeric::NumericPartial;
use super::{EncodeError, EncodingType};

/// Which rows a part of a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Rows to train on.
    Training,
    /// Rows to validate on.
    Validation,
}

/// What rows are counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Value protection that counts rows.
    Rows,
    /// Value protection that counts subjects.
    Subjects,
    /// A privacy budget: every distinct number is counted, for how much is counted must not depend on the rows.
    Budget,
}

/// Statistics of a part of a table, without value protection: private. They have no written form, so that they can be
/// nowhere but in memory.
///
/// ```compile_fail,E0277
/// fn write<T: serde::Serialize>(_: &T) {}
/// fn write_partial(partial: &engine_core::encode::PartialStats) {
///     write(partial);
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PartialStats {
    /// Whether the rows are trained on.
    pub part: Part,
    /// Number of rows.
    pub rows: u64,
    /// What the rows were counted for.
    pub(crate) counting: Counting,
    /// Statistics by column.
    pub columns: IndexMap<String, ColumnPartial>,
}

/// Statistics of a column in a part of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnPartial {
    /// The encoding that was asked for.
    pub encoding_type: EncodingType,
    /// What was counted.
    pub(crate) values: PartialValues,
}

/// What was counted in a column, by encoding.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PartialValues {
    /// The part had no rows.
    Empty,
    Categorical(CategoricalPartial),
    Numeric(NumericPartial),
    Datetime(DatetimePartial),
}

/// Values that cannot be read the way an encoding asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Misfits {
    /// Values that are not null.
    pub(crate) present: u64,
    /// Values that cannot be read.
    pub(crate) unreadable: u64,
    /// Row of the first of them over the whole table.
    pub(crate) row: u64,
    /// The first of them, shortened.
    pub(crate) value: String,
}

impl Misfits {
    /// Counts a value that cannot be read.
    pub(crate) fn add(&mut self, row: u64, value: impl FnOnce() -> String) {
        if self.unreadable == 0 {
            self.row = row;
            self.value = value();
        }
        self.unreadable += 1;
    }
}

/// Checks that at most half of the values of a column could not be read.
pub(crate) fn check_fit<'a>(
    column: &str,
    encoding: EncodingType,
    kind: &'static str,
    misfits: impl Iterator<Item = &'a Misfits> + Clone,
) -> Result<(), EncodeError> {
    let unreadable = misfits.clone().map(|m| m.unreadable).sum::<u64>();
    let present = misfits.clone().map(|m| m.present).sum::<u64>();
    match misfits.filter(|m| m.unreadable > 0).min_by_key(|m| m.row) {
        Some(first) if unreadable * 2 > present => Err(EncodeError::Misfit {
            column: column.to_owned(),
            encoding,
            kind,
            row: first.row,
            value: first.value.clone(),
            unreadable,
            present,
        }),
        Some(_) => {
            tracing::warn!(
                column,
                unreadable,
                present,
                "values that are not a {kind} are taken as null"
            );
            Ok(())
        }
        None => Ok(()),
    }
}
