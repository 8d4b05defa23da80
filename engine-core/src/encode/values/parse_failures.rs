//! Texts that cannot be parsed as an encoding needs.

use crate::encode::{EncodeError, EncodingType};

/// Values that cannot be parsed as an encoding needs, in a part of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ParseFailures {
    /// Values that are not null.
    pub(crate) present: u64,
    /// Values that cannot be read.
    pub(crate) unreadable: u64,
    /// Row of the first of them over the whole table.
    pub(crate) row: u64,
    /// The first of them, shortened.
    pub(crate) value: String,
}

impl ParseFailures {
    /// Merges those of the rows that follow, where either part read texts.
    pub(crate) fn merge_into(all: &mut Option<Self>, later: Option<Self>) {
        match (all.as_mut(), later) {
            (Some(all), Some(more)) => all.merge(more),
            (None, more) => *all = more,
            (Some(_), None) => {}
        }
    }

    /// Merges those of the rows that follow.
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

    /// Checks that at most half of the values of a column could not be read; `kind` is what they should have been.
    ///
    /// # Errors
    /// [`EncodeError::ParseFailures`].
    pub(crate) fn check<'a>(
        column: &str,
        encoding: EncodingType,
        kind: &'static str,
        parts: impl Iterator<Item = &'a Self> + Clone,
    ) -> Result<(), EncodeError> {
        let unreadable = parts.clone().map(|part| part.unreadable).sum::<u64>();
        let present = parts.clone().map(|part| part.present).sum::<u64>();
        match parts
            .filter(|part| part.unreadable > 0)
            .min_by_key(|part| part.row)
        {
            Some(first) if unreadable * 2 > present => Err(EncodeError::ParseFailures {
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
}
