//! ISO 8601 dates and instants as text: reading both, and writing dates.

use engine_core::calendar::{date_of, days_in_month, days_of};

/// Seconds of a day.
pub(super) const SECONDS_PER_DAY: i64 = 86_400;
/// Length of `YYYY-MM-DD`.
pub(in crate::data) const DATE_LENGTH: usize = 10;

/// How one date with a time of day was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) struct TimeShape<'a> {
    /// `T` or a space.
    pub(in crate::data) separator: u8,
    /// Whether there are seconds.
    pub(in crate::data) seconds: bool,
    /// Number of decimals of the seconds.
    pub(in crate::data) decimals: u8,
    /// What follows the time: nothing, `Z`, or an offset.
    pub(in crate::data) zone: &'a [u8],
    /// Whether the time of day is midnight as written.
    pub(in crate::data) midnight: bool,
}

/// Days since 1970-01-01 of `YYYY-MM-DD` from the year 1 on; `None` when it is something else or no day of the calendar.
pub(in crate::data) fn parse_date(text: &[u8]) -> Option<i32> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    let year = i64::from(two_digits(y1, y2)?) * 100 + i64::from(two_digits(y3, y4)?);
    let (month, day) = (i64::from(two_digits(m1, m2)?), i64::from(two_digits(d1, d2)?));
    let valid = year >= 1 && (1..=12).contains(&month) && day >= 1 && day <= days_in_month(year, month);
    // Four digits of a year fit an i32 of days.
    valid.then(|| days_of(year, month, day) as i32)
}

/// Microseconds since 1970-01-01 00:00 (UTC when there is a zone) of `YYYY-MM-DD`, `T` or a space, `HH:MM[:SS[.f]]` and
/// a zone or none, with the way it was written. Decimals beyond the sixth are cut off.
pub(in crate::data) fn parse_date_time(text: &[u8]) -> Option<(i64, TimeShape<'_>)> {
    let (date, rest) = text.split_at_checked(10)?;
    let days = parse_date(date)?;
    let &[separator @ (b'T' | b' '), h1, h2, b':', m1, m2, ref rest @ ..] = rest else {
        return None;
    };
    let (hour, minute) = (two_digits(h1, h2)?, two_digits(m1, m2)?);
    let (second, rest) = match rest {
        &[b':', s1, s2, ref rest @ ..] => (Some(two_digits(s1, s2)?), rest),
        rest => (None, rest),
    };
    if hour > 23 || minute > 59 || second.is_some_and(|s| s > 59) {
        return None;
    }
    let (micros, decimals, zone) = match rest {
        [b'.', fraction @ ..] if second.is_some() => parse_fraction(fraction)?,
        zone => (0, 0, zone),
    };
    let offset = if zone.is_empty() { 0 } else { parse_zone(zone)? };
    let of_day = hour * 3_600 + minute * 60 + second.unwrap_or(0);
    let seconds = i64::from(days) * SECONDS_PER_DAY + i64::from(of_day) - i64::from(offset) * 60;
    let midnight = of_day == 0 && micros == 0;
    let shape = TimeShape {
        separator,
        seconds: second.is_some(),
        decimals,
        zone,
        midnight,
    };
    Some((seconds * 1_000_000 + micros, shape))
}

/// Microseconds, number of decimals and what follows them; one to nine decimals.
fn parse_fraction(text: &[u8]) -> Option<(i64, u8, &[u8])> {
    let decimals = text.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=9).contains(&decimals) {
        return None;
    }
    let micros = (0..6).fold(0, |sum, i| {
        let digit = if i < decimals { text[i] - b'0' } else { 0 };
        sum * 10 + i64::from(digit)
    });
    Some((micros, decimals as u8, &text[decimals..]))
}

/// Nanoseconds beyond the last microsecond of a date with a time of day: what [`parse_date_time`] cuts off.
pub(in crate::data) fn nanos_beyond_micros(text: &[u8]) -> i64 {
    let fraction = memchr::memchr(b'.', text).map_or(&[][..], |at| &text[at + 1..]);
    let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
    (6..9).fold(0, |sum, i| {
        let digit = if i < digits { fraction[i] - b'0' } else { 0 };
        sum * 10 + i64::from(digit)
    })
}

/// Minutes east of UTC of a zone: `Z`, `UTC` or `+HH[[:]MM]`, with a space before it or none.
pub(in crate::data) fn parse_zone(zone: &[u8]) -> Option<i32> {
    let zone = zone.strip_prefix(b" ").unwrap_or(zone);
    if matches!(zone, b"Z" | b"UTC") {
        return Some(0);
    }
    let (sign, hours, minutes) = match *zone {
        [sign, h1, h2] => (sign, two_digits(h1, h2)?, 0),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => {
            (sign, two_digits(h1, h2)?, two_digits(m1, m2)?)
        }
        _ => return None,
    };
    let total = (hours <= 23 && minutes <= 59).then_some(hours as i32 * 60 + minutes as i32)?;
    match sign {
        b'+' => Some(total),
        b'-' => Some(-total),
        _ => None,
    }
}

/// Writes `YYYY-MM-DD`; a year outside 0..=9999 takes as many digits as it needs.
pub(in crate::data) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = date_of(days);
    if (0..=9_999).contains(&year) {
        push_two(year as u32 / 100, out);
        push_two(year as u32 % 100, out);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes());
    }
    out.push(b'-');
    push_two(month as u32, out);
    out.push(b'-');
    push_two(day as u32, out);
}

fn two_digits(tens: u8, ones: u8) -> Option<u32> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
}

/// Writes the last two digits of a number.
pub(super) fn push_two(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_of_the_calendar_are_dates() {
        assert_eq!(parse_date(b"1970-01-02"), Some(1));
        assert_eq!(parse_date(b"2024-02-29"), Some(19_782));
        for no in [
            "0000-01-01",
            "2023-02-29",
            "2023-04-31",
            "2023-00-10",
            "2023-13-10",
            "2023-1-1",
            "2023/01/01",
            "20230101",
            "x",
        ] {
            assert_eq!(parse_date(no.as_bytes()), None, "{no}");
        }
    }

    #[test]
    fn instants_are_read_with_their_zone() {
        let micros = |text: &str| parse_date_time(text.as_bytes()).map(|(m, _)| m);
        assert_eq!(micros("1970-01-01 00:00"), Some(0));
        assert_eq!(micros("1970-01-01T00:00:01.5"), Some(1_500_000));
        assert_eq!(micros("1970-01-01T02:00:00+02:00"), Some(0));
        assert_eq!(micros("1970-01-01T00:00:00-0130"), Some(5_400_000_000));
        assert_eq!(micros("1970-01-01 00:00:00.123456789 UTC"), Some(123_456));
        assert_eq!(nanos_beyond_micros(b"1970-01-01 00:00:00.123456789 UTC"), 789);
        assert_eq!(nanos_beyond_micros(b"1970-01-01 00:00:00.1234567Z"), 700);
        assert_eq!(nanos_beyond_micros(b"1970-01-01 00:00:00"), 0);
        for no in [
            "1970-01-01",
            "1970-01-01T24:00",
            "1970-01-01T00:60",
            "1970-01-01T00:00:60",
            "1970-01-01T00:00:00.",
            "1970-01-01T00:00.5",
            "1970-01-01T00:00:00.1234567890",
            "1970-01-01t00:00",
            "1970-01-01T00:00+2",
            "1970-01-01T00:00 ",
        ] {
            assert_eq!(micros(no), None, "{no}");
        }
    }
}
