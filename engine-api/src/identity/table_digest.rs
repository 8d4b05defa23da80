//! The identity of a table: a keyed hash of its schema, of what its columns are for, and of its rows.

use std::fmt;
use std::str::FromStr;

use arrow_array::RecordBatch;
use arrow_row::{RowConverter, SortField};
use serde::{Deserialize, Serialize};

use super::siphash::SipHasher128;
use crate::EngineError;
use crate::data::{DataError, TableSource};
use crate::seed::draw_seed;

/// A digest of a table with its key. It is as private as the table, and is stored beside it only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDigest {
    /// Random bits, as hexadecimal digits.
    key: Hex,
    /// The hash under that key.
    value: Hex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Hex(u128);

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        format!("{hex}")
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TryFrom<String> for Hex {
    type Error = <u128 as FromStr>::Err;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        u128::from_str_radix(&digits, 16).map(Self)
    }
}

impl TableDigest {
    /// Whether a table is the one that this is the digest of. It is read once.
    ///
    /// # Errors
    /// [`DataError`] when the table cannot be read.
    pub(crate) fn is_of(&self, table: &TableSource) -> Result<bool, EngineError> {
        let mut digester = Digester::with_key(table, self.key)?;
        for batch in table.batches()? {
            digester.add(&batch?)?;
        }
        Ok(digester.finish() == *self)
    }
}

/// Computes the digest of a table while its rows pass by.
pub(crate) struct Digester {
    key: Hex,
    hasher: SipHasher128,
    rows: RowConverter,
}

impl Digester {
    /// Begins with a new key.
    pub(crate) fn new(table: &TableSource) -> Result<Self, EngineError> {
        let (low, high) = (draw_seed()?, draw_seed()?);
        Self::with_key(table, Hex(u128::from(high) << 64 | u128::from(low)))
    }

    fn with_key(table: &TableSource, key: Hex) -> Result<Self, EngineError> {
        let mut hasher = SipHasher128::new(key.0.to_le_bytes());
        let fields = table.schema().fields();
        for field in fields {
            let role = table.format().column(field.name()).map(|column| column.role);
            let text = format!("{:?} {} {role:?}", field.name(), field.data_type());
            hasher.write(&(text.len() as u64).to_le_bytes());
            hasher.write(text.as_bytes());
        }
        let sorted = fields
            .iter()
            .map(|field| SortField::new(field.data_type().clone()));
        let rows = RowConverter::new(sorted.collect()).map_err(unhashable)?;
        Ok(Self { key, hasher, rows })
    }

    /// Takes in more rows.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        // Each row says itself where it ends, so it does not matter how the table is cut into batches.
        let rows = self.rows.convert_columns(batch.columns()).map_err(unhashable)?;
        rows.iter().for_each(|row| self.hasher.write(row.as_ref()));
        Ok(())
    }

    /// The digest of all rows.
    pub(crate) fn finish(self) -> TableDigest {
        TableDigest {
            key: self.key,
            value: Hex(self.hasher.finish()),
        }
    }
}

fn unhashable(source: arrow_schema::ArrowError) -> EngineError {
    DataError::Convert {
        column: "*".to_owned(),
        data_type: "rows that can be compared".to_owned(),
        source,
    }
    .into()
}
