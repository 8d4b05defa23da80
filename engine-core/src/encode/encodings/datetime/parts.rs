//! The parts of an instant, from the year to the last digit of the millisecond.

use serde::{Deserialize, Serialize};

use crate::calendar::{DAY, date_of, days_in_month, days_of};

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

impl DateParts {
    /// The parts of columns without a single date.
    pub(crate) const NONE: Self = Self::from_array([2022, 1, 1, 0, 0, 0, 0, 0, 0]);

    pub(crate) const fn from_array(
        [year, month, day, hour, minute, second, ms_e2, ms_e1, ms_e0]: [i64; 9],
    ) -> Self {
        Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
            ms_e2,
            ms_e1,
            ms_e0,
        }
    }

    pub(crate) fn to_array(self) -> [i64; 9] {
        [
            self.year,
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second,
            self.ms_e2,
            self.ms_e1,
            self.ms_e0,
        ]
    }
}

/// The parts of an instant.
pub(crate) fn split(micros: i64) -> [i64; 9] {
    let (year, month, day) = date_of(micros.div_euclid(DAY));
    let millis = micros.rem_euclid(DAY) / 1_000;
    let second = millis / 1_000;
    [
        year,
        month,
        day,
        second / 3_600,
        second / 60 % 60,
        second % 60,
        millis / 100 % 10,
        millis / 10 % 10,
        millis % 10,
    ]
}

/// The instant of parts; a day beyond the end of its month is the last of the month.
pub(crate) fn join([year, month, day, hour, minute, second, e2, e1, e0]: [i64; 9]) -> i64 {
    let days = days_of(year, month, day.min(days_in_month(year, month)));
    let millis = ((hour * 60 + minute) * 60 + second) * 1_000 + e2 * 100 + e1 * 10 + e0;
    days * DAY + millis * 1_000
}
