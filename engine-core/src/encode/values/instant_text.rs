//! Instants as text, in as many forms as show more and more of them.

use crate::calendar::date_of;

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
    use crate::calendar::days_of;

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
