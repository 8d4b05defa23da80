//! Fields of columns that a model knows, read as the model's table was written.

use std::sync::Arc;

use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType};
use arrow_select::zip::zip;

use super::classify::{integer, is_not_a_number, trim};
use crate::data::arrow::{from_micros, from_texts};
use crate::data::written::{BooleanWords, ColumnFormat, DateForm, WrittenForm, iso};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The type that a column of the model is read as: dictionaries as their values.
pub(super) fn read_type(of_model: &DataType) -> DataType {
    match of_model {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    }
}

/// Fields, `None` where they stand for null, as values of a column that is not text; null too where they are none.
pub(super) fn known_values<'f>(
    fields: impl Iterator<Item = Option<&'f [u8]>>,
    column: &ColumnFormat,
) -> Result<ArrayRef, ArrowError> {
    let to = &column.data_type;
    let values = fields.map(|field| field.map(|field| trim(field).0));
    match to {
        DataType::Boolean => {
            let words = match &column.written {
                WrittenForm::Boolean(words) => words.clone(),
                _ => BooleanWords {
                    true_word: "true".to_owned(),
                    false_word: "false".to_owned(),
                },
            };
            let boolean = |value: &[u8]| {
                let is = |word: &str| value == word.as_bytes();
                (is(&words.true_word) || is(&words.false_word)).then(|| is(&words.true_word))
            };
            Ok(Arc::new(
                values.map(|v| v.and_then(boolean)).collect::<BooleanArray>(),
            ))
        }
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let is_zoned = matches!(to, DataType::Timestamp(_, Some(_)));
            let has_time = matches!(to, DataType::Timestamp(..));
            let form = date_form(column);
            let instant = |value: &[u8]| instant(value, form, has_time, is_zoned);
            let (_, micros, nulls) = primitive::<Int64Type>(values, instant).into_parts();
            from_micros(micros.to_vec(), nulls, to)
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            cast(&primitive::<Float64Type>(values, number), to)
        }
        // Beyond the signed numbers of 64 bits only a text holds them.
        DataType::UInt64 => from_texts(
            &texts(values, |value| whole(value).is_some() || is_digits(value)),
            to,
        ),
        to if to.is_integer() => cast(&primitive::<Int64Type>(values, whole), to),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => from_texts(
            &texts(values, |value| {
                number(value).is_some() && fits_scale(value, *scale)
            }),
            to,
        ),
        _ => from_texts(&texts(values, |_| true), to),
    }
}

/// Texts as values of a column that is not text: in the form of the column, or as values of its type are written plainly; null where they
/// are neither.
pub(crate) fn values_of_texts(texts: &StringArray, column: &ColumnFormat) -> Result<ArrayRef, ArrowError> {
    let read = |written: WrittenForm| {
        let column = ColumnFormat {
            data_type: read_type(&column.data_type),
            written,
            ..column.clone()
        };
        known_values(texts.iter().map(|t| t.map(str::as_bytes)), &column)
    };
    let in_form = read(column.written.clone())?;
    let plain = match in_form.data_type() {
        // 1 and 0, and the words in any case.
        DataType::Boolean => from_texts(texts, &DataType::Boolean)?,
        _ => read(WrittenForm::Plain)?,
    };
    let is_read: BooleanArray = (0..texts.len()).map(|row| Some(in_form.is_valid(row))).collect();
    cast(&zip(&is_read, &in_form, &plain)?, &column.data_type)
}

/// Whether a field that is no value of a column of numbers says that there is none.
pub(super) fn is_nan_of(data_type: &DataType, field: &[u8]) -> bool {
    data_type.is_numeric() && is_not_a_number(trim(field).0)
}

fn primitive<'f, T: ArrowPrimitiveType>(
    values: impl Iterator<Item = Option<&'f [u8]>>,
    parse: impl Fn(&[u8]) -> Option<T::Native>,
) -> PrimitiveArray<T> {
    values.map(|value| value.and_then(&parse)).collect()
}

fn texts<'f>(
    values: impl Iterator<Item = Option<&'f [u8]>>,
    is_value: impl Fn(&[u8]) -> bool,
) -> StringArray {
    let text = |value: Option<&'f [u8]>| {
        value
            .filter(|v| is_value(v))
            .and_then(|v| std::str::from_utf8(v).ok())
    };
    values.map(text).collect()
}

/// How the dates of a column are written, where that is not as ISO 8601 has it.
pub(super) fn date_form(column: &ColumnFormat) -> Option<DateForm> {
    match &column.written {
        WrittenForm::Date(form) => Some(*form),
        WrittenForm::Time(form) => form.date,
        _ => None,
    }
}

/// Microseconds of a date, or of a date with a time of day where the column has times.
fn instant(value: &[u8], form: Option<DateForm>, has_time: bool, is_zoned: bool) -> Option<i64> {
    let rewritten;
    let value = match form {
        None => value,
        Some(form) => {
            rewritten = form.to_iso(value)?;
            &rewritten
        }
    };
    if let Some(days) = iso::parse_date(value) {
        // A date alone is midnight, of which zone is not said.
        return (!is_zoned).then(|| i64::from(days) * MICROS_PER_DAY);
    }
    let (micros, shape) = iso::parse_date_time(value)?;
    (has_time && shape.zone.is_empty() != is_zoned).then_some(micros)
}

/// A number in decimal; what is not finite is none.
fn number(value: &[u8]) -> Option<f64> {
    let unsigned = value.strip_prefix(b"+").unwrap_or(value);
    let begins_well = unsigned
        .first()
        .is_some_and(|b| matches!(b, b'0'..=b'9' | b'-' | b'.'));
    let text = std::str::from_utf8(unsigned).ok().filter(|_| begins_well)?;
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A whole number, of whatever writing: `5`, `05`, `5.0`, `5e0`.
fn whole(value: &[u8]) -> Option<i64> {
    if let Some(number) = integer(value) {
        return Some(number);
    }
    let text = std::str::from_utf8(value).ok()?;
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    // Floats hold whole numbers exactly up to here.
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() <= (1_u64 << 53) as f64;
    number(value).filter(exact).map(|number| number as i64)
}

fn is_digits(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(u8::is_ascii_digit)
}

/// Whether a decimal of this scale holds a number exactly; of one with an exponent that is not looked at.
fn fits_scale(value: &[u8], scale: i8) -> bool {
    let Some(point) = memchr::memchr(b'.', value) else {
        return true;
    };
    let decimals = &value[point + 1..];
    let needed = decimals.iter().rposition(|&b| b != b'0').map_or(0, |at| at + 1);
    memchr::memchr2(b'e', b'E', value).is_some() || needed <= usize::try_from(scale).unwrap_or(0)
}

/// Rows in which a field that does not stand for null has become no value.
pub(super) fn parse_failures<'a>(
    fields: impl Iterator<Item = Option<&'a [u8]>> + 'a,
    array: &'a ArrayRef,
) -> impl Iterator<Item = (usize, &'a [u8])> + 'a {
    let data_type = array.data_type();
    fields
        .enumerate()
        .filter_map(|(row, field)| Some((row, field?)))
        .filter(move |(row, field)| array.is_null(*row) && !is_nan_of(data_type, field))
}

#[cfg(test)]
mod tests {
    use arrow_cast::display::array_value_to_string;
    use arrow_schema::TimeUnit;

    use super::*;
    use crate::data::written::DateOrder;

    fn read(column: &ColumnFormat, value: &str) -> Option<String> {
        let array = known_values(std::iter::once(Some(value.as_bytes())), column).unwrap();
        array
            .is_valid(0)
            .then(|| array_value_to_string(&array, 0).unwrap())
    }

    #[test]
    fn values_are_read_in_the_form_of_the_column_and_no_other() {
        let plain = |data_type| ColumnFormat::new("c", data_type);
        let with = |data_type, written| ColumnFormat {
            written,
            ..ColumnFormat::new("c", data_type)
        };
        let form = DateForm {
            order: DateOrder::DayFirst,
            separator: '.',
            padded: true,
        };
        let day_first = with(DataType::Date32, WrittenForm::Date(form));
        let words = BooleanWords {
            true_word: "TRUE".to_owned(),
            false_word: "FALSE".to_owned(),
        };
        let upper = with(DataType::Boolean, WrittenForm::Boolean(words));
        let zoned = plain(DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())));
        for (column, value, read_as) in [
            (&day_first, "03.04.2022", Some("2022-04-03")),
            (&day_first, " 3.4.2022 ", Some("2022-04-03")),
            (&day_first, "04.13.2022", None),
            (&day_first, "03/04/2022", None),
            (&day_first, "2022-04-03", None),
            (&day_first, "03.04.2022 10:00", None),
            (&plain(DataType::Date32), "2022-04-03", Some("2022-04-03")),
            (&plain(DataType::Date32), "03.04.2022", None),
            (&upper, "TRUE", Some("true")),
            (&upper, "true", None),
            (&upper, "1", None),
            (&zoned, "2022-04-03T10:00:00+02:00", Some("2022-04-03T08:00:00Z")),
            (&zoned, "2022-04-03T10:00:00", None),
            (&zoned, "2022-04-03", None),
            (
                &plain(DataType::Int64),
                "9223372036854775807",
                Some("9223372036854775807"),
            ),
            (&plain(DataType::Int64), "007", Some("7")),
            (&plain(DataType::Int64), "5.0", Some("5")),
            (&plain(DataType::Int64), "5.5", None),
            (&plain(DataType::Int8), "300", None),
            (
                &plain(DataType::UInt64),
                "18446744073709551615",
                Some("18446744073709551615"),
            ),
            (&plain(DataType::UInt64), "-1", None),
            (&plain(DataType::Float64), "1.50", Some("1.5")),
            (&plain(DataType::Float64), "1,50", None),
            (&plain(DataType::Float64), "inf", None),
            (&plain(DataType::Decimal128(5, 2)), "12.50", Some("12.50")),
            (&plain(DataType::Decimal128(5, 2)), "12.555", None),
        ] {
            assert_eq!(
                read(column, value).as_deref(),
                read_as,
                "{value} as {:?}",
                column.data_type
            );
        }
    }
}
