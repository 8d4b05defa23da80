//! The names of sub-columns inside a model: `<processor>:<table>/<column>__<sub>`; they are made and taken apart here
//! and nowhere else.

use std::fmt;

/// Name of a sub-column, for instance `tgt:t3/c3__E1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubColumnName {
    full: String,
    column_end: usize,
}

impl SubColumnName {
    /// Name of sub-column `sub` of column number `column` in table number `table` of `processor`.
    pub fn new(processor: &str, table: usize, column: usize, sub: &str) -> Self {
        Self::of_column(&format!("{processor}:t{table}/c{column}"), sub)
    }

    /// Name of sub-column `sub` of the model column called `column`, for instance `tgt:t3/c3`.
    pub fn of_column(column: &str, sub: &str) -> Self {
        Self {
            column_end: column.len(),
            full: format!("{column}__{sub}"),
        }
    }

    /// Takes a full name apart; `None` when it has no `__`.
    pub fn parse(full: &str) -> Option<Self> {
        full.find("__").map(|column_end| Self {
            full: full.to_owned(),
            column_end,
        })
    }

    /// The whole name, `tgt:t3/c3__E1`.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// The model column it belongs to, `tgt:t3/c3`.
    pub fn column(&self) -> &str {
        &self.full[..self.column_end]
    }

    /// The last part, `E1`.
    pub fn sub(&self) -> &str {
        &self.full[self.column_end + 2..]
    }
}

impl fmt::Display for SubColumnName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}
