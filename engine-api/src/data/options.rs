//! How a table is read.

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// Delimiter of CSV; without one it is found among `,`, `;`, tab and `|`.
    pub delimiter: Option<char>,
    /// Texts of CSV that stand for null, besides the empty one.
    pub null_texts: Vec<String>,
    /// Column that is left out of the model and gets new keys.
    pub primary_key: Option<String>,
    /// Columns that are not read.
    pub exclude: Vec<String>,
    /// Columns of CSV that are text, whatever their values look like.
    pub as_text: Vec<String>,
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
            primary_key: None,
            exclude: Vec::new(),
            as_text: Vec::new(),
            allow_no_rows: false,
            batch_rows: 1 << 14,
        }
    }
}
