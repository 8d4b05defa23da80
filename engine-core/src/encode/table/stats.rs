//! The statistics of a table, `stats.json`: all that encoding, the model and decoding know about the values.

use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::json::to_json;
use crate::encode::encodings::column::EncodingStats;
use crate::encode::{Compat, EncodeError, EncodingType};
use crate::schema::SubColumnName;

/// What is known about a whole table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableStats {
    /// Columns by name, in model order.
    pub columns: IndexMap<String, ColumnStats>,
    /// Subjects (rows of a flat table) to train on.
    pub no_of_training_records: u64,
    /// Subjects to validate on.
    pub no_of_validation_records: u64,
    /// Rows per subject.
    pub seq_len: SequenceLengths,
    /// Whether some subject has another number of rows than one.
    pub is_sequential: bool,
    /// The key columns.
    pub keys: TableKeys,
    /// Privacy budget that these statistics cost; `None` without differential privacy.
    pub value_protection_epsilon_spent: Option<f64>,
}

/// Rows per subject over all subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceLengths {
    /// Fewest rows.
    pub min: u64,
    /// Most rows.
    pub max: u64,
    /// Median, rounded down.
    pub median: u64,
    /// Whether value protection was on.
    pub value_protection: bool,
}

impl SequenceLengths {
    /// The lengths of a flat table: every row is a subject of its own.
    pub fn flat(value_protection: bool) -> Self {
        Self {
            min: 1,
            max: 1,
            median: 1,
            value_protection,
        }
    }
}

/// Key columns of a table, as in `keys.json`; they are no part of the model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableKeys {
    /// Column whose values identify rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<String>,
    /// Column that names the subject of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_key: Option<String>,
    /// Column that names the root of a context row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_key: Option<String>,
}

/// What is known about one column.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnStats {
    /// No partition had a row; the encoding is the requested one. The column has no place in the model.
    Empty(EncodingType),
    /// A column of the model.
    Modelled {
        /// Whether value protection was on; `None` where the requested encoding does not record it.
        value_protection: Option<bool>,
        /// By whose rules numbers or dates are read from texts; `MostlyAi` also where there are none to read.
        texts: Compat,
        /// What the encoding needs.
        values: EncodingStats,
        /// The column's name in the model.
        place: ModelPlace,
    },
}

/// The place of a column in the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPlace {
    /// `tgt`, `ctxflt` or `ctxseq`.
    #[serde(rename = "argn_processor")]
    pub processor: String,
    /// `t0`, `t1` and so on.
    #[serde(rename = "argn_table")]
    pub table: String,
    /// `c0`, `c1` and so on.
    #[serde(rename = "argn_column")]
    pub column: String,
}

impl ModelPlace {
    /// The model column's name, `tgt:t3/c3`.
    pub fn model_column(&self) -> String {
        format!("{}:{}/{}", self.processor, self.table, self.column)
    }
}

impl ColumnStats {
    /// What the encoding needs; `None` of an empty column.
    pub fn values(&self) -> Option<&EncodingStats> {
        match self {
            Self::Empty(_) => None,
            Self::Modelled { values, .. } => Some(values),
        }
    }

    /// The resolved encoding (of an empty column, the requested one).
    pub fn encoding_type(&self) -> EncodingType {
        match self {
            Self::Empty(encoding) => *encoding,
            Self::Modelled { values, .. } => values.encoding_type(),
        }
    }
}

/// A sub-column of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubColumn {
    /// Its name, for instance `tgt:t3/c3__E1`.
    pub name: SubColumnName,
    /// Number of codes.
    pub cardinality: usize,
    /// Which model column it belongs to: index into [`TableStats::model_columns`].
    pub model_column: usize,
}

/// A column of the model: a column of the table that has values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelColumn {
    /// Name in the user's table.
    pub name: String,
    /// Name in the model, for instance `tgt:t3/c3`.
    pub model_name: String,
    /// The resolved encoding.
    pub encoding: EncodingType,
    /// Index in [`TableStats::columns`]; empty columns have one too.
    pub index: usize,
    /// Its sub-columns: indices into [`TableStats::sub_columns`]. May be empty.
    pub sub_columns: std::ops::Range<usize>,
}

/// A column with values: index among all columns, name, statistics, place.
pub(crate) type Modelled<'a> = (usize, &'a str, &'a EncodingStats, &'a ModelPlace);

impl TableStats {
    /// Columns that have values, in model order.
    pub(crate) fn modelled(&self) -> impl Iterator<Item = Modelled<'_>> {
        let columns = self.columns.iter().enumerate();
        columns.filter_map(|(index, (name, column))| match column {
            ColumnStats::Empty(_) => None,
            ColumnStats::Modelled { values, place, .. } => Some((index, name.as_str(), values, place)),
        })
    }

    /// The columns of the model with their sub-columns; columns without values are left out.
    pub fn model_columns(&self) -> Vec<ModelColumn> {
        let mut start = 0;
        let columns = self.modelled().map(|(index, name, values, place)| {
            let sub_columns = start..start + values.cardinalities().len();
            start = sub_columns.end;
            ModelColumn {
                name: name.to_owned(),
                model_name: place.model_column(),
                encoding: values.encoding_type(),
                index,
                sub_columns,
            }
        });
        columns.collect()
    }

    /// All sub-columns in model order, which is also their order in code tables.
    pub fn sub_columns(&self) -> Vec<SubColumn> {
        let mut all = Vec::new();
        for (model_column, (_, _, values, place)) in self.modelled().enumerate() {
            let prefix = place.model_column();
            for (sub, &cardinality) in values.cardinalities() {
                all.push(SubColumn {
                    name: SubColumnName::of_column(&prefix, sub),
                    cardinality,
                    model_column,
                });
            }
        }
        all
    }

    /// The text of `stats.json`.
    ///
    /// # Errors
    /// [`EncodeError::Stats`] when a number cannot be written as JSON.
    pub fn to_json(&self) -> Result<String, EncodeError> {
        to_json(self).map_err(|e| stats_error("stats.json", &e))
    }

    /// Reads the text of `stats.json`, ours or mostlyai-engine's. Unknown keys are ignored.
    ///
    /// # Errors
    /// [`EncodeError::Stats`] names the key that is missing or wrong; [`EncodeError::Unsupported`] an
    /// encoding that this version cannot decode.
    pub fn from_json(text: &str) -> Result<Self, EncodeError> {
        let raw: RawStats = serde_json::from_str(text).map_err(|e| stats_error("stats.json", &e))?;
        let columns = raw.columns.into_iter().map(|(name, column)| {
            let stats = read_column(&name, column)?;
            Ok((name, stats))
        });
        Ok(Self {
            columns: columns.collect::<Result<_, EncodeError>>()?,
            no_of_training_records: raw.no_of_training_records,
            no_of_validation_records: raw.no_of_validation_records,
            seq_len: raw.seq_len,
            is_sequential: raw.is_sequential,
            keys: raw.keys,
            value_protection_epsilon_spent: raw.value_protection_epsilon_spent,
        })
    }
}

/// `stats.json` with its columns unread.
#[derive(Deserialize)]
struct RawStats {
    columns: IndexMap<String, Map<String, Value>>,
    no_of_training_records: u64,
    no_of_validation_records: u64,
    seq_len: SequenceLengths,
    is_sequential: bool,
    #[serde(default)]
    keys: TableKeys,
    #[serde(default)]
    value_protection_epsilon_spent: Option<f64>,
}

/// The keys of a column that do not depend on its encoding; the place is missing when the column is empty.
#[derive(Deserialize)]
struct RawColumn {
    encoding_type: EncodingType,
    #[serde(default)]
    value_protection: Option<bool>,
    /// Files of others do not have it.
    #[serde(default = "Compat::mostlyai")]
    texts: Compat,
}

fn stats_error(key: &str, error: &serde_json::Error) -> EncodeError {
    EncodeError::Stats {
        key: key.to_owned(),
        reason: error.to_string(),
    }
}

fn read_part<T: DeserializeOwned>(name: &str, column: &Map<String, Value>) -> Result<T, EncodeError> {
    serde_json::from_value(Value::Object(column.clone()))
        .map_err(|e| stats_error(&format!("columns.{name}"), &e))
}

fn read_column(name: &str, column: Map<String, Value>) -> Result<ColumnStats, EncodeError> {
    let head: RawColumn = read_part(name, &column)?;
    if !column.contains_key("cardinalities") {
        return Ok(ColumnStats::Empty(head.encoding_type));
    }
    let read = head
        .encoding_type
        .encoding()
        .and_then(|encoding| encoding.read(Value::Object(column.clone())));
    let values = match read {
        Some(values) => values.map_err(|e| stats_error(&format!("columns.{name}"), &e))?,
        None => {
            return Err(EncodeError::Unsupported {
                column: name.to_owned(),
                encoding: head.encoding_type,
            });
        }
    };
    values
        .encoding()
        .check()
        .map_err(|(key, reason)| EncodeError::Stats {
            key: format!("columns.{name}.{key}"),
            reason,
        })?;
    Ok(ColumnStats::Modelled {
        value_protection: head.value_protection,
        texts: head.texts,
        values,
        place: read_part(name, &column)?,
    })
}

/// A column in the file: what is common, then the encoding's keys, then the place.
#[derive(Serialize)]
struct WrittenColumn<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    value_protection: Option<bool>,
    encoding_type: EncodingType,
    #[serde(skip_serializing_if = "Compat::is_mostlyai")]
    texts: Compat,
    #[serde(flatten)]
    values: Option<&'a EncodingStats>,
    #[serde(flatten)]
    place: Option<&'a ModelPlace>,
}

impl Serialize for ColumnStats {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Empty(encoding_type) => WrittenColumn {
                value_protection: None,
                encoding_type: *encoding_type,
                texts: Compat::MostlyAi,
                values: None,
                place: None,
            },
            Self::Modelled {
                value_protection,
                texts,
                values,
                place,
            } => WrittenColumn {
                value_protection: *value_protection,
                encoding_type: values.encoding_type(),
                texts: *texts,
                values: Some(values),
                place: Some(place),
            },
        };
        written.serialize(serializer)
    }
}
