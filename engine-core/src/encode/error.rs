//! What can go wrong while encoding.

use thiserror::Error;

use super::EncodingType;
use crate::privacy::NoRandomness;

/// Why a table could not be analysed, encoded or decoded. Rows count from 0 over the whole table in the
/// fields, from 1 in the texts.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// No encoding has this name.
    #[error("unknown encoding {name:?}; the encodings are {known}")]
    UnknownEncoding {
        /// What was given, shortened.
        name: String,
        /// The encodings that there are, as a list.
        known: String,
    },
    /// An encoding that this version knows by name only.
    #[error(
        "column {column:?}: the encoding {encoding} needs the language model, which this version lacks: use {} \
         for texts that repeat, {} for short codes, or leave the column out",
        EncodingType::CATEGORICAL,
        EncodingType::CHARACTER
    )]
    Unsupported {
        /// Name of the column.
        column: String,
        /// The encoding.
        encoding: EncodingType,
    },
    /// An encoding of differences between the rows of a subject, in a table whose rows name no subject.
    #[error(
        "column {column:?}: the encoding {encoding} counts from one row of a subject to the next, but the rows of this table \
         name no subject; use {}",
        EncodingType::DATETIME
    )]
    NoSubjects {
        /// Name of the column.
        column: String,
        /// The encoding.
        encoding: EncodingType,
    },
    /// A column has an encoding, but the table has no such column.
    #[error(
        "there is no column {column:?} in the table; check the names of the columns and of the encodings"
    )]
    MissingColumn {
        /// Name of the column.
        column: String,
    },
    /// An infinite number in a numeric column.
    #[error(
        "column {column:?}, row {}: the value is infinite, which a numeric encoding cannot hold; \
         replace it by a number or leave it empty", row + 1
    )]
    Infinite {
        /// Name of the column.
        column: String,
        /// First such row.
        row: u64,
    },
    /// A date whose year has two digits, in a column that is to be read as dates.
    #[error(
        "column {column:?}, row {}: the year of {value:?} has two digits, which leaves the century open; write four, or \
         use {}", row + 1, EncodingType::CATEGORICAL
    )]
    ShortYear {
        /// Name of the column.
        column: String,
        /// First such row.
        row: u64,
        /// Its value, shortened.
        value: String,
    },
    /// Over half of the values cannot be parsed as the encoding needs.
    #[error(
        "column {column:?}, row {}: {value:?} is not a {kind}, like {unreadable} of {present} values of the column; \
         the encoding {encoding} does not fit, use {}", row + 1, EncodingType::CATEGORICAL
    )]
    ParseFailures {
        /// Name of the column.
        column: String,
        /// The requested encoding.
        encoding: EncodingType,
        /// What the values should have been, for instance `number` or `date`.
        kind: &'static str,
        /// First row that cannot be read.
        row: u64,
        /// Its value, shortened.
        value: String,
        /// How many values cannot be read.
        unreadable: u64,
        /// How many values there are, nulls not counted.
        present: u64,
    },
    /// A kind of values that the encoding never takes, such as booleans as dates.
    #[error(
        "column {column:?}: the encoding {encoding} cannot hold {values}; use {}",
        EncodingType::CATEGORICAL
    )]
    WrongValues {
        /// Name of the column.
        column: String,
        /// The requested encoding.
        encoding: EncodingType,
        /// What the column holds, for instance `booleans`.
        values: &'static str,
    },
    /// A privacy budget for a table whose rows name subjects.
    #[error(
        "the rows of this table name subjects, and the privacy budget of statistics is for tables whose rows are \
         subjects of their own; leave the budget out"
    )]
    BudgetOfSubjects,
    /// Partial statistics that were not counted for a privacy budget.
    #[error(
        "the parts of the table were not analysed for a privacy budget; analyze them with `analyze_private`"
    )]
    PartsWithoutBudget,
    /// A privacy budget out of its range.
    #[error("{name} of the statistics is {value}; give {allowed}")]
    Budget {
        /// `epsilon` or `delta`.
        name: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: &'static str,
    },
    /// A column whose categories are not public, without a delta to release them.
    #[error(
        "column {column:?}: releasing its categories under a privacy budget needs a delta above 0, best below one over the \
         number of rows; give a delta, or the values themselves as the column's domain"
    )]
    BudgetLacksDelta {
        /// Name of the column.
        column: String,
    },
    /// An encoding whose statistics have no differentially private form.
    #[error(
        "column {column:?}: the encoding {encoding} has no statistics under a privacy budget; use another encoding or leave \
         the column out"
    )]
    EncodingWithoutBudget {
        /// Name of the column.
        column: String,
        /// The encoding.
        encoding: EncodingType,
    },
    /// A domain for a column that has none.
    #[error(
        "there is a domain for the column {column:?}, but {why}; only columns whose encoding is {allowed} have one"
    )]
    NeedlessDomain {
        /// Name of the column.
        column: String,
        /// Why it can have none.
        why: &'static str,
        /// The encodings of columns that have one, as a list.
        allowed: String,
    },
    /// A value in the domain of a numeric column that is no number.
    #[error("the domain of the column {column:?} holds {value:?}, which is no number; mend it")]
    DomainValue {
        /// Name of the column.
        column: String,
        /// The value, shortened.
        value: String,
    },
    /// No randomness for noise.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// Partial statistics that belong to different tables or different encodings.
    #[error(
        "column {column:?}: the parts of the table were analysed with different encodings; analyze all parts anew"
    )]
    UnequalParts {
        /// Name of the column.
        column: String,
    },
    /// Statistics that cannot be read.
    #[error("the statistics cannot be read: {key}: {reason}; run analyze again")]
    Stats {
        /// The key at fault, for instance `columns.age.codes`.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A code that no value has.
    #[error("sub-column {sub_column}, row {}: code {code} is not below its cardinality {cardinality}", row + 1)]
    CodeOutOfRange {
        /// Name of the sub-column.
        sub_column: String,
        /// First such row of the code table.
        row: u64,
        /// The code.
        code: u32,
        /// Number of codes.
        cardinality: usize,
    },
    /// There are not as many subjects as rows of codes.
    #[error("the subjects of {subjects} rows are given for {rows} rows of codes; give one for each")]
    UnequalSubjects {
        /// Rows of codes.
        rows: usize,
        /// Rows whose subject is given.
        subjects: usize,
    },
    /// A code table of other sub-columns than the statistics have.
    #[error(
        "the codes have {got} sub-columns, the statistics {expected}; encode the table with these statistics"
    )]
    UnequalColumns {
        /// Sub-columns of the statistics.
        expected: usize,
        /// Columns of the code table.
        got: usize,
    },
}

/// A value for a message: cut to 40 characters.
pub(crate) fn shorten(value: &str) -> String {
    if value.chars().count() <= 40 {
        return value.to_owned();
    }
    value.chars().take(39).chain(['…']).collect()
}
