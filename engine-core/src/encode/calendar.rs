//! Civil dates: days since 1970-01-01 to and from year, month and day (the proleptic Gregorian calendar), and
//! instants as text.

/// Microseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// Days since 1970-01-01 of a date (Howard Hinnant, "chrono-compatible low-level date algorithms",
/// `days_from_civil`).
pub(crate) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970-01-01 (the same source, `civil_from_days`).
pub(crate) fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Number of days of a month.
pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// How an instant is written; a later form shows more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// `2020-01-31`.
    Date,
    /// `2020-01-31 10:20:30`.
    Seconds,
    /// `2020-01-31 10:20:30.123`.
    Millis,
    /// `2020-01-31 10:20:30.123456`.
    Micros,
    /// `2020-01-31 10:20:30.123456789`.
    Nanos,
}

impl Form {
    /// The shortest form that shows an instant wholly.
    pub(crate) fn of(seconds: i64, nanos: u32) -> Self {
        match nanos {
            0 if seconds.rem_euclid(86_400) == 0 => Self::Date,
            0 => Self::Seconds,
            n if n.is_multiple_of(1_000_000) => Self::Millis,
            n if n.is_multiple_of(1_000) => Self::Micros,
            _ => Self::Nanos,
        }
    }
}

/// A date, `2020-01-31`.
pub(crate) fn date_text(days: i64) -> String {
    let (year, month, day) = date_of(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// An instant (seconds since 1970-01-01 00:00 and nanoseconds within the second) in a form; what the form
/// does not show is cut off.
pub(crate) fn instant_text(seconds: i64, nanos: u32, form: Form) -> String {
    let date = date_text(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    match form {
        Form::Date => date,
        Form::Seconds => format!("{date} {hour:02}:{minute:02}:{second:02}"),
        Form::Millis => format!(
            "{date} {hour:02}:{minute:02}:{second:02}.{:03}",
            nanos / 1_000_000
        ),
        Form::Micros => format!("{date} {hour:02}:{minute:02}:{second:02}.{:06}", nanos / 1_000),
        Form::Nanos => format!("{date} {hour:02}:{minute:02}:{second:02}.{nanos:09}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        assert_eq!(days_of(1970, 1, 1), 0);
        assert_eq!(days_of(2000, 3, 1), 11_017);
        assert_eq!(date_of(-719_528), (0, 1, 1));
        for days in -800_000..800_000 {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
            assert!(
                (1..=days_in_month(year, month)).contains(&day),
                "{year}-{month}-{day}"
            );
        }
    }

    #[test]
    fn instants_are_written_in_any_form() {
        let seconds = days_of(2020, 1, 31) * 86_400 + 37_230;
        assert_eq!(instant_text(seconds, 5_000, Form::Date), "2020-01-31");
        assert_eq!(
            instant_text(seconds, 5_000, Form::Micros),
            "2020-01-31 10:20:30.000005"
        );
        assert_eq!(
            instant_text(-1, 999_000_000, Form::Millis),
            "1969-12-31 23:59:59.999"
        );
        assert_eq!(Form::of(seconds, 5_000), Form::Micros);
        assert_eq!(Form::of(86_400, 0), Form::Date);
    }
}
