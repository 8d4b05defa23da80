//! Columns of a query in the types of the model, matched by value: a value that the model's type does not hold is refused.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, PrimitiveArray, new_null_array};
use arrow_cast::cast;
use arrow_cast::display::array_value_to_string;
use arrow_schema::{ArrowError, DataType};

use super::InferenceError;
use super::conditioning::TableOrigin;
use super::unknown::UnknownCounts;
use crate::EngineError;
use crate::data::{ColumnFormat, DataError, exact_cast, is_convertible, shorten, values_of_texts};

/// What values of a type are. A value of one kind is none of another, but for texts.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// Any value can be written as one, and may be read from one.
    Text,
    /// Numbers, and booleans as 0 and 1.
    Number,
    /// Days and times of a calendar, without a zone.
    Date,
    /// Points in time: those with a zone.
    Instant,
    TimeOfDay,
    Other,
}

impl Kind {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Number,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, None) => Self::Date,
            DataType::Timestamp(_, Some(_)) => Self::Instant,
            DataType::Time32(_) | DataType::Time64(_) => Self::TimeOfDay,
            other if other.is_string() => Self::Text,
            other if other.is_numeric() => Self::Number,
            _ => Self::Other,
        }
    }
}

/// Values in the type of the model; `None` when the column is ignored.
pub(crate) fn fitted(
    array: &ArrayRef,
    column: &ColumnFormat,
    origin: TableOrigin<'_>,
) -> Result<Option<ArrayRef>, EngineError> {
    let (name, to) = (column.name.as_str(), &column.data_type);
    let convert = |source| DataError::Convert {
        column: name.to_owned(),
        data_type: to.to_string(),
        source,
    };
    let array = without_nan(&undictionaried(array).map_err(convert)?);
    let from = array.data_type();
    if from == to {
        return Ok(Some(array));
    }
    if from == &DataType::Null {
        return Ok(Some(new_null_array(to, array.len())));
    }
    let of_values = value_type(to);
    let new = match (Kind::of(from), Kind::of(of_values)) {
        (Kind::Text, Kind::Text) => cast(&array, of_values),
        (Kind::Text, _) => from_texts(&array, column),
        (given, expected) if given == expected || expected == Kind::Text => {
            if !is_convertible(from, of_values) {
                return ignored(from, column, origin);
            }
            exact_cast(&array, of_values)
        }
        _ => return ignored(from, column, origin),
    };
    let new = new.map_err(convert)?;
    check_values(&array, &new, column, origin)?;
    Ok(Some(cast(&new, to).map_err(convert)?))
}

/// Values that are written as texts, with spaces around them or without.
fn from_texts(array: &ArrayRef, column: &ColumnFormat) -> Result<ArrayRef, ArrowError> {
    let texts = cast(array, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>().iter();
    let trimmed = texts.map(|t| t.map(str::trim)).collect();
    values_of_texts(&trimmed, column)
}

/// A column of another kind than the model's is an error, or ignored.
fn ignored(
    from: &DataType,
    column: &ColumnFormat,
    origin: TableOrigin<'_>,
) -> Result<Option<ArrayRef>, EngineError> {
    if !origin.lenient {
        return Err(InferenceError::Type {
            table: origin.table.to_owned(),
            column: column.name.clone(),
            given: from.to_string(),
            expected: column.data_type.to_string(),
        }
        .into());
    }
    match origin.unknown {
        Some(counts) => counts.add_ignored(&column.name),
        None => UnknownCounts::default().add_ignored(&column.name),
    }
    Ok(None)
}

/// The first value that has got lost on the way to the model's type is an error; lenient queries count them.
fn check_values(
    old: &ArrayRef,
    new: &ArrayRef,
    column: &ColumnFormat,
    origin: TableOrigin<'_>,
) -> Result<(), EngineError> {
    let mut lost = (0..old.len()).filter(|row| old.is_valid(*row) && new.is_null(*row));
    let Some(row) = lost.next() else { return Ok(()) };
    if origin.lenient {
        let count = 1 + lost.count() as u64;
        match origin.unknown {
            Some(counts) => counts.add_lost(&column.name, count),
            None => UnknownCounts::default().add_lost(&column.name, count),
        }
        return Ok(());
    }
    let value = array_value_to_string(old, row).or_else(|_| {
        // Arrow knows zones only as offsets.
        let in_utc = match old.data_type() {
            DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
            other => other.clone(),
        };
        array_value_to_string(&cast(old, &in_utc)?, row)
    });
    let value = value.unwrap_or_default();
    Err(InferenceError::Value {
        table: origin.table.to_owned(),
        row: origin.first_row + row as u64 + 1,
        column: column.name.clone(),
        value: shorten(value.as_bytes()),
        given: old.data_type().to_string(),
        expected: column.data_type.to_string(),
    }
    .into())
}

/// Dictionaries as their values.
fn undictionaried(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values),
        _ => Ok(Arc::clone(array)),
    }
}

fn value_type(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

/// NaN is null.
pub(crate) fn without_nan(array: &ArrayRef) -> ArrayRef {
    macro_rules! filtered {
        ($type:ty, $is_nan:expr) => {{
            let values = array.as_primitive::<$type>();
            if values.values().iter().any(|v| $is_nan(*v)) {
                let kept = values.iter().map(|v| v.filter(|v| !$is_nan(*v)));
                Arc::new(kept.collect::<PrimitiveArray<$type>>())
            } else {
                Arc::clone(array)
            }
        }};
    }
    match array.data_type() {
        DataType::Float16 => filtered!(Float16Type, |v| f32::from(v).is_nan()),
        DataType::Float32 => filtered!(Float32Type, f32::is_nan),
        DataType::Float64 => filtered!(Float64Type, f64::is_nan),
        _ => Arc::clone(array),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        BooleanArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array, Float32Array, Float64Array,
        Int64Array, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray,
        UInt64Array,
    };
    use arrow_buffer::i256;
    use arrow_schema::TimeUnit;

    use super::*;

    const DAY: i64 = 86_400;

    fn origin(lenient: bool) -> TableOrigin<'static> {
        TableOrigin {
            table: "t",
            first_row: 0,
            lenient,
            unknown: None,
        }
    }

    fn strictly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, String> {
        let column = ColumnFormat::new("c", to.clone());
        let fitted = fitted(array, &column, origin(false));
        fitted.map(Option::unwrap).map_err(|e| e.to_string())
    }

    fn array(values: impl Array + 'static) -> ArrayRef {
        Arc::new(values)
    }

    fn cents(unscaled: i128) -> ArrayRef {
        let values = Decimal128Array::from(vec![unscaled]);
        array(values.with_precision_and_scale(38, 2).unwrap())
    }

    fn ints(value: i64) -> ArrayRef {
        array(Int64Array::from(vec![value]))
    }

    fn doubles(value: f64) -> ArrayRef {
        array(Float64Array::from(vec![value]))
    }

    fn singles(value: f32) -> ArrayRef {
        array(Float32Array::from(vec![value]))
    }

    fn micros(value: i64) -> ArrayRef {
        array(TimestampMicrosecondArray::from(vec![value]))
    }

    fn naive(unit: TimeUnit) -> DataType {
        DataType::Timestamp(unit, None)
    }

    #[test]
    fn a_value_is_taken_if_the_type_of_the_model_holds_it() {
        use DataType::{Boolean, Date32, Date64, Float16, Float32, Float64, Int8, Int64, UInt64};
        let decimal = DataType::Decimal128(5, 2);
        let wide = DataType::Decimal256(76, 0);
        let ten_to_22 = Decimal256Array::from(vec![i256::from_i128(10_i128.pow(22))]);
        for (given, to, read_as) in [
            (cents(1_200), Int64, Some("12")),
            (cents(1_250), Int64, None),
            (cents(-50), Int64, None),
            (cents(1_250), Float64, Some("12.5")),
            (cents(10), Float32, Some("0.1")),
            (cents(900_719_925_474_099_301), Float64, None),
            (cents(99_999), decimal.clone(), Some("999.99")),
            (cents(100_000), decimal.clone(), None),
            (cents(1_234), DataType::Decimal128(5, 1), None),
            (ints(1 << 53), Float64, Some("9007199254740992.0")),
            (ints((1 << 53) + 1), Float64, None),
            (ints(i64::MAX), Float64, None),
            (ints(16_777_217), Float32, None),
            (ints(128), Int8, None),
            (ints(-1), UInt64, None),
            (ints(1), Boolean, Some("true")),
            (ints(0), Boolean, Some("false")),
            (ints(2), Boolean, None),
            (ints(999), decimal.clone(), Some("999.00")),
            (ints(1_000), decimal.clone(), None),
            (array(UInt64Array::from(vec![u64::MAX])), Int64, None),
            (
                array(UInt64Array::from(vec![u64::MAX])),
                wide.clone(),
                Some("18446744073709551615"),
            ),
            (doubles(-0.0), Int64, Some("0")),
            (doubles(5.5), Int64, None),
            (doubles(1e19), Int64, None),
            (doubles(9_223_372_036_854_775_808.0), Int64, None),
            (doubles(0.5), Boolean, None),
            (doubles(0.1), decimal.clone(), Some("0.10")),
            (doubles(0.1 + 0.2), decimal.clone(), None),
            (doubles(1e22), wide.clone(), Some("10000000000000000000000")),
            (
                array(ten_to_22.with_precision_and_scale(76, 0).unwrap()),
                Float64,
                Some("1e22"),
            ),
            (doubles(0.1), Float32, Some("0.1")),
            (doubles(1e39), Float32, None),
            (doubles(1e-300), Float32, None),
            (doubles(70_000.0), Float16, None),
            (singles(0.1), decimal.clone(), Some("0.10")),
            (singles(0.1), Float64, Some("0.10000000149011612")),
            (singles(0.125), decimal, None),
            (array(BooleanArray::from(vec![true])), Int64, Some("1")),
            (micros(DAY * 1_000_000), Date32, Some("1970-01-02")),
            (micros(DAY * 1_000_000 + 1), Date32, None),
            (
                micros(1),
                naive(TimeUnit::Nanosecond),
                Some("1970-01-01T00:00:00.000001"),
            ),
            (micros(1), naive(TimeUnit::Millisecond), None),
            (
                micros(-1_000),
                naive(TimeUnit::Millisecond),
                Some("1969-12-31T23:59:59.999"),
            ),
            (micros(-1), naive(TimeUnit::Second), None),
            (
                array(TimestampNanosecondArray::from(vec![1_001])),
                naive(TimeUnit::Microsecond),
                None,
            ),
            (
                array(TimestampSecondArray::from(vec![253_402_214_400])),
                naive(TimeUnit::Nanosecond),
                None,
            ),
            (
                array(Date32Array::from(vec![2_932_896])),
                naive(TimeUnit::Nanosecond),
                None,
            ),
            (
                array(Date32Array::from(vec![2_932_896])),
                naive(TimeUnit::Second),
                Some("9999-12-31T00:00:00"),
            ),
            (
                array(Date32Array::from(vec![1])),
                Date64,
                Some("1970-01-02T00:00:00"),
            ),
            (array(Date64Array::from(vec![DAY * 1_000 + 1])), Date32, None),
            (array(StringArray::from(vec![" 5e0 "])), UInt64, Some("5")),
            (array(StringArray::from(vec!["+-5"])), Int64, None),
            (ints(5), DataType::Utf8, Some("5")),
        ] {
            let fitted = strictly(&given, &to);
            let shown = fitted.as_ref().map(|a| array_value_to_string(a, 0).unwrap());
            match read_as {
                Some(read_as) => assert_eq!(shown.as_deref(), Ok(read_as), "{given:?} as {to}"),
                None => assert!(
                    shown
                        .as_ref()
                        .is_err_and(|e| e.contains("row 1") && e.contains(&to.to_string())),
                    "{given:?} as {to}: {shown:?}"
                ),
            }
        }
    }

    #[test]
    fn columns_of_another_kind_are_refused_with_both_types() {
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
        let in_utc = array(TimestampMicrosecondArray::from(vec![1]).with_timezone("+00:00"));
        let time = DataType::Time64(TimeUnit::Microsecond);
        for (given, to) in [
            (&micros(1), &zoned),
            (&in_utc, &naive(TimeUnit::Microsecond)),
            (&in_utc, &DataType::Date32),
            (&array(Date32Array::from(vec![1])), &zoned),
            (&micros(1), &time),
            (&micros(1), &DataType::Int64),
            (&ints(1), &DataType::Date32),
            (&array(BooleanArray::from(vec![true])), &time),
        ] {
            let said = strictly(given, to).unwrap_err();
            let types = (given.data_type().to_string(), to.to_string());
            assert!(said.contains(&types.0) && said.contains(&types.1), "{said}");
            let column = ColumnFormat::new("c", to.clone());
            assert!(fitted(given, &column, origin(true)).unwrap().is_none());
        }
        let vienna = DataType::Timestamp(TimeUnit::Second, Some("+01:00".into()));
        let same = array(TimestampMicrosecondArray::from(vec![1_000_000]).with_timezone("+00:00"));
        let fitted = strictly(&same, &vienna).unwrap();
        assert_eq!(
            array_value_to_string(&fitted, 0).unwrap(),
            "1970-01-01T01:00:01+01:00"
        );
    }

    #[test]
    fn lenient_queries_keep_what_fits() {
        let given = array(Float64Array::from(vec![
            Some(1.0),
            None,
            Some(1.5),
            Some(f64::NAN),
            Some(2.0),
        ]));
        let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Int64));
        let fitted = fitted(&given, &ColumnFormat::new("c", dictionary.clone()), origin(true));
        let fitted = fitted.unwrap().unwrap();
        assert_eq!(fitted.data_type(), &dictionary);
        let values = cast(&fitted, &DataType::Int64).unwrap();
        assert_eq!(
            *values,
            Int64Array::from(vec![Some(1), None, None, None, Some(2)])
        );
    }

    /// Whatever is taken is the same number: both sides are written and read again as decimals of 76 digits.
    #[test]
    fn no_number_is_altered_between_any_two_types() {
        let types = [
            DataType::Int8,
            DataType::UInt64,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Decimal64(18, 3),
            DataType::Decimal128(38, 10),
            DataType::Decimal256(76, 20),
            DataType::Decimal128(20, -2),
        ];
        let exact = DataType::Decimal256(76, 20);
        let texts = [
            "0",
            "1",
            "-1",
            "127",
            "128",
            "300",
            "0.5",
            "0.001",
            "0.1",
            "1234567.891",
            "16777217",
            "9007199254740993",
            "9223372036854775807",
            "18446744073709551615",
            "-9223372036854775808",
            "99999999999999999999",
            "12345678901234567890.0123456789",
            "1e20",
            "0.30000000000000004",
        ];
        let mut taken = 0;
        for text in texts {
            for from in &types {
                let Ok(given) = strictly(&array(StringArray::from(vec![text])), from) else {
                    continue;
                };
                for to in &types {
                    let Ok(fitted) = strictly(&given, to) else {
                        continue;
                    };
                    // Floats beyond the whole numbers that all are floats have fewer digits as decimals than as whole numbers.
                    let is_rough = |data_type: &DataType| match data_type {
                        DataType::Float32 => text.len() > 8,
                        DataType::Float64 => text.len() > 16,
                        _ => false,
                    };
                    if from.is_floating() && to.is_floating() || is_rough(from) || is_rough(to) {
                        continue;
                    }
                    taken += 1;
                    assert_eq!(
                        exact_cast(&given, &exact).unwrap().as_ref(),
                        exact_cast(&fitted, &exact).unwrap().as_ref(),
                        "{text} as {from}, then {to}"
                    );
                }
            }
        }
        assert!(taken > 300, "{taken}");
    }
}
