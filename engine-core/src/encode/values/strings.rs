//! String forms of values: what categories are made of.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::decimal::Decimal;
use super::instant_text::{Form, date_text, instant_text};
use crate::schema::{Column, TimeUnit, Values};

/// Writes a number the way Python does: `1.0`, `1e-05`, `1.5e+16`; positional from 1e-4 to below 1e16.
pub(crate) fn write_float(out: &mut String, value: f64) {
    if !value.is_finite() {
        out.push_str(if value.is_nan() {
            "nan"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        });
        return;
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    write_decimal(out, Decimal::shortest(value));
}

/// A number the way Python writes it.
pub(crate) fn float_text(value: f64) -> String {
    let mut text = String::new();
    write_float(&mut text, value);
    text
}

/// Writes a decimal positionally, with at least one decimal, or in scientific form when it is large or tiny.
fn write_decimal(out: &mut String, decimal: Decimal) {
    let digits = decimal.mantissa.to_string();
    // Digits before the point; 1 for 1.5, -6 for 1.5e-7.
    let point = digits.len() as i32 + decimal.exponent;
    if decimal.mantissa == 0 {
        out.push_str("0.0");
    } else if !(-3..=16).contains(&point) {
        out.push_str(&digits[..1]);
        if digits.len() > 1 {
            out.push('.');
            out.push_str(&digits[1..]);
        }
        let exponent = point - 1;
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to a String never fails.
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
    } else if point <= 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', -point as usize));
        out.push_str(&digits);
    } else if (point as usize) < digits.len() {
        out.push_str(&digits[..point as usize]);
        out.push('.');
        out.push_str(&digits[point as usize..]);
    } else {
        out.push_str(&digits);
        out.extend(std::iter::repeat_n('0', point as usize - digits.len()));
        out.push_str(".0");
    }
}

/// A decimal as it is written: `unscaled * 10^-scale` with all its decimals.
pub(crate) fn decimal_text(unscaled: i128, scale: i8) -> String {
    let digits = unscaled.unsigned_abs().to_string();
    let sign = if unscaled < 0 { "-" } else { "" };
    match usize::try_from(scale) {
        Ok(0) => format!("{sign}{digits}"),
        Ok(scale) => {
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, decimals) = padded.split_at(padded.len() - scale);
            format!("{sign}{whole}.{decimals}")
        }
        Err(_) if unscaled == 0 => "0".to_owned(),
        Err(_) => format!("{sign}{digits}{}", "0".repeat(usize::from(scale.unsigned_abs()))),
    }
}

/// A fast hash for short keys of the user's own table (Fx: rotate, xor, multiply).
#[derive(Default, Clone, Copy)]
pub(crate) struct Fx(u64);

impl Fx {
    #[inline]
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95);
    }
}

impl Hasher for Fx {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.add(u64::from_le_bytes(last) ^ (rest.len() as u64) << 56);
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.add(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The table takes its bits from both ends; multiplication mixes upwards only.
        self.0 ^ (self.0 >> 32)
    }
}

/// A hash map with the fast hash.
pub(crate) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Fx>>;

/// A column as indices into its distinct texts.
pub(crate) struct Interned<'a> {
    /// Index into `texts` by row; [`NULL_INDEX`] where null.
    pub(crate) indices: Vec<u32>,
    /// The distinct texts in order of first appearance.
    pub(crate) texts: Vec<Cow<'a, str>>,
}

impl Interned<'_> {
    /// How many rows hold a text that `is_counted` says, by its index.
    pub(crate) fn count(&self, is_counted: impl Fn(usize) -> bool) -> u64 {
        if !(0..self.texts.len()).any(&is_counted) {
            return 0;
        }
        let values = self.indices.iter().filter(|&&index| index != NULL_INDEX);
        values.filter(|&&index| is_counted(index as usize)).count() as u64
    }
}

/// Index of a null in [`Interned`].
pub(crate) const NULL_INDEX: u32 = u32::MAX;

/// The distinct string forms of a column. NaN is null.
pub(crate) fn intern<'a>(column: &Column<'a>) -> Interned<'a> {
    match column.values {
        Values::Null(rows) => Interned {
            indices: vec![NULL_INDEX; rows],
            texts: Vec::new(),
        },
        Values::Boolean(v) => {
            let text = |b: bool| if b { "True" } else { "False" }.into();
            intern_by(column, |row| Some(v.get(row)), text)
        }
        Values::Int8(v) => intern_by(column, |row| Some(v[row]), int_text),
        Values::Int16(v) => intern_by(column, |row| Some(v[row]), int_text),
        Values::Int32(v) => intern_by(column, |row| Some(v[row]), int_text),
        Values::Int64(v) => intern_by(column, |row| Some(v[row]), int_text),
        Values::UInt8(v) => intern_by(column, |row| Some(v[row]), int_text),
        Values::UInt16(v) => intern_by(column, |row| Some(v[row]), int_text),
        Values::UInt32(v) => intern_by(column, |row| Some(v[row]), int_text),
        Values::UInt64(v) => intern_by(column, |row| Some(v[row]), int_text),
        Values::Float32(v) => {
            let key = |row: usize| (!v[row].is_nan()).then_some(u64::from(v[row].to_bits()));
            intern_by(column, key, |bits| {
                float32_text(f32::from_bits(bits as u32)).into()
            })
        }
        Values::Float64(v) => {
            let key = |row: usize| (!v[row].is_nan()).then_some(v[row].to_bits());
            intern_by(column, key, |bits| float_text(f64::from_bits(bits)).into())
        }
        Values::Decimal { unscaled, scale } => intern_by(
            column,
            |row| Some(unscaled[row]),
            |value| decimal_text(value, scale).into(),
        ),
        Values::Date(days) => {
            let text = |day: i32| date_text(i64::from(day)).into();
            intern_by(column, |row| Some(days[row]), text)
        }
        Values::Timestamp { ticks, unit, zoned } => {
            let form = timestamp_form(column, ticks, unit);
            let form = if zoned { form.max(Form::Seconds) } else { form };
            let text = |tick: i64| timestamp_text(tick, unit, zoned, form).into();
            intern_by(column, |row| Some(ticks[row]), text)
        }
        Values::Text(texts) => intern_by(
            column,
            |row| Some(TextKey::new(texts.get(row))),
            |key| key.text.into(),
        ),
    }
}

/// A text as a key of a map. Most categories are short: their bytes are held in two numbers, which overlap for some lengths, so that they
/// are hashed and compared without a loop over memory.
#[derive(Clone, Copy)]
struct TextKey<'a> {
    first: u64,
    last: u64,
    text: &'a str,
}

impl<'a> TextKey<'a> {
    /// Bytes that the two numbers hold at most.
    const HELD: usize = 16;

    #[inline]
    fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let (first, last) = match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (bytes.first_chunk(), bytes.last_chunk()) {
                (Some(first), Some(last)) => (
                    u64::from(u32::from_le_bytes(*first)),
                    u64::from(u32::from_le_bytes(*last)),
                ),
                // At most three bytes: the first, the middle and the last one are all.
                _ => match bytes {
                    [] => (0, 0),
                    [first, .., last] => (
                        u64::from(*first) | u64::from(bytes[bytes.len() / 2]) << 8,
                        u64::from(*last),
                    ),
                    [only] => (u64::from(*only), 0),
                },
            },
        };
        Self { first, last, text }
    }
}

impl PartialEq for TextKey<'_> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        (self.first, self.last, self.text.len()) == (other.first, other.last, other.text.len())
            && (self.text.len() <= Self::HELD || self.text == other.text)
    }
}

impl Eq for TextKey<'_> {}

impl Hash for TextKey<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.first);
        state.write_u64(self.last ^ (self.text.len() as u64) << 56);
        if self.text.len() > Self::HELD {
            state.write(self.text.as_bytes());
        }
    }
}

fn int_text<'a>(value: impl ToString) -> Cow<'a, str> {
    value.to_string().into()
}

fn float32_text(value: f32) -> String {
    if !value.is_finite() {
        return float_text(f64::from(value));
    }
    let mut text = String::from(if value.is_sign_negative() { "-" } else { "" });
    write_decimal(&mut text, Decimal::shortest_f32(value));
    text
}

/// Indices of keys in order of first appearance; each distinct key is turned into text once. A key of `None`
/// is null.
fn intern_by<'a, K: Copy + Eq + Hash>(
    column: &Column<'a>,
    key: impl Fn(usize) -> Option<K>,
    text: impl Fn(K) -> Cow<'a, str>,
) -> Interned<'a> {
    let mut seen: FastMap<K, u32> = FastMap::default();
    let mut texts = Vec::new();
    let mut index_of = |row: usize| {
        let Some(key) = key(row) else {
            return NULL_INDEX;
        };
        if let Some(&index) = seen.get(&key) {
            return index;
        }
        let index = texts.len() as u32;
        texts.push(text(key));
        seen.insert(key, index);
        index
    };
    let rows = 0..column.len();
    let indices = match column.validity {
        None => rows.map(&mut index_of).collect(),
        Some(valid) => {
            let index = |row| if valid.get(row) { index_of(row) } else { NULL_INDEX };
            rows.map(index).collect()
        }
    };
    Interned { indices, texts }
}

/// Nanoseconds within the second and the seconds since 1970 of a tick.
fn split_tick(tick: i64, unit: TimeUnit) -> (i64, u32) {
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let nanos = tick.rem_euclid(per_second) * (1_000_000_000 / per_second);
    (tick.div_euclid(per_second), nanos as u32)
}

/// The shortest form that shows all instants of a column: dates when all are midnight, else times with as
/// many digits of the second as are needed.
fn timestamp_form(column: &Column<'_>, ticks: &[i64], unit: TimeUnit) -> Form {
    let valid = (0..ticks.len()).filter(|&row| column.is_valid(row));
    let forms = valid.map(|row| {
        let (seconds, nanos) = split_tick(ticks[row], unit);
        Form::of(seconds, nanos)
    });
    forms.max().unwrap_or(Form::Date)
}

fn timestamp_text(tick: i64, unit: TimeUnit, zoned: bool, form: Form) -> String {
    let (seconds, nanos) = split_tick(tick, unit);
    let mut text = instant_text(seconds, nanos, form);
    if zoned {
        text.push_str("+00:00");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Bitmap, Offsets, TextValues};

    #[test]
    fn floats_are_written_as_in_python() {
        for (value, text) in [
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (1e-5, "1e-05"),
            (0.1 + 0.2, "0.30000000000000004"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1.5e-7, "1.5e-07"),
            (1e100, "1e+100"),
            (123.456, "123.456"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(float_text(value), text);
        }
        assert_eq!(float32_text(0.1), "0.1");
        assert_eq!(float32_text(-2.5), "-2.5");
    }

    #[test]
    fn decimals_keep_their_zeros() {
        assert_eq!(decimal_text(120, 2), "1.20");
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(7, 0), "7");
        assert_eq!(decimal_text(7, -2), "700");
    }

    #[test]
    fn keys_of_texts_are_equal_where_the_texts_are() {
        let hash = |key: &TextKey<'_>| {
            let mut state = Fx::default();
            key.hash(&mut state);
            state.finish()
        };
        for len in 0..40 {
            let text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop"[..len].to_owned();
            let (key, copy) = (TextKey::new(&text), text.clone());
            assert!(key == TextKey::new(&copy) && hash(&key) == hash(&TextKey::new(&copy)));
            for at in 0..len {
                let mut other = text.clone();
                other.replace_range(at..=at, "#");
                assert!(key != TextKey::new(&other), "{text:?} and {other:?}");
                assert_ne!(hash(&key), hash(&TextKey::new(&other)), "{text:?} and {other:?}");
            }
            let longer = format!("{text}\0");
            assert!(key != TextKey::new(&longer), "{text:?} and a zero behind it");
        }
    }

    fn texts(column: &Column<'_>) -> Vec<Option<String>> {
        let interned = intern(column);
        let text = |&i: &u32| (i != NULL_INDEX).then(|| interned.texts[i as usize].to_string());
        interned.indices.iter().map(text).collect()
    }

    fn column<'a>(values: Values<'a>, validity: Option<Bitmap<'a>>) -> Column<'a> {
        Column {
            name: "x",
            values,
            validity,
        }
    }

    #[test]
    fn values_have_string_forms() {
        let validity = Bitmap::new(&[0b101], 0, 3);
        let text = |s: &str| Some(s.to_owned());
        let ints = column(Values::Int32(&[7, 1, -3]), validity);
        assert_eq!(texts(&ints), [text("7"), None, text("-3")]);
        let floats = column(Values::Float64(&[1.0, f64::NAN, 1e-5]), None);
        assert_eq!(texts(&floats), [text("1.0"), None, text("1e-05")]);
        let flags = column(Values::Boolean(Bitmap::new(&[0b10], 0, 2).unwrap()), None);
        assert_eq!(texts(&flags), [text("False"), text("True")]);
        let words = TextValues::new(Offsets::Small(&[0, 1, 1, 3]), "abc");
        assert_eq!(
            texts(&column(Values::Text(words), None)),
            [text("a"), text(""), text("bc")]
        );
    }

    #[test]
    fn timestamps_share_one_form() {
        let text = |s: &str| Some(s.to_owned());
        fn stamps(ticks: &[i64], validity: Option<Bitmap<'_>>) -> Vec<Option<String>> {
            let values = Values::Timestamp {
                ticks,
                unit: TimeUnit::Millisecond,
                zoned: false,
            };
            texts(&column(values, validity))
        }
        let day = 1_577_836_800_000; // 2020-01-01
        assert_eq!(
            stamps(&[day, 1], Bitmap::new(&[0b01], 0, 2)),
            [text("2020-01-01"), None]
        );
        assert_eq!(
            stamps(&[day + 3_723_000, day], None),
            [text("2020-01-01 01:02:03"), text("2020-01-01 00:00:00")]
        );
        assert_eq!(
            stamps(&[day + 50, day], None),
            [text("2020-01-01 00:00:00.050"), text("2020-01-01 00:00:00.000")]
        );
    }
}
