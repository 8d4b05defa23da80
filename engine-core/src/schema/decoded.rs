//! Decoded columns: what an encoding gives back for codes.

use std::sync::Arc;

/// Distinct texts that a [`DecodedValues::Labels`] column points into; `None` is null.
pub type Labels = Arc<[Option<Box<str>>]>;

/// Values of a decoded column. Validity lives beside them in [`DecodedColumn`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DecodedValues {
    /// Texts as indices into a list of distinct ones (categorical columns); a label of `None` is null.
    Labels {
        /// Index into `labels` by row.
        indices: Vec<u32>,
        /// The distinct texts.
        labels: Labels,
    },
    /// Texts, one per row.
    Text(Vec<String>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Numbers.
    Float(Vec<f64>),
    /// Instants in microseconds since 1970-01-01 00:00 UTC.
    Timestamp(Vec<i64>),
    /// No value in any row; the number of rows.
    Null(usize),
}

/// A decoded column with its name.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedColumn {
    /// Name in the user's table.
    pub name: String,
    /// Values by row; arbitrary where null.
    pub values: DecodedValues,
    /// `true` where a row holds a value; `None` when every row does (but for labels of `None`).
    pub validity: Option<Vec<bool>>,
}

impl DecodedColumn {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.values {
            DecodedValues::Labels { indices, .. } => indices.len(),
            DecodedValues::Text(v) => v.len(),
            DecodedValues::Int(v) | DecodedValues::Timestamp(v) => v.len(),
            DecodedValues::Float(v) => v.len(),
            DecodedValues::Null(n) => *n,
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
