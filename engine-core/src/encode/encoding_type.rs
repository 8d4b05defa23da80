//! The name of an encoding. Each encoding adds its own as a constant of [`EncodingType`] in its own file; which there are is known
//! to the registry alone, so that nothing here depends on an encoding.

use std::fmt;

use indexmap::IndexMap;
use serde::{Serialize, Serializer};

/// How a column becomes codes. In JSON each has its upper-case name, for instance `TABULAR_NUMERIC_DIGIT`; in messages, and where a
/// person types it, it is `numeric-digit`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EncodingType(&'static str);

/// The encodings of the columns of a model, in model order. Key columns and columns that are left out are not
/// in it.
pub type EncodingTypes = IndexMap<String, EncodingType>;

/// What the names of encodings of tables begin with in files.
const TABULAR: &str = "TABULAR_";

impl EncodingType {
    /// An encoding with this name in files.
    pub(crate) const fn named(name: &'static str) -> Self {
        Self(name)
    }

    /// The name in files, for instance `TABULAR_CATEGORICAL`.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// The name in files without `TABULAR_`.
    pub(super) fn short_name(self) -> &'static str {
        self.0.strip_prefix(TABULAR).unwrap_or(self.0)
    }
}

/// The name that a person reads and types, `numeric-digit`.
impl fmt::Display for EncodingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.short_name().to_ascii_lowercase().replace('_', "-"))
    }
}

impl fmt::Debug for EncodingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for EncodingType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}
