//! Random choices of the decoder, and the placeholder of rare categories in generated rows.

use crate::random::{Purpose, Stream};

/// Where a decoded value lies inside its bin: 0 is the lower edge, 1 (never reached) the upper one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BinOffsets {
    /// Uniform over the bin, fixed by the seed, the row and the column.
    Random {
        /// Seed of the draws.
        seed: u64,
        /// Row of the whole result that the first row of the codes is.
        first_row: u64,
    },
    /// The same position, in [0, 1), everywhere.
    Constant(f64),
}

impl BinOffsets {
    /// The offsets of a column by row of the code table.
    pub(crate) fn of_column(self, column: u32) -> impl Fn(usize) -> f64 {
        let stream = match self {
            Self::Random { seed, .. } => Stream::new(seed, Purpose::Decode, 0),
            Self::Constant(_) => Stream::new(0, Purpose::Decode, 0),
        };
        move |row| match self {
            Self::Random { first_row, .. } => stream.uniform(first_row + row as u64, column),
            Self::Constant(position) => position,
        }
    }
}

/// The placeholder of rare categories in generated rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RareReplacement {
    /// The text `_RARE_`, where the table had rare categories.
    #[default]
    Constant,
    /// One of the categories that are not rare.
    Sample,
}
