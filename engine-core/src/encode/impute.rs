//! Values that stand in for nulls: the parts of a null row are taken from another row, drawn at random, so
//! that they look like any other. The `nan` sub-column says that the row is null.

use super::column::EncodeSite;
use crate::random::{Purpose, Stream};

/// Which row each row takes its parts from.
pub(crate) struct Stand {
    /// Rows that hold a value; `None` when all do.
    valid_rows: Option<Vec<u32>>,
    /// Which rows hold a value.
    valid: Vec<bool>,
    stream: Stream,
    /// Row of the whole table that the first row is, and index of the column.
    first_row: u64,
    column: u32,
}

impl Stand {
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

    /// The row whose value stands for `row`: itself unless it is null; `None` when no row holds a value.
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
