//! Nulls in encodings of several sub-columns. A flag says that a row is null; its other codes are taken from another row, drawn at
//! random, so that they look like any other and the model need not learn what a null would look like.

use super::column::EncodeSite;
use crate::random::{Purpose, Stream};
use crate::schema::CodeColumn;

/// The flag of nulls, of rows that hold a value or not.
pub(crate) fn null_flags(valid: impl Iterator<Item = bool>) -> CodeColumn {
    CodeColumn::from_codes(2, valid.map(|valid| u32::from(!valid)))
}

/// The validity that a flag says; `None` when all rows hold a value.
pub(crate) fn validity(flags: Option<&CodeColumn>, rows: usize) -> Option<Vec<bool>> {
    let flags = flags?;
    let valid: Vec<bool> = (0..rows).map(|row| flags.get(row) == 0).collect();
    valid.contains(&false).then_some(valid)
}

/// Which row each row takes its codes from.
pub(crate) struct NullFill {
    /// Rows that hold a value; `None` when all do.
    valid_rows: Option<Vec<u32>>,
    /// Which rows hold a value.
    valid: Vec<bool>,
    stream: Stream,
    /// Row of the whole table that the first row is, and index of the column.
    first_row: u64,
    column: u32,
}

impl NullFill {
    /// For rows with the given validity (`None`: all valid).
    pub(crate) fn new(valid: Option<&[bool]>, site: EncodeSite) -> Self {
        let valid = valid.filter(|valid| valid.contains(&false));
        let rows_of = |valid: &[bool]| {
            (0u32..)
                .zip(valid)
                .filter(|&(_, &v)| v)
                .map(|(row, _)| row)
                .collect()
        };
        Self {
            valid_rows: valid.map(rows_of),
            valid: valid.map_or_else(Vec::new, <[bool]>::to_vec),
            stream: Stream::new(site.seed, Purpose::Impute, 0),
            first_row: site.first_row,
            column: site.column,
        }
    }

    /// The row whose value fills `row`: itself unless it is null; `None` when no row holds a value.
    #[inline]
    pub(crate) fn source(&self, row: usize) -> Option<usize> {
        let Some(valid_rows) = &self.valid_rows else {
            return Some(row);
        };
        if self.valid[row] {
            return Some(row);
        }
        if valid_rows.is_empty() {
            return None;
        }
        let drawn = self
            .stream
            .below(valid_rows.len() as u64, self.first_row + row as u64, self.column);
        Some(valid_rows[drawn as usize] as usize)
    }
}
