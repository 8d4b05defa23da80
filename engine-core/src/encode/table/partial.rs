//! Statistics of a part of a table. Parts are analysed one by one; only these are kept until they are
//! reduced.

use indexmap::IndexMap;
use rayon::prelude::*;

use crate::encode::encodings::encoding::{AnyPartial, Counting};
use crate::encode::{EncodeError, EncodingType};

/// Which rows a part of a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitPart {
    /// Rows to train on.
    Training,
    /// Rows to validate on.
    Validation,
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
    pub part: SplitPart,
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
    /// The requested encoding.
    pub encoding_type: EncodingType,
    /// What was counted; `None` when the part has no rows.
    pub(crate) values: Option<AnyPartial>,
}

impl PartialStats {
    /// Merges the statistics of the rows that follow, so that memory grows with what is counted and not with the number
    /// of parts. [`reduce`](crate::encode::reduce) makes the same of the result as of the two.
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
            if name != other || column.encoding_type != more.encoding_type {
                return Err(unequal(name));
            }
        }
        self.rows += later.rows;
        let columns = self.columns.par_values_mut().zip(later.columns.into_par_iter());
        columns.for_each(|(column, (_, more))| column.merge(more));
        Ok(())
    }
}

impl ColumnPartial {
    /// Merges the rows that follow, counted by the same encoding.
    fn merge(&mut self, later: Self) {
        match (&mut self.values, later.values, self.encoding_type.encoding()) {
            (Some(all), Some(more), Some(encoding)) => encoding.merge(all, more),
            (none @ None, more, _) => *none = more,
            _ => {}
        }
    }
}
