//! Dates and times: one sub-column per part, from the year to the last digit of the millisecond.

use serde::{Deserialize, Serialize};

use super::stats::Cardinalities;

/// One value for every part of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DateParts {
    /// Year.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Day, 1 to 31.
    pub day: i64,
    /// Hour, 0 to 23.
    pub hour: i64,
    /// Minute, 0 to 59.
    pub minute: i64,
    /// Second, 0 to 59.
    pub second: i64,
    /// Hundreds of milliseconds, 0 to 9.
    #[serde(rename = "ms_E2")]
    pub ms_e2: i64,
    /// Tens of milliseconds, 0 to 9.
    #[serde(rename = "ms_E1")]
    pub ms_e1: i64,
    /// Milliseconds, 0 to 9.
    #[serde(rename = "ms_E0")]
    pub ms_e0: i64,
}

/// Statistics of a column of dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatetimeStats {
    /// `nan` if there are nulls, `year`, `month`, `day`, with times `hour`, `minute`, `second`, with milliseconds
    /// `ms_E2`, `ms_E1`, `ms_E0`.
    pub cardinalities: Cardinalities,
    /// Whether there are nulls.
    pub has_nan: bool,
    /// Whether there are times of day.
    pub has_time: bool,
    /// Whether there are milliseconds.
    pub has_ms: bool,
    /// Least value of each part.
    pub min_values: DateParts,
    /// Greatest value of each part.
    pub max_values: DateParts,
    /// Least instant; `None` when value protection hides it or there is none.
    pub min: Option<String>,
    /// Greatest instant; `None` when value protection hides it or there is none.
    pub max: Option<String>,
}
