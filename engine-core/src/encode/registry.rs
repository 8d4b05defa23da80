//! The registry: the one table of all encodings. An encoding is found here by its name, and what it can do is a method of
//! the encoding, so that no other place distinguishes encodings.

use std::str::FromStr;
use std::sync::LazyLock;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::encodings::encoding::AnyEncoding;
use super::encodings::{categorical, character, datetime, language, lat_long, numeric};
use super::error::shorten;
use super::{ColumnKind, EncodeError, EncodingType, ValueKind};
use crate::schema::Values;

/// The encodings, in the order in which messages list them.
static ENCODINGS: &[&dyn AnyEncoding] = &[
    &categorical::Categorical,
    &numeric::Auto,
    &numeric::Discrete,
    &numeric::Binned,
    &numeric::Digit,
    &character::Character,
    &datetime::Datetime,
    &datetime::DatetimeRelative,
    &lat_long::LatLong,
];

/// All names, also of encodings that are known by name only.
static NAMES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| EncodingType::all().map(EncodingType::name).collect());

impl EncodingType {
    /// All encodings.
    pub fn all() -> impl Iterator<Item = Self> {
        let known = ENCODINGS.iter().map(|encoding| encoding.encoding_type());
        known.chain(language::NAMES)
    }

    /// The encoding; `None` when it is known by name only.
    pub(crate) fn encoding(self) -> Option<&'static dyn AnyEncoding> {
        let mut encodings = ENCODINGS.iter().copied();
        encodings.find(|encoding| encoding.encoding_type() == self)
    }

    /// The encoding of a column.
    ///
    /// # Errors
    /// [`EncodeError::Unsupported`] when it is known by name only.
    pub(crate) fn of_column(self, column: &str) -> Result<&'static dyn AnyEncoding, EncodeError> {
        self.encoding().ok_or_else(|| EncodeError::Unsupported {
            column: column.to_owned(),
            encoding: self,
        })
    }

    /// Whether this version can analyse, encode and decode it: all encodings of tables, none of the language
    /// model.
    pub fn is_supported(self) -> bool {
        self.encoding().is_some()
    }

    /// Whether it needs to know which rows belong to one subject ([`crate::schema::Table::with_subjects`]).
    pub fn needs_subjects(self) -> bool {
        self.encoding().is_some_and(|encoding| encoding.needs_subjects())
    }

    /// What it decodes to; `None` when it is not supported.
    pub fn decodes_to(self) -> Option<ValueKind> {
        self.encoding().map(|encoding| encoding.decodes_to())
    }

    /// Whether it is one of the numeric encodings of tables.
    pub fn is_numeric(self) -> bool {
        self.decodes_to() == Some(ValueKind::Numbers)
    }

    /// Whether it is worth a try for a column that holds such values.
    pub fn suits(self, column: ColumnKind) -> bool {
        self.encoding().is_some_and(|encoding| encoding.suits(column))
    }

    /// Whether the values of a column are looked for one by one, so that they may be given as a domain.
    pub(crate) fn has_domain(self) -> bool {
        self.encoding().is_some_and(|encoding| encoding.has_domain())
    }
}

/// Names for a message, `a, b and c` or `a, b or c`.
pub(crate) fn list(encodings: impl Iterator<Item = EncodingType>, last: &str) -> String {
    let names: Vec<String> = encodings.map(|encoding| encoding.to_string()).collect();
    match names.split_last() {
        Some((end, rest)) if !rest.is_empty() => format!("{} {last} {end}", rest.join(", ")),
        _ => names.concat(),
    }
}

impl FromStr for EncodingType {
    type Err = EncodeError;

    /// Reads a full name, or one without `TABULAR_`, in any case: `TABULAR_NUMERIC_DIGIT`, `numeric-digit`.
    fn from_str(name: &str) -> Result<Self, EncodeError> {
        let wanted = name.trim().to_ascii_uppercase().replace('-', "_");
        Self::all()
            .find(|t| t.name() == wanted || t.short_name() == wanted)
            .ok_or_else(|| EncodeError::UnknownEncoding {
                name: shorten(name),
                known: list(Self::all().filter(|t| t.is_supported()), "and"),
            })
    }
}

impl<'de> Deserialize<'de> for EncodingType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = Self::all().find(|t| t.name() == name);
        known.ok_or_else(|| D::Error::unknown_variant(&name, &NAMES))
    }
}

/// The encoding of a column for which none was requested: numbers are numeric by choice, dates and timestamps
/// datetime, everything else (decimals too) categorical.
pub fn default_encoding(values: &Values<'_>) -> EncodingType {
    match values {
        Values::Int8(_)
        | Values::Int16(_)
        | Values::Int32(_)
        | Values::Int64(_)
        | Values::UInt8(_)
        | Values::UInt16(_)
        | Values::UInt32(_)
        | Values::UInt64(_)
        | Values::Float32(_)
        | Values::Float64(_) => EncodingType::NUMERIC_AUTO,
        Values::Date(_) | Values::Timestamp { .. } => EncodingType::DATETIME,
        Values::Null(_) | Values::Boolean(_) | Values::Decimal { .. } | Values::Text(_) => {
            EncodingType::CATEGORICAL
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_full_and_short() {
        let names: Vec<_> = EncodingType::all().map(EncodingType::name).collect();
        assert_eq!(names.len(), 13);
        for encoding in EncodingType::all() {
            assert_eq!(names.iter().filter(|name| **name == encoding.name()).count(), 1);
            assert_eq!(encoding.name().parse(), Ok(encoding));
            assert_eq!(encoding.name().to_lowercase().parse(), Ok(encoding));
            assert_eq!(encoding.to_string().parse(), Ok(encoding));
            let json = serde_json::to_string(&encoding).unwrap();
            assert_eq!(json, format!("\"{}\"", encoding.name()));
            assert_eq!(serde_json::from_str::<EncodingType>(&json).unwrap(), encoding);
        }
        assert_eq!("categorical".parse(), Ok(EncodingType::CATEGORICAL));
        assert_eq!("Numeric-Digit".parse(), Ok(EncodingType::NUMERIC_DIGIT));
        assert_eq!("datetime".parse(), Ok(EncodingType::DATETIME));
        assert_eq!("lat-long".parse(), Ok(EncodingType::LAT_LONG));
        let error = "digits".parse::<EncodingType>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown encoding \"digits\"; the encodings are categorical, numeric-auto, numeric-discrete, \
             numeric-binned, numeric-digit, character, datetime, datetime-relative and lat-long"
        );
        let error = serde_json::from_str::<EncodingType>("\"DIGITS\"").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("unknown variant `DIGITS`, expected one of `TABULAR_CATEGORICAL`,")
        );
    }
}
