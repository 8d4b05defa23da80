//! The encodings by name, and which one a column gets by default.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::EncodeError;
use super::error::shorten;
use crate::schema::Values;

/// How a column becomes codes. In JSON each has its upper-case name, for instance `TABULAR_NUMERIC_DIGIT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EncodingType {
    /// One code per distinct text.
    #[serde(rename = "TABULAR_CATEGORICAL")]
    Categorical,
    /// A numeric encoding chosen by the values: discrete, binned or digit.
    #[serde(rename = "TABULAR_NUMERIC_AUTO")]
    NumericAuto,
    /// One code per distinct number.
    #[serde(rename = "TABULAR_NUMERIC_DISCRETE")]
    NumericDiscrete,
    /// One code per interval between quantiles.
    #[serde(rename = "TABULAR_NUMERIC_BINNED")]
    NumericBinned,
    /// One sub-column per decimal digit.
    #[serde(rename = "TABULAR_NUMERIC_DIGIT")]
    NumericDigit,
    /// One sub-column per character.
    #[serde(rename = "TABULAR_CHARACTER")]
    Character,
    /// One sub-column per part of a date and time.
    #[serde(rename = "TABULAR_DATETIME")]
    Datetime,
    /// Dates as differences to the row before.
    #[serde(rename = "TABULAR_DATETIME_RELATIVE")]
    DatetimeRelative,
    /// Places as quad tiles.
    #[serde(rename = "TABULAR_LAT_LONG")]
    LatLong,
    /// Free text of the language model.
    #[serde(rename = "LANGUAGE_TEXT")]
    LanguageText,
    /// Categories of the language model.
    #[serde(rename = "LANGUAGE_CATEGORICAL")]
    LanguageCategorical,
    /// Numbers of the language model.
    #[serde(rename = "LANGUAGE_NUMERIC")]
    LanguageNumeric,
    /// Dates of the language model.
    #[serde(rename = "LANGUAGE_DATETIME")]
    LanguageDatetime,
}

impl EncodingType {
    /// All encodings.
    pub const ALL: [Self; 13] = [
        Self::Categorical,
        Self::NumericAuto,
        Self::NumericDiscrete,
        Self::NumericBinned,
        Self::NumericDigit,
        Self::Character,
        Self::Datetime,
        Self::DatetimeRelative,
        Self::LatLong,
        Self::LanguageText,
        Self::LanguageCategorical,
        Self::LanguageNumeric,
        Self::LanguageDatetime,
    ];

    /// The name in files, for instance `TABULAR_CATEGORICAL`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Categorical => "TABULAR_CATEGORICAL",
            Self::NumericAuto => "TABULAR_NUMERIC_AUTO",
            Self::NumericDiscrete => "TABULAR_NUMERIC_DISCRETE",
            Self::NumericBinned => "TABULAR_NUMERIC_BINNED",
            Self::NumericDigit => "TABULAR_NUMERIC_DIGIT",
            Self::Character => "TABULAR_CHARACTER",
            Self::Datetime => "TABULAR_DATETIME",
            Self::DatetimeRelative => "TABULAR_DATETIME_RELATIVE",
            Self::LatLong => "TABULAR_LAT_LONG",
            Self::LanguageText => "LANGUAGE_TEXT",
            Self::LanguageCategorical => "LANGUAGE_CATEGORICAL",
            Self::LanguageNumeric => "LANGUAGE_NUMERIC",
            Self::LanguageDatetime => "LANGUAGE_DATETIME",
        }
    }

    /// Whether this version can analyse, encode and decode it: all encodings of tables, none of the language
    /// model.
    pub fn is_supported(self) -> bool {
        !matches!(
            self,
            Self::LanguageText | Self::LanguageCategorical | Self::LanguageNumeric | Self::LanguageDatetime
        )
    }

    /// Whether it needs to know which rows belong to one subject ([`crate::schema::Table::with_subjects`]).
    pub fn needs_subjects(self) -> bool {
        self == Self::DatetimeRelative
    }

    /// Whether it is one of the numeric encodings of tables.
    pub fn is_numeric(self) -> bool {
        matches!(
            self,
            Self::NumericAuto | Self::NumericDiscrete | Self::NumericBinned | Self::NumericDigit
        )
    }

    /// Whether column statistics say if value protection was on.
    pub(crate) fn records_protection(self) -> bool {
        !matches!(self, Self::NumericAuto | Self::Character | Self::LatLong)
    }
}

impl fmt::Display for EncodingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EncodingType {
    type Err = EncodeError;

    /// Reads a full name, or one without `TABULAR_`, in any case: `TABULAR_NUMERIC_DIGIT`, `numeric_digit`.
    fn from_str(name: &str) -> Result<Self, EncodeError> {
        let wanted = name.trim().to_ascii_uppercase().replace('-', "_");
        Self::ALL
            .into_iter()
            .find(|t| t.name() == wanted || t.name().strip_prefix("TABULAR_") == Some(&wanted))
            .ok_or_else(|| EncodeError::UnknownEncoding { name: shorten(name) })
    }
}

/// The encoding of a column for which none was asked: numbers are `NumericAuto`, dates and timestamps
/// `Datetime`, everything else (decimals too) `Categorical`.
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
        | Values::Float64(_) => EncodingType::NumericAuto,
        Values::Date(_) | Values::Timestamp { .. } => EncodingType::Datetime,
        Values::Null(_) | Values::Boolean(_) | Values::Decimal { .. } | Values::Text(_) => {
            EncodingType::Categorical
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_full_and_short() {
        for encoding in EncodingType::ALL {
            assert_eq!(encoding.name().parse(), Ok(encoding));
            assert_eq!(encoding.name().to_lowercase().parse(), Ok(encoding));
            let json = serde_json::to_string(&encoding).unwrap();
            assert_eq!(json, format!("\"{}\"", encoding.name()));
        }
        assert_eq!("categorical".parse(), Ok(EncodingType::Categorical));
        assert_eq!("Numeric-Digit".parse(), Ok(EncodingType::NumericDigit));
        assert_eq!("datetime".parse(), Ok(EncodingType::Datetime));
        assert_eq!("lat-long".parse(), Ok(EncodingType::LatLong));
        let error = "digits".parse::<EncodingType>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown encoding \"digits\"; the encodings are categorical, numeric_auto, numeric_discrete, \
             numeric_binned, numeric_digit, character, datetime, datetime_relative and lat_long"
        );
    }
}
