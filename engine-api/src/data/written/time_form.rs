//! Instants as text, in the form of the table.

use super::iso::{SECONDS_PER_DAY, push_two, write_date};
use super::table_format::TimeForm;

/// Writes an instant, given as whole seconds since 1970-01-01 00:00 and nanoseconds, in `form`.
pub(in crate::data) fn write_date_time(
    seconds: i64,
    nanos: u32,
    form: &TimeForm,
    offset_minutes: i32,
    out: &mut Vec<u8>,
) {
    let local = seconds.saturating_add(i64::from(offset_minutes) * 60);
    let of_day = local.rem_euclid(SECONDS_PER_DAY) as u32;
    write_date(local.div_euclid(SECONDS_PER_DAY), out);
    if form.midnight_as_date && of_day == 0 && nanos == 0 {
        return;
    }
    out.push(form.separator as u8);
    write_time(of_day, nanos, form.seconds, &form.decimals, out);
    if let Some(zone) = &form.zone {
        out.extend_from_slice(zone.as_bytes());
    }
}

/// Writes a time of day, `HH:MM[:SS[.f]]`.
fn write_time(of_day: u32, nanos: u32, seconds: bool, decimals: &[u8], out: &mut Vec<u8>) {
    push_two(of_day / 3_600, out);
    out.push(b':');
    push_two(of_day / 60 % 60, out);
    if !seconds {
        return;
    }
    out.push(b':');
    push_two(of_day % 60, out);
    let digits: [u8; 9] = std::array::from_fn(|i| b'0' + (nanos / 10_u32.pow(8 - i as u32) % 10) as u8);
    let needed = 9 - digits.iter().rev().take_while(|&&d| d == b'0').count();
    let shown = decimals.iter().map(|&d| usize::from(d)).find(|&d| d >= needed);
    let shown = shown
        .or_else(|| decimals.last().map(|&d| usize::from(d)))
        .unwrap_or(0)
        .min(9);
    if shown > 0 {
        out.push(b'.');
        out.extend_from_slice(&digits[..shown]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::written::iso::{parse_date_time, parse_zone};

    #[test]
    fn instants_are_written_as_they_were() {
        for text in [
            "1969-12-31T23:59:59.999999",
            "2024-02-29 12:30",
            "2024-02-29 12:30:05",
            "2024-02-29T00:30:05.120Z",
            "2024-02-29T00:30:05+05:30",
            "0001-01-01 00:00:00 -0100",
        ] {
            let (micros, shape) = parse_date_time(text.as_bytes()).unwrap();
            let zone = (!shape.zone.is_empty()).then(|| String::from_utf8(shape.zone.to_vec()).unwrap());
            let offset = zone.as_ref().map_or(0, |z| parse_zone(z.as_bytes()).unwrap());
            let form = TimeForm {
                date: None,
                separator: shape.separator as char,
                seconds: shape.seconds,
                decimals: vec![shape.decimals],
                zone,
                midnight_as_date: false,
            };
            let mut out = Vec::new();
            let (seconds, rest) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
            write_date_time(seconds, rest as u32 * 1_000, &form, offset, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn decimals_of_seconds_are_the_least_number_that_shows_the_value() {
        let written = |nanos, decimals: &[u8]| {
            let mut out = Vec::new();
            write_time(1, nanos, true, decimals, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(0, &[0, 6]), "00:00:01");
        assert_eq!(written(500_000_000, &[0, 6]), "00:00:01.500000");
        assert_eq!(written(500_000_000, &[0, 3, 6, 9]), "00:00:01.500");
        assert_eq!(written(1, &[0, 3]), "00:00:01.000");
        assert_eq!(written(1, &[]), "00:00:01");
    }
}
