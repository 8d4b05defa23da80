//! What one field of a CSV file could be, by its bytes alone.

use crate::data::written::iso::{self, TimeShape};
use crate::data::written::{DateShape, date_shape};

/// What a field could be. Spaces around it do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    /// A whole number that fits 64 bits, without leading zeros or a plus sign.
    Integer,
    /// A number with a point or an exponent.
    Number(NumberShape),
    /// `nan` in any case.
    NotANumber,
    /// `inf` or `infinity` in any case, or a number that is too large for double precision.
    Infinite,
    /// `YYYY-MM-DD`.
    Date,
    /// Date and time of day.
    DateTime(TimeShape<'a>),
    /// A date that is not written so, with a time of day or without.
    OtherDate(DateShape, Option<TimeShape<'a>>),
    /// `true` or `false`.
    Boolean(Casing),
    /// Everything else.
    Text,
}

/// How one number was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NumberShape {
    /// Digits after the point, before the exponent.
    pub(super) decimals: u8,
    /// Whether the point has no digit before it.
    pub(super) bare_point: bool,
    /// The exponent, when there is one.
    pub(super) exponent: Option<ExponentShape>,
}

/// How one exponent was written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ExponentShape {
    /// Whether the letter is `E`.
    pub(super) upper: bool,
    /// Its sign: `+`, `-` or none.
    pub(super) sign: Option<u8>,
    /// Number of its digits.
    pub(super) digits: u8,
    /// Whether Python would write the value with one.
    pub(super) extreme: bool,
}

/// How a boolean is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Casing {
    /// `true`, `false`.
    Lower,
    /// `True`, `False`.
    Title,
    /// `TRUE`, `FALSE`.
    Upper,
}

impl Casing {
    /// The words for true and false.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Lower => ("true", "false"),
            Self::Title => ("True", "False"),
            Self::Upper => ("TRUE", "FALSE"),
        }
    }
}

/// A field without the spaces around it, and how many stood before and after it.
pub(super) fn trim(field: &[u8]) -> (&[u8], usize, usize) {
    let before = field.iter().take_while(|&&b| b == b' ').count();
    let rest = &field[before..];
    let after = rest.iter().rev().take_while(|&&b| b == b' ').count();
    (&rest[..rest.len() - after], before, after)
}

/// What a field that is not empty, without spaces around it, could be.
pub(super) fn classify(field: &[u8]) -> Token<'_> {
    match field.first() {
        Some(b'0'..=b'9' | b'-' | b'.') => classify_numeric(field),
        Some(b't' | b'f' | b'T' | b'F') => {
            boolean(field).map_or(Token::Text, |(_, casing)| Token::Boolean(casing))
        }
        Some(b'n' | b'N') if is_not_a_number(field) => Token::NotANumber,
        Some(b'i' | b'I' | b'+') if is_infinite(field) => Token::Infinite,
        _ => Token::Text,
    }
}

/// The value and casing of a boolean.
pub(super) fn boolean(field: &[u8]) -> Option<(bool, Casing)> {
    Some(match field {
        b"true" => (true, Casing::Lower),
        b"false" => (false, Casing::Lower),
        b"True" => (true, Casing::Title),
        b"False" => (false, Casing::Title),
        b"TRUE" => (true, Casing::Upper),
        b"FALSE" => (false, Casing::Upper),
        _ => return None,
    })
}

/// The value of an [`Token::Integer`].
pub(super) fn integer(field: &[u8]) -> Option<i64> {
    let (negative, digits) = match field {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let leading_zero = digits.len() > 1 && digits[0] == b'0';
    if digits.is_empty() || digits.len() > 19 || leading_zero {
        return None;
    }
    // Nineteen digits stay below 1e19, which a u64 holds.
    let mut size = 0_u64;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        size = size * 10 + u64::from(digit);
    }
    if negative {
        0_i64.checked_sub_unsigned(size)
    } else {
        i64::try_from(size).ok()
    }
}

/// Whether a field says `nan`.
pub(super) fn is_not_a_number(field: &[u8]) -> bool {
    field.eq_ignore_ascii_case(b"nan")
}

fn is_infinite(field: &[u8]) -> bool {
    let unsigned = field
        .strip_prefix(b"-")
        .or_else(|| field.strip_prefix(b"+"))
        .unwrap_or(field);
    unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity")
}

fn classify_numeric(field: &[u8]) -> Token<'_> {
    if integer(field).is_some() {
        return Token::Integer;
    }
    if field.get(4) == Some(&b'-') && count_digits(field) == 4 {
        if iso::parse_date(field).is_some() {
            return Token::Date;
        }
        return iso::parse_date_time(field).map_or(Token::Text, |(_, shape)| Token::DateTime(shape));
    }
    if is_infinite(field) {
        return Token::Infinite;
    }
    number(field).or_else(|| other_date(field)).unwrap_or(Token::Text)
}

/// A date that is not in ISO form.
fn other_date(field: &[u8]) -> Option<Token<'_>> {
    let (shape, iso) = date_shape(field)?;
    if iso.len() == iso::DATE_LENGTH {
        return Some(Token::OtherDate(shape, None));
    }
    let (_, time) = iso::parse_date_time(&iso)?;
    // The zone is the end of the field as well.
    let zone = &field[field.len() - time.zone.len()..];
    Some(Token::OtherDate(shape, Some(TimeShape { zone, ..time })))
}

/// `-?(0|[1-9][0-9]*)?(\.[0-9]*)?([eE][+-]?[0-9]+)?` with a digit before the exponent, and a point or an exponent.
fn number(field: &[u8]) -> Option<Token<'_>> {
    let unsigned = field.strip_prefix(b"-").unwrap_or(field);
    let whole = count_digits(unsigned);
    if whole > 1 && unsigned[0] == b'0' {
        return None;
    }
    let (decimals, point, rest) = match &unsigned[whole..] {
        [b'.', rest @ ..] => {
            let decimals = count_digits(rest);
            (decimals, true, &rest[decimals..])
        }
        rest => (0, false, rest),
    };
    if whole + decimals == 0 {
        return None;
    }
    let exponent = match rest {
        [] => None,
        [letter @ (b'e' | b'E'), rest @ ..] => Some(exponent(*letter, rest)?),
        _ => return None,
    };
    if !point && exponent.is_none() {
        // A whole number beyond 64 bits is rather a number of an account or the like.
        return None;
    }
    let mut shape = NumberShape {
        decimals: decimals.min(usize::from(u8::MAX)) as u8,
        bare_point: whole == 0,
        exponent,
    };
    if exponent.is_some() || whole > 300 {
        let value: f64 = std::str::from_utf8(field).ok()?.parse().ok()?;
        if value.is_infinite() {
            return Some(Token::Infinite);
        }
        if let Some(exponent) = &mut shape.exponent {
            exponent.extreme = value != 0.0 && !(1e-4..1e16).contains(&value.abs());
        }
    }
    Some(Token::Number(shape))
}

fn exponent(letter: u8, text: &[u8]) -> Option<ExponentShape> {
    let (sign, digits) = match text {
        [sign @ (b'+' | b'-'), digits @ ..] => (Some(*sign), digits),
        digits => (None, digits),
    };
    let valid = !digits.is_empty() && digits.len() <= 9 && count_digits(digits) == digits.len();
    let digits = digits.len() as u8;
    valid.then_some(ExponentShape {
        upper: letter == b'E',
        sign,
        digits,
        extreme: false,
    })
}

fn count_digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_number(text: &str) -> bool {
        matches!(classify(text.as_bytes()), Token::Number(_))
    }

    #[test]
    fn whole_numbers_have_no_leading_zeros_and_fit_64_bits() {
        for yes in [
            "0",
            "-0",
            "7",
            "-12",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            assert_eq!(classify(yes.as_bytes()), Token::Integer, "{yes}");
            assert_eq!(integer(yes.as_bytes()), Some(yes.parse().unwrap()));
        }
        for no in [
            "007",
            "-01",
            "00",
            "+5",
            "1,234",
            "1_000",
            "9223372036854775808",
            "-9223372036854775809",
            "-",
            "0x1F",
        ] {
            assert_eq!(classify(no.as_bytes()), Token::Text, "{no}");
        }
        assert_eq!(classify("1".repeat(400).as_bytes()), Token::Text);
    }

    #[test]
    fn numbers_have_a_point_or_an_exponent() {
        for yes in [
            "0.5",
            "-0.5",
            "1.50",
            "5.",
            ".5",
            "1e5",
            "-1.5E+10",
            "1e-05",
            "1.5e-07",
            "123e-5",
            "12345678901234567890.5",
        ] {
            assert!(is_number(yes), "{yes}");
        }
        for no in [
            "00.5", ".", "-.", "1e", "1e+", "1.2.3", "1,5", "1.5f", "--1.5", "1.5-", "e5",
        ] {
            assert_eq!(classify(no.as_bytes()), Token::Text, "{no}");
        }
        let Token::Number(shape) = classify(b"-.250E-07") else {
            panic!("a number")
        };
        let exponent = ExponentShape {
            upper: true,
            sign: Some(b'-'),
            digits: 2,
            extreme: true,
        };
        assert_eq!(
            shape,
            NumberShape {
                decimals: 3,
                bare_point: true,
                exponent: Some(exponent)
            }
        );
    }

    #[test]
    fn what_is_not_finite_is_known() {
        for yes in ["inf", "-inf", "+Inf", "Infinity", "-INFINITY", "1e999", "-1e999"] {
            assert_eq!(classify(yes.as_bytes()), Token::Infinite, "{yes}");
        }
        assert_eq!(
            classify(format!("{}.0", "9".repeat(310)).as_bytes()),
            Token::Infinite
        );
        for yes in ["nan", "NaN", "NAN"] {
            assert_eq!(classify(yes.as_bytes()), Token::NotANumber, "{yes}");
        }
        for no in ["na", "NA", "nano", "info", "in", "+"] {
            assert_eq!(classify(no.as_bytes()), Token::Text, "{no}");
        }
    }

    #[test]
    fn dates_and_booleans_are_known() {
        assert_eq!(classify(b"2024-02-29"), Token::Date);
        assert_eq!(classify(b"2023-02-29"), Token::Text);
        assert!(matches!(classify(b"2024-02-29T10:00"), Token::DateTime(_)));
        assert_eq!(classify(b"TRUE"), Token::Boolean(Casing::Upper));
        assert_eq!(classify(b"tRUE"), Token::Text);
        assert_eq!(classify(b"t"), Token::Text);
    }

    #[test]
    fn spaces_around_are_counted() {
        assert_eq!(trim(b"  5 "), (&b"5"[..], 2, 1));
        assert_eq!(trim(b"  "), (&b""[..], 2, 0));
    }
}
