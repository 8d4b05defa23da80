//! How a table is read.

use std::sync::Arc;

use super::written::TableFormat;

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// Delimiter of CSV; without one it is found among `,`, `;`, tab and `|`.
    pub delimiter: Option<char>,
    /// Texts of CSV that stand for null, besides the empty one; without any those of [`like`](Self::like).
    pub null_texts: Vec<String>,
    /// Whether the usual words for a missing value (`NA`, `null`, `?` and the like) are values in columns of numbers and dates of CSV too;
    /// otherwise they are null there. Where [`like`](Self::like) is given, it decides.
    pub keep_null_words: bool,
    /// Column that is left out of the model and gets new keys.
    pub primary_key: Option<String>,
    /// Columns that are not read.
    pub exclude: Vec<String>,
    /// Columns of CSV that are text, whatever their values look like and whatever [`like`](Self::like) says.
    pub as_text: Vec<String>,
    /// How the table of a model was written. CSV is read so, whatever its own values look like; nothing is inferred of its
    /// columns, and a value in another form is an error.
    pub like: Option<Arc<TableFormat>>,
    /// Whether values of CSV that contradict [`like`](Self::like) are read as null, with a warning, instead.
    pub lenient: bool,
    /// Whether a table may have no row below its header.
    pub allow_no_rows: bool,
    /// Most rows of a record batch, at least 1.
    pub batch_rows: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            delimiter: None,
            null_texts: Vec::new(),
            keep_null_words: false,
            primary_key: None,
            exclude: Vec::new(),
            as_text: Vec::new(),
            like: None,
            lenient: false,
            allow_no_rows: false,
            batch_rows: 1 << 14,
        }
    }
}
