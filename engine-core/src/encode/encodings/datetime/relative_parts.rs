//! The parts of a start and of a step, and their ranges.

use serde::{Deserialize, Serialize};

use super::parts::split;

/// Number of parts of a start, of a step, and of both.
pub(crate) const START: usize = 6;
pub(crate) const STEP: usize = 5;
pub(crate) const PARTS: usize = START + STEP;
/// Seconds of the parts of a step.
pub(crate) const SECONDS: [i64; STEP] = [604_800, 86_400, 3_600, 60, 1];
/// Parts that dates alone have, of a start and of a step.
pub(crate) const OF_DATES: (usize, usize) = (3, 2);
/// Weeks from the year 1 to 9999.
pub(crate) const MAX_WEEKS: i64 = 521_723;

/// One value for every part of a subject's first instant and of the time since the row before ("itt",
/// inter-transaction time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelativeParts {
    /// Year of the first instant.
    pub start_year: i64,
    /// Month of it, 1 to 12.
    pub start_month: i64,
    /// Day of it, 1 to 31.
    pub start_day: i64,
    /// Hour of it, 0 to 23.
    pub start_hour: i64,
    /// Minute of it, 0 to 59.
    pub start_minute: i64,
    /// Second of it, 0 to 59.
    pub start_second: i64,
    /// Whole weeks since the row before.
    pub itt_week: i64,
    /// Days beyond them, 0 to 6.
    pub itt_day: i64,
    /// Hours, 0 to 23.
    pub itt_hour: i64,
    /// Minutes, 0 to 59.
    pub itt_minute: i64,
    /// Seconds, 0 to 59.
    pub itt_second: i64,
}

impl RelativeParts {
    pub(crate) const fn from_array(parts: [i64; PARTS]) -> Self {
        Self {
            start_year: parts[0],
            start_month: parts[1],
            start_day: parts[2],
            start_hour: parts[3],
            start_minute: parts[4],
            start_second: parts[5],
            itt_week: parts[6],
            itt_day: parts[7],
            itt_hour: parts[8],
            itt_minute: parts[9],
            itt_second: parts[10],
        }
    }

    pub(crate) const fn to_array(self) -> [i64; PARTS] {
        [
            self.start_year,
            self.start_month,
            self.start_day,
            self.start_hour,
            self.start_minute,
            self.start_second,
            self.itt_week,
            self.itt_day,
            self.itt_hour,
            self.itt_minute,
            self.itt_second,
        ]
    }
}

/// Least and greatest value of every part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranges {
    pub(crate) least: [i64; PARTS],
    pub(crate) greatest: [i64; PARTS],
}

impl Ranges {
    /// The ranges of columns without a single date.
    pub(crate) const NONE: Self = Self {
        least: [2022, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        greatest: [2022, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    };

    /// Sets the range of one part.
    pub(crate) fn set(&mut self, place: usize, (least, greatest): (i64, i64)) {
        self.least[place] = least;
        self.greatest[place] = greatest;
    }
}

/// The year to the second of an instant.
pub(crate) fn start_parts(micros: i64) -> [i64; START] {
    let [year, month, day, hour, minute, second, ..] = split(micros);
    [year, month, day, hour, minute, second]
}

/// Weeks to seconds of a step in milliseconds, without its sign.
pub(crate) fn step_parts(millis: i64) -> [i64; STEP] {
    let mut rest = millis.abs() / 1_000;
    SECONDS.map(|seconds| {
        let part = rest / seconds;
        rest %= seconds;
        part
    })
}
