//! What every encoding does, once its statistics are known.

use super::stats::Cardinalities;
use super::{Compat, EncodeError, Positions, RareReplacement};
use crate::schema::{CodeColumn, Column, DecodedValues};

/// Where a column is encoded: what its random draws depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncodeSite<'a> {
    /// Seed of the imputation of nulls.
    pub(crate) seed: u64,
    /// Row of the whole table that the first row is.
    pub(crate) first_row: u64,
    /// Index of the column in the statistics.
    pub(crate) column: u32,
    /// Whose rules say what a text means as a number or a date.
    pub(crate) compat: Compat,
    /// Subject of each row, where rows name one.
    pub(crate) subjects: Option<&'a [u32]>,
}

/// Where a column is decoded: what its random draws depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecodeSite<'a> {
    /// The source of positions inside bins.
    pub(crate) positions: Positions,
    /// Index of the column in the statistics.
    pub(crate) column: u32,
    /// Subject of each row; given where [`ColumnEncoding::needs_subjects`].
    pub(crate) subjects: Option<&'a [u32]>,
}

/// Decoded values with their validity (`None`: every row holds a value, but for labels of `None`).
pub(crate) type Decoded = (DecodedValues, Option<Vec<bool>>);

/// A column's encoding: statistics that turn values into codes and back.
pub(crate) trait ColumnEncoding: Sync {
    /// Sub-columns with their number of codes, in model order.
    fn cardinalities(&self) -> &Cardinalities;

    /// Whether statistics read from a file hang together; otherwise the key at fault and what is wrong.
    fn check(&self) -> Result<(), (&'static str, String)>;

    /// Codes of a column, one code column per sub-column. Values that the statistics do not know get the
    /// codes of the nearest known value, or of the rare token.
    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Vec<CodeColumn>, EncodeError>;

    /// Values of codes, one code column per sub-column, all codes below their cardinality.
    fn decode(&self, codes: &[CodeColumn], rows: usize, site: DecodeSite) -> Decoded;

    /// Whether decoding needs to know which rows belong to one subject.
    fn needs_subjects(&self) -> bool {
        false
    }

    /// Codes that generation never draws: index of the sub-column within the column, code.
    fn never_drawn(&self, _replacement: RareReplacement) -> Option<(usize, u32)> {
        None
    }
}
