//! Numbers as text in a column's written form.

use super::table_format::{ExponentForm, ExponentUse, NumberForm};

/// Largest scaled value that [`write_scaled`] takes: below it, the errors of the product and of the value itself
/// together stay under one half, so the rounded product is the decimal value.
const EXACT_SCALED: f64 = (1_u64 << 50) as f64;
/// Most decimals whose power of ten times a small number stays below [`EXACT_SCALED`].
const MAX_SCALED_DECIMALS: u8 = 15;
const POWERS_OF_TEN: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// The form of numbers that come without one: as Python writes them.
pub(in crate::data) fn plain_form() -> NumberForm {
    let exponent = ExponentForm {
        used: ExponentUse::Extreme,
        upper: false,
        plus: true,
        digits: 2,
    };
    NumberForm {
        decimals: Vec::new(),
        bare_point: false,
        exponent: Some(exponent),
    }
}

/// Shortest digits that read back equal: the value is `0.DIGITS * 10^point`.
struct Digits {
    bytes: [u8; 24],
    len: usize,
    point: i32,
}

impl Digits {
    /// From a text such as `12.5`, `1e-7` or `1.25e20`, without sign.
    fn parse(text: &[u8]) -> Self {
        let (mantissa, exponent) = match text.iter().position(|&b| b == b'e') {
            Some(at) => (&text[..at], parse_exponent(&text[at + 1..])),
            None => (text, 0),
        };
        let mut digits = Self {
            bytes: [b'0'; 24],
            len: 0,
            point: exponent,
        };
        let mut whole = true;
        for &byte in mantissa {
            if byte == b'.' {
                whole = false;
                continue;
            }
            let leading_zero = byte == b'0' && digits.len == 0;
            if leading_zero {
                digits.point -= i32::from(!whole);
                continue;
            }
            digits.point += i32::from(whole);
            if digits.len < digits.bytes.len() {
                digits.bytes[digits.len] = byte;
                digits.len += 1;
            }
        }
        while digits.len > 0 && digits.bytes[digits.len - 1] == b'0' {
            digits.len -= 1;
        }
        if digits.len == 0 {
            digits.point = 0;
        }
        digits
    }

    fn digit(&self, at: i32) -> u8 {
        if (0..self.len as i32).contains(&at) {
            self.bytes[at as usize]
        } else {
            b'0'
        }
    }

    /// Decimals that a positional form needs.
    fn decimals(&self) -> i32 {
        (self.len as i32 - self.point).max(0)
    }

    fn write_positional(&self, decimals: i32, bare_point: bool, out: &mut Vec<u8>) {
        if self.point > 0 {
            (0..self.point).for_each(|at| out.push(self.digit(at)));
        } else if !(bare_point && decimals > 0) {
            out.push(b'0');
        }
        if decimals > 0 {
            out.push(b'.');
            (self.point..self.point + decimals).for_each(|at| out.push(self.digit(at)));
        }
    }

    fn write_exponential(&self, decimals: i32, form: ExponentForm, out: &mut Vec<u8>) {
        out.push(self.digit(0));
        if decimals > 0 {
            out.push(b'.');
            (1..=decimals).for_each(|at| out.push(self.digit(at)));
        }
        out.push(if form.upper { b'E' } else { b'e' });
        let exponent = if self.len == 0 { 0 } else { self.point - 1 };
        if exponent < 0 {
            out.push(b'-');
        } else if form.plus {
            out.push(b'+');
        }
        let mut buffer = itoa::Buffer::new();
        let shown = buffer.format(exponent.unsigned_abs()).as_bytes();
        (shown.len()..usize::from(form.digits)).for_each(|_| out.push(b'0'));
        out.extend_from_slice(shown);
    }
}

fn parse_exponent(text: &[u8]) -> i32 {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let size = digits.iter().fold(0, |sum, &d| sum * 10 + i32::from(d - b'0'));
    if negative { -size } else { size }
}

/// The smallest of `listed` that is at least `needed`, else the largest; without a list, what is needed, at least one.
fn shown_decimals(listed: &[u8], needed: i32) -> i32 {
    let fitting = listed.iter().map(|&d| i32::from(d)).find(|&d| d >= needed);
    fitting
        .or_else(|| listed.last().map(|&d| i32::from(d)))
        .unwrap_or(needed.max(1))
}

/// Writes a finite number in `form`.
pub(in crate::data) fn write_f64(value: f64, form: &NumberForm, out: &mut Vec<u8>) {
    if form.exponent.is_none() && write_scaled(value, form, out) {
        return;
    }
    write_digits(
        value,
        Digits::parse(zmij::Buffer::new().format_finite(value.abs()).as_bytes()),
        form,
        out,
    );
}

/// Writes a finite number of single precision in `form`.
pub(in crate::data) fn write_f32(value: f32, form: &NumberForm, out: &mut Vec<u8>) {
    let digits = Digits::parse(zmij::Buffer::new().format_finite(value.abs()).as_bytes());
    write_digits(f64::from(value), digits, form, out);
}

/// Writes a number whose multiple by a power of ten is small and whole, or is to be rounded to be so; says whether it
/// was one.
fn write_scaled(value: f64, form: &NumberForm, out: &mut Vec<u8>) -> bool {
    let Some(&max) = form.decimals.last() else {
        return false;
    };
    if max > MAX_SCALED_DECIMALS {
        return false;
    }
    let scaled = value.abs() * POWERS_OF_TEN[usize::from(max)];
    if scaled >= EXACT_SCALED {
        return false;
    }
    let mut scaled = scaled.round() as u64;
    let mut needed = i32::from(max);
    while needed > 0 && scaled.is_multiple_of(10) && form.decimals.len() > 1 {
        scaled /= 10;
        needed -= 1;
    }
    let decimals = shown_decimals(&form.decimals, needed);
    (needed..decimals).for_each(|_| scaled *= 10);
    // A value that rounds to zero loses its sign; a zero keeps the one that it has.
    if value.is_sign_negative() && (scaled > 0 || value == 0.0) {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(scaled).as_bytes();
    let decimals = decimals as usize;
    let whole = digits.len().saturating_sub(decimals);
    out.extend_from_slice(&digits[..whole]);
    if whole == 0 && !(form.bare_point && decimals > 0) {
        out.push(b'0');
    }
    if decimals > 0 {
        out.push(b'.');
        (digits.len()..decimals).for_each(|_| out.push(b'0'));
        out.extend_from_slice(&digits[whole..]);
    }
    true
}

fn write_digits(value: f64, digits: Digits, form: &NumberForm, out: &mut Vec<u8>) {
    if let Some(exponent) = form.exponent {
        let always = exponent.used == ExponentUse::Always;
        let size = value.abs();
        let extreme = size != 0.0 && !(1e-4..1e16).contains(&size);
        if always || exponent.used == ExponentUse::Extreme && extreme {
            return write_exponential(value, digits, form, exponent, out);
        }
        if exponent.used == ExponentUse::Shorter {
            let max = form.decimals.last().map_or(i32::MAX, |&d| i32::from(d));
            let rounded = digits.decimals() > max;
            let (mut positional, mut exponential) = (Vec::new(), Vec::new());
            write_positional(value, &digits, form, &mut positional);
            write_exponential(value, digits, form, exponent, &mut exponential);
            let shorter = exponential.len() < positional.len();
            return out.extend(if rounded || shorter {
                exponential
            } else {
                positional
            });
        }
    }
    write_positional(value, &digits, form, out);
}

fn write_positional(value: f64, digits: &Digits, form: &NumberForm, out: &mut Vec<u8>) {
    let needed = digits.decimals();
    let decimals = shown_decimals(&form.decimals, needed);
    if decimals >= needed {
        push_sign(value, digits, out);
        return digits.write_positional(decimals, form.bare_point, out);
    }
    let rounded = format!("{:.*}", decimals as usize, value.abs());
    let rounded = Digits::parse(rounded.as_bytes());
    push_sign(value, &rounded, out);
    rounded.write_positional(decimals, form.bare_point, out);
}

fn write_exponential(
    value: f64,
    digits: Digits,
    form: &NumberForm,
    exponent: ExponentForm,
    out: &mut Vec<u8>,
) {
    let needed = (digits.len as i32 - 1).max(0);
    if exponent.used != ExponentUse::Always {
        push_sign(value, &digits, out);
        return digits.write_exponential(needed, exponent, out);
    }
    let decimals = shown_decimals(&form.decimals, needed);
    push_sign(value, &digits, out);
    if decimals >= needed {
        return digits.write_exponential(decimals, exponent, out);
    }
    let rounded = format!("{:.*e}", decimals as usize, value.abs());
    Digits::parse(rounded.as_bytes()).write_exponential(decimals, exponent, out);
}

fn push_sign(value: f64, digits: &Digits, out: &mut Vec<u8>) {
    if value.is_sign_negative() && (digits.len > 0 || value == 0.0) {
        out.push(b'-');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: f64, form: &NumberForm) -> String {
        let mut out = Vec::new();
        write_f64(value, form, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn decimals(listed: &[u8]) -> NumberForm {
        NumberForm {
            decimals: listed.to_vec(),
            ..NumberForm::default()
        }
    }

    #[test]
    fn fixed_decimals_keep_trailing_zeros() {
        let two = decimals(&[2]);
        for (value, text) in [
            (11.77, "11.77"),
            (12.0, "12.00"),
            (0.2, "0.20"),
            (-0.05, "-0.05"),
            (-0.001, "0.00"),
            (-0.0, "-0.00"),
            (1e15, "1000000000000000.00"),
            (0.125, "0.13"),
            (123_456_789.999, "123456790.00"),
        ] {
            assert_eq!(written(value, &two), text);
        }
        assert_eq!(written(7.4, &decimals(&[0])), "7");
        assert_eq!(written(1e22, &decimals(&[0])), "10000000000000000000000");
    }

    #[test]
    fn the_least_number_of_listed_decimals_that_shows_the_value_is_taken() {
        let some = decimals(&[0, 2]);
        assert_eq!(written(12.0, &some), "12");
        assert_eq!(written(11.5, &some), "11.50");
        assert_eq!(written(11.777, &some), "11.78");
        assert_eq!(written(0.0, &some), "0");
        let any = decimals(&(0..=17).collect::<Vec<_>>());
        for text in [
            "0.1",
            "0.30000000000000004",
            "123456789.12345679",
            "5e-324",
            "100000",
            "0.001",
        ] {
            let value: f64 = text.parse().unwrap();
            let back: f64 = written(value, &any).parse().unwrap();
            if value > 1e-10 {
                assert_eq!(back.to_bits(), value.to_bits(), "{text}");
            }
        }
    }

    #[test]
    fn plain_numbers_look_like_those_of_python() {
        let plain = plain_form();
        for text in [
            "1.0",
            "0.0001",
            "1e-05",
            "1.5e+16",
            "1000000000000000.0",
            "-2.5",
            "0.0",
            "-0.0",
            "1e+100",
            "5e-324",
        ] {
            assert_eq!(written(text.parse().unwrap(), &plain), text);
        }
        let mut out = Vec::new();
        write_f32(0.1, &plain, &mut out);
        assert_eq!(out, b"0.1");
    }

    #[test]
    fn exponents_are_written_as_found() {
        let form = |used, decimals: &[u8], upper, plus, digits| NumberForm {
            decimals: decimals.to_vec(),
            bare_point: false,
            exponent: Some(ExponentForm {
                used,
                upper,
                plus,
                digits,
            }),
        };
        let always = form(ExponentUse::Always, &[3], true, true, 2);
        assert_eq!(written(123_456.0, &always), "1.235E+05");
        assert_eq!(written(0.0, &always), "0.000E+00");
        assert_eq!(written(-9.9996, &always), "-1.000E+01");
        let shorter = form(ExponentUse::Shorter, &[0, 1, 2, 3, 4, 5, 6], false, true, 2);
        assert_eq!(written(100_000.0, &shorter), "1e+05");
        assert_eq!(written(123_456.0, &shorter), "123456");
        assert_eq!(written(0.0001, &shorter), "1e-04");
        assert_eq!(written(0.001, &shorter), "0.001");
        assert_eq!(written(0.123456789, &shorter), "1.23456789e-01");
    }

    #[test]
    fn the_zero_before_the_point_can_be_left_out() {
        let bare = NumberForm {
            bare_point: true,
            ..decimals(&[3])
        };
        assert_eq!(written(0.312, &bare), ".312");
        assert_eq!(written(-0.5, &bare), "-.500");
        assert_eq!(written(1.25, &bare), "1.250");
    }

    #[test]
    fn both_paths_write_the_same_decimals() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let whole = (state >> 33) as f64 / 1e3;
            let digits = (state % 7) as u8;
            let text = format!("{whole:.*}", usize::from(digits));
            let value: f64 = text.parse().unwrap();
            assert_eq!(written(value, &decimals(&[digits])), text);
            let parsed = Digits::parse(zmij::Buffer::new().format_finite(value).as_bytes());
            let mut slow = Vec::new();
            write_digits(value, parsed, &decimals(&[digits]), &mut slow);
            assert_eq!(String::from_utf8(slow).unwrap(), text);
        }
    }
}
