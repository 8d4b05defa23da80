//! What a table looked like when it came in, so that a synthetic one goes out in the same order, types and written forms.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::date_form::DateForm;
use super::metadata::{Metadata, only_extension, only_types, without_counts};
use super::null_words::null_word;
use crate::data::error::{DataError, list_names};
use crate::files::{self, FileError};

/// Version of the JSON form that this program writes, and the newest that it reads.
pub const TABLE_FORMAT_VERSION: u32 = 1;

/// Columns of a table in order, with their roles, types and written forms. Stored in a workspace as
/// `ModelStore/tgt-stats/table-format.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFormat {
    /// Version of the JSON form.
    pub version: u32,
    /// What the table was read from.
    pub source: SourceFormat,
    /// How CSV is written; what was found when the source is CSV.
    pub csv: CsvDialect,
    /// Texts that stood for null because the reader of the table was told so, besides the empty one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null_texts: Vec<String>,
    /// Whether the usual words for a missing value are values in columns of numbers and dates too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep_null_words: bool,
    /// Metadata of the schema of Parquet or record batches, by key.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Columns in table order.
    pub columns: Vec<ColumnFormat>,
}

/// The kind of a table's source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceFormat {
    /// CSV, plain or compressed.
    Csv,
    /// Parquet.
    Parquet,
    /// Arrow record batches in memory.
    Arrow,
}

/// How CSV is written. Lines end in LF and the first is the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvDialect {
    /// Character between two fields.
    pub delimiter: char,
    /// Whether names in the header stand in quotes even where that is not needed.
    pub quoted_header: bool,
}

impl Default for CsvDialect {
    fn default() -> Self {
        Self {
            delimiter: ',',
            quoted_header: false,
        }
    }
}

/// What a column is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Learnt and sampled.
    #[default]
    Model,
    /// Left out of the model; sampling makes new keys.
    PrimaryKey,
    /// Left out of the model and of what is sampled.
    Excluded,
}

/// One column of a [`TableFormat`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnFormat {
    /// Name.
    pub name: String,
    /// What the column is for.
    pub role: Role,
    /// Arrow type, in JSON by its Arrow name (`Int64`, `Timestamp(µs, "UTC")`).
    #[serde(rename = "type", with = "type_name")]
    pub data_type: DataType,
    /// How values are written as text.
    #[serde(default, skip_serializing_if = "WrittenForm::is_plain")]
    pub written: WrittenForm,
    /// Whether values stand in quotes even where that is not needed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub quoted: bool,
    /// Number of spaces before a value that is not text.
    #[serde(default, skip_serializing_if = "is_default")]
    pub leading_spaces: u8,
    /// Text that stands for null.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub null_text: String,
    /// Metadata of the field of Parquet or record batches, by key: extension types, for instance.
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Whether the values of a dictionary have an order.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ordered: bool,
}

/// How the values of a column are written as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrittenForm {
    /// As the type suggests: whole numbers in decimal; other numbers as short as reads back equal, with at least one
    /// decimal; `YYYY-MM-DD`; `YYYY-MM-DD HH:MM:SS` with 0, 3, 6 or 9 decimals and `Z` when zoned; `true` and `false`.
    #[default]
    Plain,
    /// Numbers that are not whole.
    Number(NumberForm),
    /// Dates that are not written as `YYYY-MM-DD`.
    Date(DateForm),
    /// Dates with a time of day.
    Time(TimeForm),
    /// Booleans.
    Boolean(BooleanWords),
}

impl WrittenForm {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}

/// How numbers are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberForm {
    /// Numbers of decimals that occur, rising. A value gets the smallest that shows it exactly, else the largest. One
    /// entry is a fixed number of decimals; none means as many as needed, at least one.
    pub decimals: Vec<u8>,
    /// Whether the zero before the point is left out (`.5`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub bare_point: bool,
    /// How exponents are written, when there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponent: Option<ExponentForm>,
}

/// How exponents are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExponentForm {
    /// Which values have one.
    pub used: ExponentUse,
    /// Whether the letter is `E`, not `e`.
    pub upper: bool,
    /// Whether a positive exponent has a plus sign.
    pub plus: bool,
    /// Smallest number of digits of the exponent.
    pub digits: u8,
}

/// Which values are written with an exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExponentUse {
    /// All; the decimals are those before the exponent.
    Always,
    /// Those below 1e-4 or not below 1e16, as Python does it.
    Extreme,
    /// Those that are shorter with one, as R does it.
    Shorter,
}

/// How dates with a time of day are written: `2024-02-29T23:59:59.5+01:00`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeForm {
    /// How the date is written, where that is not `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<DateForm>,
    /// Character between date and time: `T` or a space.
    pub separator: char,
    /// Whether seconds are written.
    pub seconds: bool,
    /// Numbers of decimals of the seconds that occur, rising; used as in [`NumberForm::decimals`], at most 9.
    pub decimals: Vec<u8>,
    /// Zone after the time: `Z` or an offset (`+01:00`, `+0100`, `+01`), in which the time is then shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Whether midnight is written as a date alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub midnight_as_date: bool,
}

/// The words for true and false.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BooleanWords {
    /// Stands for true.
    pub true_word: String,
    /// Stands for false.
    pub false_word: String,
}

impl TableFormat {
    /// The format of a table of that schema whose columns are all modelled and written plainly.
    pub fn of_schema(source: SourceFormat, schema: &Schema) -> Self {
        let columns = schema
            .fields()
            .iter()
            .map(|f| ColumnFormat::of_field(f))
            .collect();
        Self {
            version: TABLE_FORMAT_VERSION,
            source,
            csv: CsvDialect::default(),
            null_texts: Vec::new(),
            keep_null_words: false,
            metadata: of_arrow(schema.metadata()),
            columns,
        }
    }

    /// Takes what holds for this table only out of the metadata: what is said of excluded columns, of rows and of categories.
    pub(in crate::data) fn strip_metadata(&mut self) {
        let excluded: Vec<&str> = self
            .columns
            .iter()
            .filter(|c| c.role == Role::Excluded)
            .map(|c| c.name.as_str())
            .collect();
        without_counts(&mut self.metadata, |name| excluded.contains(&name));
        for column in self.columns.iter_mut().filter(|c| c.role == Role::Excluded) {
            column.metadata.clear();
        }
    }

    /// Keeps of the metadata what names types alone.
    pub(crate) fn keep_types_of_metadata(&mut self) {
        only_types(&mut self.metadata);
        self.columns
            .iter_mut()
            .for_each(|column| only_extension(&mut column.metadata));
    }

    /// All texts that stand for null in a table like this, besides the empty one: those that were named, and those of the columns,
    /// for a format of an earlier version does not say which were named.
    pub fn all_null_texts(&self) -> Vec<String> {
        let mut texts = self.null_texts.clone();
        for column in &self.columns {
            // Words that are null by themselves in this column may be texts in another.
            let by_rule = !self.keep_null_words
                && (column.data_type.is_numeric() || column.data_type.is_temporal())
                && null_word(column.null_text.as_bytes()).is_some();
            if !column.null_text.is_empty() && !by_rule && !texts.contains(&column.null_text) {
                texts.push(column.null_text.clone());
            }
        }
        texts
    }

    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<&ColumnFormat> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Gives a column its role; `table` is the table's name, for messages.
    ///
    /// # Errors
    /// [`DataError::UnknownColumn`] when there is none of that name.
    pub fn set_role(&mut self, table: &str, name: &str, role: Role) -> Result<(), DataError> {
        match self.columns.iter_mut().find(|c| c.name == name) {
            Some(column) => {
                column.role = role;
                Ok(())
            }
            None => Err(DataError::UnknownColumn {
                table: table.to_owned(),
                column: name.to_owned(),
                known: list_names(self.columns.iter().map(|c| c.name.as_str())),
            }),
        }
    }

    /// The columns that a synthetic table has: all but the excluded ones.
    pub fn output_columns(&self) -> impl Iterator<Item = &ColumnFormat> {
        self.columns.iter().filter(|c| c.role != Role::Excluded)
    }

    /// Schema of a synthetic table. Every field may be null, because a rare or unknown category of a column that is
    /// not text has no value.
    pub fn output_schema(&self) -> SchemaRef {
        let fields = self.output_columns().map(ColumnFormat::field);
        let schema = Schema::new(fields.collect::<Vec<_>>());
        Arc::new(schema.with_metadata(self.metadata.clone()))
    }

    /// Reads a format from its JSON file.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read, [`DataError::FormatJson`] and [`DataError::FormatVersion`] when it is not
    /// one that we know.
    pub fn load(path: &Path) -> Result<Self, DataError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let file = || path.display().to_string();
        let text = std::fs::read(path).map_err(|e| FileError::new(path, "read", e))?;
        let no_json = |source| DataError::FormatJson { file: file(), source };
        let Version { version } = serde_json::from_slice(&text).map_err(no_json)?;
        if version > TABLE_FORMAT_VERSION {
            return Err(DataError::FormatVersion {
                file: file(),
                found: version,
                supported: TABLE_FORMAT_VERSION,
            });
        }
        serde_json::from_slice(&text).map_err(no_json)
    }

    /// Writes the format as JSON with an indentation of four, atomically.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        let mut text = Vec::new();
        let indented = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut writer = serde_json::Serializer::with_formatter(&mut text, indented);
        let file = path.display().to_string();
        self.serialize(&mut writer)
            .map_err(|source| DataError::FormatJson { file, source })?;
        Ok(files::write_atomically(path, &text)?)
    }
}

impl ColumnFormat {
    /// A modelled column that is written plainly.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            role: Role::Model,
            data_type,
            written: WrittenForm::Plain,
            quoted: false,
            leading_spaces: 0,
            null_text: String::new(),
            metadata: Metadata::new(),
            ordered: false,
        }
    }

    /// The column of a field.
    fn of_field(field: &Field) -> Self {
        Self {
            metadata: of_arrow(field.metadata()),
            ordered: field.dict_is_ordered() == Some(true),
            ..Self::new(field.name(), field.data_type().clone())
        }
    }

    /// The field of a synthetic table.
    fn field(&self) -> Field {
        Field::new(&self.name, self.data_type.clone(), true)
            .with_metadata(self.metadata.clone())
            .with_dict_is_ordered(self.ordered)
    }
}

fn of_arrow(metadata: &arrow_schema::Metadata) -> Metadata {
    let pairs = metadata.iter().map(|(key, value)| (key.clone(), value.clone()));
    pairs.collect()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Arrow types by name, as [`DataType`] prints and parses them.
mod type_name {
    use arrow_schema::DataType;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(data_type: &DataType, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(data_type)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DataType, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::TimeUnit;

    fn every_type() -> Vec<DataType> {
        use DataType::*;
        let mut types = vec![
            Null, Boolean, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32,
            Float64, Date32, Date64, Utf8, LargeUtf8, Utf8View,
        ];
        for unit in [
            TimeUnit::Second,
            TimeUnit::Millisecond,
            TimeUnit::Microsecond,
            TimeUnit::Nanosecond,
        ] {
            types.push(Timestamp(unit, None));
            types.push(Timestamp(unit, Some("Europe/Vienna".into())));
        }
        types.extend([Time32(TimeUnit::Second), Time64(TimeUnit::Nanosecond)]);
        types.extend([
            Decimal32(9, 2),
            Decimal64(18, 3),
            Decimal128(38, -2),
            Decimal256(76, 10),
        ]);
        types.push(Dictionary(Box::new(Int8), Box::new(Utf8)));
        types
    }

    #[test]
    fn every_type_comes_back_from_json() {
        let columns = every_type()
            .into_iter()
            .enumerate()
            .map(|(i, t)| ColumnFormat::new(format!("c{i}"), t))
            .collect();
        let format = TableFormat {
            version: TABLE_FORMAT_VERSION,
            source: SourceFormat::Parquet,
            csv: CsvDialect::default(),
            null_texts: Vec::new(),
            keep_null_words: false,
            metadata: Metadata::new(),
            columns,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table-format.json");
        format.save(&path).unwrap();
        assert_eq!(TableFormat::load(&path).unwrap(), format);
    }

    #[test]
    fn json_is_what_the_documentation_says() {
        let mut format = TableFormat {
            version: TABLE_FORMAT_VERSION,
            source: SourceFormat::Csv,
            csv: CsvDialect {
                delimiter: ';',
                quoted_header: true,
            },
            null_texts: vec!["NA".to_owned(), "?".to_owned()],
            keep_null_words: false,
            metadata: Metadata::new(),
            columns: vec![
                ColumnFormat::new("id", DataType::Utf8),
                ColumnFormat::new("price", DataType::Float64),
            ],
        };
        format.set_role("t.csv", "id", Role::PrimaryKey).unwrap();
        format.columns[1].written = WrittenForm::Number(NumberForm {
            decimals: vec![2],
            bare_point: false,
            exponent: None,
        });
        format.columns[1].null_text = "NA".to_owned();
        let json = serde_json::to_string(&format).unwrap();
        assert_eq!(
            json,
            r#"{"version":1,"source":"csv","csv":{"delimiter":";","quoted_header":true},"null_texts":["NA","?"],"columns":[{"name":"id","role":"primary_key","type":"Utf8"},{"name":"price","role":"model","type":"Float64","written":{"number":{"decimals":[2]}},"null_text":"NA"}]}"#
        );
        assert_eq!(serde_json::from_str::<TableFormat>(&json).unwrap(), format);
    }

    #[test]
    fn excluded_columns_are_not_in_the_output() {
        let schema = Schema::new(vec![
            Field::new("a", DataType::Int32, false),
            Field::new("b", DataType::Utf8, true),
        ]);
        let mut format = TableFormat::of_schema(SourceFormat::Arrow, &schema);
        format.set_role("t.csv", "b", Role::Excluded).unwrap();
        assert_eq!(
            *format.output_schema(),
            Schema::new(vec![Field::new("a", DataType::Int32, true)])
        );
        let error = format.set_role("t.csv", "c", Role::Excluded).unwrap_err();
        assert_eq!(
            error.to_string(),
            "t.csv: there is no column \"c\"; the columns are a, b"
        );
    }

    #[test]
    fn strange_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table-format.json");
        let shown = path.display();
        std::fs::write(&path, r#"{"version": 2, "news": true}"#).unwrap();
        assert_eq!(
            TableFormat::load(&path).unwrap_err().to_string(),
            format!(
                "{shown}: the format has version 2, this program reads up to 1; use a newer version of it"
            )
        );
        std::fs::write(&path, "[").unwrap();
        assert_eq!(
            TableFormat::load(&path).unwrap_err().to_string(),
            format!(
                "{shown}: this is not a table format of ours; make the workspace anew (EOF while parsing a list at \
                 line 1 column 1)"
            )
        );
    }
}
