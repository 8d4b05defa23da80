//! By whose rules values are read and protected, where ours are stricter than those of mostlyai-engine.

use serde::{Deserialize, Serialize};

/// By whose rules values are read and protected, where ours are stricter than those of mostlyai-engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Ours: all statistics of a column are protected, down to flags and ranges of digits. A text is a number or a date from end to end or
    /// not at all.
    #[default]
    Native,
    /// Those of mostlyai-engine 2.7.3, to compare with it: it protects values and extremes, and takes flags,
    /// ranges of digits and of the parts of dates, numbers of decimals and edges of bins from all rows. It takes the first number in a text
    /// for its number, guesses the century of a year of two digits, and has no digits beyond the 19th.
    #[serde(rename = "reference")]
    MostlyAi,
}

impl Compat {
    pub(crate) fn is_mostlyai(&self) -> bool {
        *self == Self::MostlyAi
    }

    /// What holds for statistics of others.
    pub(crate) fn mostlyai() -> Self {
        Self::MostlyAi
    }
}
