//! All names inside a model that files contain: of sub-columns, `<processor>:<table>/<column>__<sub>`, of the processors, of
//! flags and of tokens. They are spelled, made and taken apart here and nowhere else: statistics, weights and configurations of
//! mostlyai-engine have the same.

use std::fmt;

/// The processor of the columns that a model draws and what follows it, as one literal, `"tgt-stats"` for `target_name!("-stats")`: files
/// and folders of a table are named after its processor.
#[macro_export]
macro_rules! target_name {
    ($($rest:literal)?) => {
        concat!("tgt" $(, $rest)?)
    };
}

/// Processor of the columns that a model draws.
pub const TARGET: &str = target_name!();
/// Processor of the columns of a context table with one row for each subject.
pub const FLAT_CONTEXT: &str = "ctxflt";
/// Processor of the columns of a context table with several rows for each subject.
pub const SEQUENTIAL_CONTEXT: &str = "ctxseq";

/// Sub-column that says whether a row is null (code 1) or not (code 0).
pub const NULL_FLAG: &str = "nan";
/// Sub-column that says whether a number is negative.
pub const NEGATIVE_FLAG: &str = "neg";
/// Sub-column that says whether a row lies before the one that precedes it.
pub const BACKWARD_FLAG: &str = "itt_neg";
/// The only sub-column of categories and of discrete numbers.
pub const CATEGORY: &str = "cat";
/// The only sub-column of binned numbers.
pub const BIN: &str = "bin";
/// Sub-columns of the parts of an instant.
pub const DATE_PARTS: [&str; 9] = [
    "year", "month", "day", "hour", "minute", "second", "ms_E2", "ms_E1", "ms_E0",
];
/// Sub-columns of the first instant of a subject, then of the time since its row before ("itt", inter-transaction time).
pub const RELATIVE_PARTS: [&str; 11] = [
    "start_year",
    "start_month",
    "start_day",
    "start_hour",
    "start_minute",
    "start_second",
    "itt_week",
    "itt_day",
    "itt_hour",
    "itt_minute",
    "itt_second",
];

/// Token of values that are rare or unknown.
pub const RARE_TOKEN: &str = "_RARE_";
/// Token of null.
pub const NULL_TOKEN: &str = "<<NULL>>";
/// Token of numbers that no bin holds.
pub const UNKNOWN_TOKEN: &str = "<<UNK>>";
/// Token of the least number of a column.
pub const MIN_TOKEN: &str = "<<MIN>>";
/// Token of the greatest number of a column.
pub const MAX_TOKEN: &str = "<<MAX>>";
/// Stands before texts that could be taken for a token or start with it themselves.
pub const ESCAPE: char = '\u{1}';

/// Sub-column of the digit at a power of ten, `E1`.
pub fn digit(exponent: i32) -> String {
    format!("E{exponent}")
}

/// Sub-column of a position in a text, `P0` for the first.
pub fn position(position: usize) -> String {
    format!("P{position}")
}

/// Sub-column of the squares on the map after so many cuts, `QUAD12`.
pub fn quad_level(cuts: usize) -> String {
    format!("QUAD{cuts}")
}

/// The text of a token that stands for a text.
pub fn unescaped(token: &str) -> &str {
    token.strip_prefix(ESCAPE).unwrap_or(token)
}

/// Name of a sub-column, for instance `tgt:t3/c3__E1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubColumnName {
    full: String,
    column_end: usize,
}

/// What stands between the column and the sub-column.
const SUB: &str = "__";

impl SubColumnName {
    /// Name of sub-column `sub` of column number `column` in table number `table` of `processor`.
    pub fn new(processor: &str, table: usize, column: usize, sub: &str) -> Self {
        Self::of_column(&format!("{processor}:t{table}/c{column}"), sub)
    }

    /// Name of a sub-column that the model draws.
    pub fn target(table: usize, column: usize, sub: &str) -> Self {
        Self::new(TARGET, table, column, sub)
    }

    /// Name of sub-column `sub` of the model column called `column`, for instance `tgt:t3/c3`.
    pub fn of_column(column: &str, sub: &str) -> Self {
        Self {
            column_end: column.len(),
            full: format!("{column}{SUB}{sub}"),
        }
    }

    /// Takes a full name apart; `None` when it has no `__`.
    pub fn parse(full: &str) -> Option<Self> {
        full.find(SUB).map(|column_end| Self {
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
        &self.full[self.column_end + SUB.len()..]
    }

    /// Whether it is the flag of nulls of its column.
    pub fn is_null_flag(&self) -> bool {
        self.sub() == NULL_FLAG
    }
}

impl fmt::Display for SubColumnName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}
