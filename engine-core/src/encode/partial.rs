//! Statistics of a part of a table. Parts are analysed one by one; only these are kept until they are
//! reduced.

use indexmap::IndexMap;
use rayon::prelude::*;

use super::categorical::CategoricalPartial;
use super::character::CharacterPartial;
use super::datetime::DatetimePartial;
use super::datetime_relative::RelativePartial;
use super::lat_long::LatLongPartial;
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
    /// A privacy budget: every distinct number is counted, for how much is counted must not depend on the
    /// rows.
    Budget,
}

/// Statistics of a part of a table, without value protection: private. They have no written form, so that
/// they can be nowhere but in memory.
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

impl PartialStats {
    /// Takes in the statistics of the rows that follow, so that memory grows with what is counted and not with the number
    /// of parts. [`super::reduce`] makes the same of the result as of the two.
    ///
    /// # Errors
    /// [`EncodeError::UnequalParts`] when the two are of different columns, encodings or purposes.
    pub fn merge(&mut self, later: Self) -> Result<(), EncodeError> {
        let unequal = |column: &str| EncodeError::UnequalParts {
            column: column.to_owned(),
        };
        if self.part != later.part
            || self.counting != later.counting
            || self.columns.len() != later.columns.len()
        {
            return Err(unequal(self.columns.keys().next().map_or("", String::as_str)));
        }
        for ((name, column), (other, more)) in self.columns.iter().zip(&later.columns) {
            let alike = |a: &PartialValues, b: &PartialValues| {
                let empty = |p: &PartialValues| matches!(p, PartialValues::Empty);
                empty(a) || empty(b) || std::mem::discriminant(a) == std::mem::discriminant(b)
            };
            if name != other
                || column.encoding_type != more.encoding_type
                || !alike(&column.values, &more.values)
            {
                return Err(unequal(name));
            }
        }
        self.rows += later.rows;
        let columns = self.columns.par_values_mut().zip(later.columns.into_par_iter());
        columns.for_each(|(column, (_, more))| column.values.merge(more.values));
        Ok(())
    }
}

impl PartialValues {
    /// Takes in the rows that follow; nothing happens when they are of another kind.
    fn merge(&mut self, later: Self) {
        match (self, later) {
            (Self::Categorical(all), Self::Categorical(more)) => all.merge(more),
            (Self::Numeric(all), Self::Numeric(more)) => all.merge(more),
            (Self::Character(all), Self::Character(more)) => all.merge(more),
            (Self::Datetime(all), Self::Datetime(more)) => all.merge(more),
            (Self::DatetimeRelative(all), Self::DatetimeRelative(more)) => all.merge(more),
            (Self::LatLong(all), Self::LatLong(more)) => all.merge(more),
            (all @ Self::Empty, more) => *all = more,
            _ => {}
        }
    }
}

/// What was counted in a column, by encoding.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PartialValues {
    /// The part had no rows.
    Empty,
    Categorical(CategoricalPartial),
    Numeric(NumericPartial),
    Character(CharacterPartial),
    Datetime(DatetimePartial),
    DatetimeRelative(RelativePartial),
    LatLong(LatLongPartial),
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
    /// Takes in what a later part says, where either says anything.
    pub(crate) fn join(all: &mut Option<Self>, later: Option<Self>) {
        match (all.as_mut(), later) {
            (Some(all), Some(more)) => all.merge(more),
            (None, more) => *all = more,
            (Some(_), None) => {}
        }
    }

    /// Takes in the rows that follow.
    fn merge(&mut self, later: Self) {
        self.present += later.present;
        if self.unreadable == 0 {
            self.row = later.row;
            self.value = later.value;
        }
        self.unreadable += later.unreadable;
    }

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
