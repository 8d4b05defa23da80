//! The encodings of the language model, which this version knows by name only: files of mostlyai-engine have them.

use crate::encode::EncodingType;

impl EncodingType {
    /// Free text of the language model.
    pub const LANGUAGE_TEXT: Self = Self::named("LANGUAGE_TEXT");
    /// Categories of the language model.
    pub const LANGUAGE_CATEGORICAL: Self = Self::named("LANGUAGE_CATEGORICAL");
    /// Numbers of the language model.
    pub const LANGUAGE_NUMERIC: Self = Self::named("LANGUAGE_NUMERIC");
    /// Dates of the language model.
    pub const LANGUAGE_DATETIME: Self = Self::named("LANGUAGE_DATETIME");
}

/// All of them.
pub(crate) const NAMES: [EncodingType; 4] = [
    EncodingType::LANGUAGE_TEXT,
    EncodingType::LANGUAGE_CATEGORICAL,
    EncodingType::LANGUAGE_NUMERIC,
    EncodingType::LANGUAGE_DATETIME,
];
