//! Statistics of a part of a table. Parts are analysed one by one; only these are kept until they are
//! reduced.

use indexmap::IndexMap;
use rayon::prelude::*;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::categorical::CategoricalPartial;
use super::datetime::DatetimePartial;
use super::numeric::NumericPartial;
use super::{EncodeError, EncodingType};

/// Which rows a part of a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Rows to train on.
    Training,
    /// Rows to validate on.
    Validation,
}

/// Statistics of a part of a table, without value protection: private, and to be deleted once they are
/// reduced. In JSON they have the layout of `part.<id>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "WrittenPartial", into = "WrittenPartial")]
pub struct PartialStats {
    /// Whether the rows are trained on.
    pub part: Part,
    /// Number of rows.
    pub rows: u64,
    /// Statistics by column.
    pub columns: IndexMap<String, ColumnPartial>,
}

/// Statistics of a column in a part of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnPartial {
    /// The encoding that was asked for.
    pub encoding_type: EncodingType,
    /// What was counted.
    #[serde(flatten)]
    pub(crate) values: PartialValues,
}

impl PartialStats {
    /// Takes in the statistics of the rows that follow, so that memory grows with what is counted and not with the number
    /// of parts. [`super::reduce`] makes the same of the result as of the two.
    ///
    /// # Errors
    /// [`EncodeError::UnequalParts`] when the two are of different columns, encodings or purposes.
    pub fn merge(&mut self, later: Self) -> Result<(), EncodeError> {
        let unequal = |column: &str| EncodeError::UnequalParts {
            column: column.to_owned(),
        };
        if self.part != later.part || self.columns.len() != later.columns.len() {
            return Err(unequal(self.columns.keys().next().map_or("", String::as_str)));
        }
        for ((name, column), (other, more)) in self.columns.iter().zip(&later.columns) {
            let alike = |a: &PartialValues, b: &PartialValues| {
                let empty = |p: &PartialValues| matches!(p, PartialValues::Empty {});
                empty(a) || empty(b) || std::mem::discriminant(a) == std::mem::discriminant(b)
            };
            if name != other
                || column.encoding_type != more.encoding_type
                || !alike(&column.values, &more.values)
            {
                return Err(unequal(name));
            }
        }
        self.rows += later.rows;
        let columns = self.columns.par_values_mut().zip(later.columns.into_par_iter());
        columns.for_each(|(column, (_, more))| column.values.merge(more.values));
        Ok(())
    }
}

impl PartialValues {
    /// Takes in the rows that follow; nothing happens when they are of another kind.
    fn merge(&mut self, later: Self) {
        // By what there is, so that no new kind is passed over.
        match (self, later) {
            (_, Self::Empty {}) => {}
            (all @ Self::Empty {}, more) => *all = more,
            (Self::Categorical(all), more) => {
                if let Self::Categorical(more) = more {
                    all.merge(more);
                }
            }
            (Self::Numeric(all), more) => {
                if let Self::Numeric(more) = more {
                    all.merge(more);
                }
            }
            (Self::Datetime(all), more) => {
                if let Self::Datetime(more) = more {
                    all.merge(more);
                }
            }
        }
    }
}

/// What was counted in a column, by encoding.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum PartialValues {
    /// The part had no rows.
    Empty {},
    Categorical(CategoricalPartial),
    Numeric(NumericPartial),
    Datetime(DatetimePartial),
}

impl<'de> Deserialize<'de> for ColumnPartial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = serde_json::Map::deserialize(deserializer)?;
        let encoding = map
            .remove("encoding_type")
            .ok_or_else(|| D::Error::missing_field("encoding_type"))?;
        let encoding_type: EncodingType = serde_json::from_value(encoding).map_err(D::Error::custom)?;
        let empty = map.is_empty();
        let map = Value::Object(map);
        let values = if empty {
            Ok(PartialValues::Empty {})
        } else if encoding_type.is_numeric() {
            serde_json::from_value(map).map(PartialValues::Numeric)
        } else if encoding_type == EncodingType::Datetime {
            serde_json::from_value(map).map(PartialValues::Datetime)
        } else {
            serde_json::from_value(map).map(PartialValues::Categorical)
        };
        Ok(Self {
            encoding_type,
            values: values.map_err(D::Error::custom)?,
        })
    }
}

/// The layout of the file.
#[derive(Clone, Serialize, Deserialize)]
struct WrittenPartial {
    no_of_training_records: u64,
    no_of_validation_records: u64,
    seq_len: Lengths,
    columns: IndexMap<String, ColumnPartial>,
}

/// Number of subjects by their number of rows.
#[derive(Clone, Serialize, Deserialize)]
struct Lengths {
    cnt_lengths: IndexMap<String, u64>,
}

impl From<PartialStats> for WrittenPartial {
    fn from(partial: PartialStats) -> Self {
        let is_training = partial.part == Part::Training;
        let lengths = (partial.rows > 0).then(|| ("1".to_owned(), partial.rows));
        Self {
            no_of_training_records: if is_training { partial.rows } else { 0 },
            no_of_validation_records: if is_training { 0 } else { partial.rows },
            seq_len: Lengths {
                cnt_lengths: lengths.into_iter().collect(),
            },
            columns: partial.columns,
        }
    }
}

impl From<WrittenPartial> for PartialStats {
    fn from(written: WrittenPartial) -> Self {
        Self {
            // A part without rows is of neither kind.
            part: if written.no_of_validation_records > 0 {
                Part::Validation
            } else {
                Part::Training
            },
            rows: written.no_of_training_records + written.no_of_validation_records,
            columns: written.columns,
        }
    }
}

/// Values that cannot be read the way an encoding asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Misfits {
    /// Values that are not null.
    pub(crate) present: u64,
    /// Values that cannot be read.
    pub(crate) unreadable: u64,
    /// Row of the first of them over the whole table.
    pub(crate) row: u64,
    /// The first of them, shortened.
    pub(crate) value: String,
}

impl Misfits {
    /// Takes in the rows that follow.
    pub(crate) fn merge(&mut self, later: Self) {
        self.present += later.present;
        if self.unreadable == 0 {
            self.row = later.row;
            self.value = later.value;
        }
        self.unreadable += later.unreadable;
    }

    /// Counts a value that cannot be read.
    pub(crate) fn add(&mut self, row: u64, value: impl FnOnce() -> String) {
        if self.unreadable == 0 {
            self.row = row;
            self.value = value();
        }
        self.unreadable += 1;
    }
}

/// Checks that at most half of the values of a column could not be read.
pub(crate) fn check_fit<'a>(
    column: &str,
    encoding: EncodingType,
    kind: &'static str,
    misfits: impl Iterator<Item = &'a Misfits> + Clone,
) -> Result<(), EncodeError> {
    let unreadable = misfits.clone().map(|m| m.unreadable).sum::<u64>();
    let present = misfits.clone().map(|m| m.present).sum::<u64>();
    match misfits.filter(|m| m.unreadable > 0).min_by_key(|m| m.row) {
        Some(first) if unreadable * 2 > present => Err(EncodeError::Misfit {
            column: column.to_owned(),
            encoding,
            kind,
            row: first.row,
            value: first.value.clone(),
            unreadable,
            present,
        }),
        Some(_) => {
            tracing::warn!(
                column,
                unreadable,
                present,
                "values that are not a {kind} are taken as null"
            );
            Ok(())
        }
        None => Ok(()),
    }
}
