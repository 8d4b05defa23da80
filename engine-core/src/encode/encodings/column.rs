//! What every encoding does once the statistics of a column are known: encode and decode it, and say what others may want to know
//! of it. [`EncodingStats`] holds the statistics of any encoding.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::draws::{BinOffsets, RareReplacement};
use super::tokens::{Cardinalities, Codes};
use crate::encode::values::unknown::UnknownValues;
use crate::encode::{Compat, EncodeError, EncodingType};
use crate::schema::names::{NULL_FLAG, NULL_TOKEN};
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
    /// The source of offsets within bins.
    pub(crate) offsets: BinOffsets,
    /// Index of the column in the statistics.
    pub(crate) column: u32,
    /// Subject of each row; given where [`ColumnEncoding::needs_subjects`].
    pub(crate) subjects: Option<&'a [u32]>,
}

/// A column as codes.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// One code column per sub-column.
    pub(crate) codes: Vec<CodeColumn>,
    /// How many of its values the statistics do not know; those of which each part has a code are known.
    pub(crate) unknown: UnknownValues,
}

/// Decoded values with their validity (`None`: every row holds a value, but for labels of `None`).
pub(crate) type Decoded = (DecodedValues, Option<Vec<bool>>);

/// What the statistics of a column show of how its values are written.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WrittenDigits {
    /// Power of ten of the last digit of numbers; `None` of columns of other values.
    pub last_place: Option<i32>,
    /// The largest absolute value of numbers that is shown; 0 if none is.
    pub largest: f64,
    /// Whether seconds have decimals.
    pub milliseconds: bool,
}

/// The statistics of a column, which turn values into codes and back.
pub(crate) trait ColumnEncoding: ErasedStats {
    /// Its encoding, once the automatic choice is made.
    fn encoding_type(&self) -> EncodingType;

    /// Sub-columns with their number of codes, in model order.
    fn cardinalities(&self) -> &Cardinalities;

    /// Whether statistics read from a file are consistent; otherwise the key at fault and what is wrong.
    fn check(&self) -> Result<(), (&'static str, String)>;

    /// Codes of a column, and how many of its values the statistics do not know: they get the codes of the nearest
    /// known value, or of the rare token.
    fn encode(&self, column: &Column<'_>, site: EncodeSite) -> Result<Encoded, EncodeError>;

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

    /// The tokens of an encoding whose only sub-column has them.
    fn tokens(&self) -> Option<&Codes> {
        None
    }

    /// Distinct categories that value protection hides; `None` where there are no categories.
    fn rare_categories(&self) -> Option<u64> {
        None
    }

    /// What is shown of how values are written.
    fn written_digits(&self) -> WrittenDigits {
        WrittenDigits::default()
    }
}

/// What statistics of any type derive, without the type.
pub(crate) trait ErasedStats: Any + fmt::Debug + Send + Sync {
    /// The keys in `stats.json`.
    fn to_value(&self) -> serde_json::Result<Value>;

    /// Whether the other are of the same type and equal.
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: Serialize + PartialEq + fmt::Debug + Send + Sync + 'static> ErasedStats for T {
    fn to_value(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// The statistics of a column by its encoding; cheap to clone.
#[derive(Clone)]
pub struct EncodingStats(Arc<dyn ColumnEncoding>);

impl EncodingStats {
    /// The encoding, once the automatic choice is made.
    pub fn encoding_type(&self) -> EncodingType {
        self.0.encoding_type()
    }

    /// Sub-columns with their number of codes, in model order.
    pub fn cardinalities(&self) -> &Cardinalities {
        self.0.cardinalities()
    }

    /// The statistics when they are of this type, for instance [`CategoricalStats`](crate::encode::CategoricalStats).
    pub fn get<T: 'static>(&self) -> Option<&T> {
        let any: &dyn Any = &*self.0;
        any.downcast_ref()
    }

    /// The tokens by code of categories, discrete numbers and bins (of bins only those before the intervals). Such a column has one
    /// sub-column, and all its nulls have one code.
    pub fn tokens(&self) -> Option<&Codes> {
        self.0.tokens()
    }

    /// Distinct categories that value protection hides; `None` where there are no categories.
    pub fn rare_categories(&self) -> Option<u64> {
        self.0.rare_categories()
    }

    /// Whether nulls are distinguished from values: by a token or by a flag.
    pub fn has_nulls(&self) -> bool {
        match self.tokens() {
            Some(tokens) => tokens.contains_key(NULL_TOKEN),
            None => self.cardinalities().contains_key(NULL_FLAG),
        }
    }

    /// What is shown of how values are written.
    pub fn written_digits(&self) -> WrittenDigits {
        self.0.written_digits()
    }

    /// What all encodings have in common.
    pub(crate) fn encoding(&self) -> &dyn ColumnEncoding {
        &*self.0
    }
}

impl<T: ColumnEncoding> From<T> for EncodingStats {
    fn from(stats: T) -> Self {
        Self(Arc::new(stats))
    }
}

impl fmt::Debug for EncodingStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for EncodingStats {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

impl Serialize for EncodingStats {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.0.to_value().map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }
}
