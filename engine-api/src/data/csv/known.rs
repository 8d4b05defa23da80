//! Fields of columns that a model knows, read as the model's table was written.

use std::sync::Arc;

use arrow_array::types::{
    Date32Type, Float64Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt64Type,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray, StringArray};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, TimeUnit};
use arrow_select::zip::zip;

use super::classify::{integer, is_not_a_number, trim};
use crate::data::arrow::{decimals_of_texts, exact_cast, from_texts, whole};
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
        DataType::Date32 | DataType::Date64 => {
            let form = date_form(column);
            let day = |value: &[u8]| {
                let (micros, _) = instant(value, form, false, false)?;
                i32::try_from(micros / MICROS_PER_DAY).ok()
            };
            cast(&primitive::<Date32Type>(values, day), to)
        }
        DataType::Timestamp(unit, zone) => {
            let form = date_form(column);
            let is_cut = matches!(column.written, WrittenForm::Time(_));
            let tick = |value: &[u8]| {
                let (micros, nanos) = instant(value, form, true, zone.is_some())?;
                ticks(micros, if is_cut { 0 } else { nanos }, *unit)
            };
            let ticks = primitive::<Int64Type>(values, tick);
            let zone = zone.clone();
            Ok(match unit {
                TimeUnit::Second => Arc::new(
                    ticks
                        .reinterpret_cast::<TimestampSecondType>()
                        .with_timezone_opt(zone),
                ),
                TimeUnit::Millisecond => Arc::new(
                    ticks
                        .reinterpret_cast::<TimestampMillisecondType>()
                        .with_timezone_opt(zone),
                ),
                TimeUnit::Microsecond => Arc::new(
                    ticks
                        .reinterpret_cast::<TimestampMicrosecondType>()
                        .with_timezone_opt(zone),
                ),
                TimeUnit::Nanosecond => Arc::new(
                    ticks
                        .reinterpret_cast::<TimestampNanosecondType>()
                        .with_timezone_opt(zone),
                ),
            })
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let numbers: ArrayRef = Arc::new(primitive::<Float64Type>(values, number));
            exact_cast(&numbers, to)
        }
        // Beyond the signed numbers of 64 bits.
        DataType::UInt64 => Ok(Arc::new(primitive::<UInt64Type>(values, |value| {
            whole(value)?.try_into().ok()
        }))),
        to if to.is_integer() => {
            let small = |value: &[u8]| integer(value).or_else(|| whole(value)?.try_into().ok());
            cast(&primitive::<Int64Type>(values, small), to)
        }
        to if to.is_decimal() => decimals_of_texts(values, to),
        DataType::Time32(_) | DataType::Time64(_) => {
            let nanos = DataType::Time64(TimeUnit::Nanosecond);
            exact_cast(&from_texts(&texts(values), &nanos)?, to)
        }
        _ => from_texts(&texts(values), to),
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

fn texts<'f>(values: impl Iterator<Item = Option<&'f [u8]>>) -> StringArray {
    values.map(|value| std::str::from_utf8(value?).ok()).collect()
}

/// How the dates of a column are written, where that is not as ISO 8601 has it.
pub(super) fn date_form(column: &ColumnFormat) -> Option<DateForm> {
    match &column.written {
        WrittenForm::Date(form) => Some(*form),
        WrittenForm::Time(form) => form.date,
        _ => None,
    }
}

/// Microseconds of a date, or of a date with a time of day where the column has times, and the nanoseconds beyond them.
fn instant(value: &[u8], form: Option<DateForm>, has_time: bool, is_zoned: bool) -> Option<(i64, i64)> {
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
        return (!is_zoned).then(|| (i64::from(days) * MICROS_PER_DAY, 0));
    }
    let (micros, shape) = iso::parse_date_time(value)?;
    (has_time && shape.zone.is_empty() != is_zoned).then(|| (micros, iso::nanos_beyond_micros(value)))
}

/// Ticks of an instant; `None` when it is none of them or out of range.
fn ticks(micros: i64, nanos: i64, unit: TimeUnit) -> Option<i64> {
    let exact = |per_tick: i64| (micros % per_tick == 0 && nanos == 0).then(|| micros / per_tick);
    match unit {
        TimeUnit::Second => exact(1_000_000),
        TimeUnit::Millisecond => exact(1_000),
        TimeUnit::Microsecond => exact(1),
        TimeUnit::Nanosecond => micros.checked_mul(1_000)?.checked_add(nanos),
    }
}

/// A number in decimal; what is not finite is none.
fn number(value: &[u8]) -> Option<f64> {
    let unsigned = match value {
        [b'+' | b'-', rest @ ..] => rest,
        value => value,
    };
    let begins_well = unsigned.first().is_some_and(|b| matches!(b, b'0'..=b'9' | b'.'));
    let text = std::str::from_utf8(value).ok().filter(|_| begins_well)?;
    text.parse::<f64>().ok().filter(|number| number.is_finite())
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
    use crate::data::written::{DateOrder, TimeForm};

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
        let time = |unit| DataType::Timestamp(unit, None);
        let written = with(
            time(TimeUnit::Microsecond),
            WrittenForm::Time(TimeForm {
                date: None,
                separator: ' ',
                seconds: true,
                decimals: vec![7],
                zone: None,
                midnight_as_date: false,
            }),
        );
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
            (&plain(DataType::Int64), "+5", Some("5")),
            (&plain(DataType::Int64), "5e0", Some("5")),
            (&plain(DataType::Int64), "50e-1", Some("5")),
            (&plain(DataType::Int64), "55e-1", None),
            (&plain(DataType::Int64), "-0.0", Some("0")),
            (
                &plain(DataType::Int64),
                "9007199254740993.0",
                Some("9007199254740993"),
            ),
            (&plain(DataType::Int64), "9223372036854775808", None),
            (&plain(DataType::Int64), "+-5", None),
            (&plain(DataType::Int64), ".", None),
            (&plain(DataType::Int64), "5e", None),
            (&plain(DataType::Int64), "1e999999999999999999999", None),
            (&plain(DataType::Float64), "+-5", None),
            (&plain(DataType::Float64), "+5", Some("5.0")),
            (&plain(DataType::Float32), "1e39", None),
            (&plain(DataType::Float32), "0.1", Some("0.1")),
            (&plain(DataType::Int8), "300", None),
            (
                &plain(DataType::UInt64),
                "18446744073709551615",
                Some("18446744073709551615"),
            ),
            (&plain(DataType::UInt64), "-1", None),
            (&plain(DataType::UInt64), "5e0", Some("5")),
            (&plain(DataType::UInt64), "18446744073709551616", None),
            (&plain(time(TimeUnit::Nanosecond)), "9999-12-31", None),
            (
                &plain(time(TimeUnit::Nanosecond)),
                "2024-02-29 00:00:00.123456789",
                Some("2024-02-29T00:00:00.123456789"),
            ),
            (&plain(time(TimeUnit::Second)), "2024-02-29 00:00:01.5", None),
            (
                &plain(time(TimeUnit::Millisecond)),
                "1969-12-31 23:59:59.500",
                Some("1969-12-31T23:59:59.500"),
            ),
            (
                &plain(time(TimeUnit::Microsecond)),
                "2024-02-29 00:00:00.1234567",
                None,
            ),
            // As it was cut when the column was learnt.
            (
                &written,
                "2024-02-29 00:00:00.1234567",
                Some("2024-02-29T00:00:00.123456"),
            ),
            (
                &plain(DataType::Time32(TimeUnit::Second)),
                "12:30:00",
                Some("12:30:00"),
            ),
            (&plain(DataType::Time32(TimeUnit::Second)), "12:30:00.5", None),
            (&plain(DataType::Float64), "1.50", Some("1.5")),
            (&plain(DataType::Float64), "1,50", None),
            (&plain(DataType::Float64), "inf", None),
            (&plain(DataType::Decimal128(5, 2)), "12.50", Some("12.50")),
            (&plain(DataType::Decimal128(5, 2)), "12.555", None),
            (&plain(DataType::Decimal128(5, 2)), "1255.5e-2", None),
            (&plain(DataType::Decimal128(5, 2)), "1.255e1", Some("12.55")),
            (&plain(DataType::Decimal128(5, 2)), "1.2555e1", None),
            (&plain(DataType::Decimal128(5, 2)), "1000", None),
            (&plain(DataType::Decimal128(3, -2)), "1200", Some("1200")),
            (&plain(DataType::Decimal128(3, -2)), "1250", None),
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
