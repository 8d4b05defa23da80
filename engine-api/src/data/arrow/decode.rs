//! Decoded columns as record batches in the types of the original table.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{self, ArrowPrimitiveType};
use arrow_array::{
    Array, ArrayRef, ArrowNativeTypeOp, BooleanArray, Decimal128Array, PrimitiveArray, RecordBatch,
    RecordBatchOptions, StringArray, UInt32Array, make_array, new_null_array,
};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_cast::cast;
use arrow_schema::{ArrowError, DataType, TimeUnit};
use arrow_select::take::take;
use engine_core::schema::{DecodedColumn, DecodedValues};
use rayon::prelude::*;

use crate::data::error::DataError;
use crate::data::written::{
    ColumnFormat, TableFormat, TimeForm, iso, plain_form, write_date_time, write_f64,
};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Puts decoded columns (in any order) into the order and types of a table's output schema.
///
/// Whole numbers that an integer type cannot hold become its nearest value. A text that is no value of the column's
/// type, for instance the token for rare categories in a column of booleans, becomes null.
///
/// # Errors
/// [`DataError::Mismatch`] when a column is missing, superfluous or has no meaning in its type (numbers in a column of
/// dates), [`DataError::Convert`] when Arrow cannot convert one.
pub fn to_record_batch(columns: Vec<DecodedColumn>, format: &TableFormat) -> Result<RecordBatch, DataError> {
    let rows = columns.first().map_or(0, DecodedColumn::len);
    let wanted: Vec<&ColumnFormat> = format.output_columns().collect();
    let mut slots: Vec<Option<DecodedColumn>> = wanted.iter().map(|_| None).collect();
    for column in columns {
        let problem = if column.len() != rows {
            "it has another number of rows than the first"
        } else {
            ""
        };
        let slot = wanted
            .iter()
            .position(|w| w.name == column.name)
            .map(|at| &mut slots[at]);
        match slot {
            _ if !problem.is_empty() => return Err(mismatch(&column.name, problem)),
            None => return Err(mismatch(&column.name, "the format has no such column")),
            Some(Some(_)) => return Err(mismatch(&column.name, "it is given twice")),
            Some(slot) => *slot = Some(column),
        }
    }
    let arrays = slots
        .into_par_iter()
        .zip(&wanted)
        .map(|(column, wanted)| match column {
            Some(column) => to_array(column, wanted),
            None => Err(mismatch(&wanted.name, "it is missing")),
        });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(format.output_schema(), arrays, &options);
    batch.map_err(|_| mismatch("*", "the columns do not form a batch"))
}

fn mismatch(column: &str, problem: &'static str) -> DataError {
    DataError::Mismatch {
        column: column.to_owned(),
        problem,
    }
}

fn to_array(column: DecodedColumn, format: &ColumnFormat) -> Result<ArrayRef, DataError> {
    let to = &format.data_type;
    let convert = |source: ArrowError| DataError::Convert {
        column: format.name.clone(),
        data_type: to.to_string(),
        source,
    };
    let nulls = column.validity.map(NullBuffer::from);
    match column.values {
        DecodedValues::Labels { indices, labels } => {
            let labels: StringArray = labels.iter().map(Option::as_deref).collect();
            let rows = UInt32Array::new(indices.into(), nulls);
            labelled(&labels, &rows, to).map_err(convert)
        }
        DecodedValues::Text(texts) => {
            let texts = StringArray::from_iter_values(texts);
            let texts = StringArray::new(texts.offsets().clone(), texts.values().clone(), nulls);
            from_texts(&texts, to).map_err(convert)
        }
        DecodedValues::Int(values) => match from_ints(values, nulls, to) {
            Some(array) => Ok(array),
            None => Err(mismatch(
                &format.name,
                "its encoding gives numbers, its type is none of numbers",
            )),
        },
        DecodedValues::Float(values) => match from_floats(values, nulls, to) {
            Some(array) => Ok(array),
            None => Err(mismatch(
                &format.name,
                "its encoding gives numbers, its type is none of numbers",
            )),
        },
        DecodedValues::Timestamp(micros) => match from_instants(micros, nulls, to) {
            Some(array) => Ok(array),
            None => Err(mismatch(
                &format.name,
                "its encoding gives instants, its type is none of instants",
            )),
        },
        DecodedValues::Null(rows) => Ok(new_null_array(to, rows)),
        _ => Err(mismatch(&format.name, "its values are of an unknown kind")),
    }
}

/// Distinct texts, converted once, by row.
fn labelled(labels: &StringArray, rows: &UInt32Array, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if let DataType::Dictionary(_, values) = to {
        return dictionary_of_labels(&from_texts(labels, values)?, rows, to);
    }
    take(&from_texts(labels, to)?, rows, None)
}

/// A dictionary of the labels that some row has. Those that the type of its keys cannot number are null: only the token
/// for rare categories can be one too many.
fn dictionary_of_labels(
    labels: &ArrayRef,
    rows: &UInt32Array,
    to: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let capacity = key_capacity(to);
    let mut key_of: Vec<Option<i64>> = vec![None; labels.len()];
    let mut used: Vec<u32> = Vec::new();
    let key = |row: Option<u32>| {
        let label = row? as usize;
        if labels.is_null(label) {
            return None;
        }
        if key_of[label].is_none() && used.len() < capacity {
            key_of[label] = Some(used.len() as i64);
            used.push(label as u32);
        }
        key_of[label]
    };
    let keys: PrimitiveArray<types::Int64Type> = rows.iter().map(key).collect();
    dictionary(keys, take(labels, &UInt32Array::from(used), None)?, to)
}

/// A dictionary of values of its value type. Values that the type of its keys cannot number are null.
fn dictionary_of_values(values: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    let wide = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(values.data_type().clone()));
    let wide = cast(values, &wide)?;
    let wide = wide.as_any_dictionary();
    let capacity = key_capacity(to);
    let keys = cast(wide.keys(), &DataType::Int64)?;
    let fits = |key: Option<i64>| key.filter(|&key| (key as usize) < capacity);
    let keys = keys.as_primitive::<types::Int64Type>().iter().map(fits).collect();
    let distinct = wide.values();
    dictionary(keys, distinct.slice(0, distinct.len().min(capacity)), to)
}

/// Number of different keys that a dictionary's type has.
fn key_capacity(to: &DataType) -> usize {
    let DataType::Dictionary(keys, _) = to else {
        return 0;
    };
    let bits = keys.primitive_width().unwrap_or(0) * 8 - usize::from(keys.is_signed_integer());
    1usize.checked_shl(bits as u32).unwrap_or(usize::MAX)
}

fn dictionary(
    keys: PrimitiveArray<types::Int64Type>,
    values: ArrayRef,
    to: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let DataType::Dictionary(key_type, _) = to else {
        return Err(no_cast(to));
    };
    let keys = narrow(keys, key_type).ok_or_else(|| no_cast(to))?;
    let data = keys.to_data().into_builder().data_type(to.clone());
    Ok(make_array(data.add_child_data(values.to_data()).build()?))
}

/// Texts as another type; null where they are no value of it.
pub(crate) fn from_texts(texts: &StringArray, to: &DataType) -> Result<ArrayRef, ArrowError> {
    Ok(match to {
        DataType::Utf8 => Arc::new(texts.clone()),
        DataType::Boolean => Arc::new(
            texts
                .iter()
                .map(|t| t.and_then(parse_boolean))
                .collect::<BooleanArray>(),
        ),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let parsed: PrimitiveArray<types::Int64Type> =
                texts.iter().map(|t| t.and_then(parse_int)).collect();
            narrow(parsed, to).ok_or_else(|| no_cast(to))?
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let parsed: PrimitiveArray<types::Float64Type> =
                texts.iter().map(|t| t.and_then(|t| t.parse().ok())).collect();
            cast(&parsed, to)?
        }
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
            let parsed: PrimitiveArray<types::Int64Type> =
                texts.iter().map(|t| t.and_then(parse_instant)).collect();
            let (_, micros, nulls) = parsed.into_parts();
            from_instants(micros.to_vec(), nulls, to).ok_or_else(|| no_cast(to))?
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            let whole: StringArray = texts.iter().map(|t| t.map(without_point)).collect();
            cast(&whole, to)?
        }
        DataType::Dictionary(_, values) => dictionary_of_values(&from_texts(texts, values)?, to)?,
        DataType::Null => new_null_array(to, texts.len()),
        // Strings of other layouts, decimals and times of day.
        _ => cast(texts, to)?,
    })
}

fn no_cast(to: &DataType) -> ArrowError {
    ArrowError::CastError(format!("there is no conversion to {to}"))
}

fn parse_boolean(text: &str) -> Option<bool> {
    match without_point(text) {
        "1" => Some(true),
        "0" => Some(false),
        word if word.eq_ignore_ascii_case("true") => Some(true),
        word if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn parse_int(text: &str) -> Option<i64> {
    without_point(text).parse().ok()
}

fn parse_instant(text: &str) -> Option<i64> {
    match iso::parse_date_time(text.as_bytes()) {
        Some((micros, _)) => Some(micros),
        None => iso::parse_date(text.as_bytes()).map(|days| i64::from(days) * MICROS_PER_DAY),
    }
}

/// Categories of whole numbers among nulls are written as `1.0`.
fn without_point(text: &str) -> &str {
    text.strip_suffix(".0").unwrap_or(text)
}

fn from_ints(values: Vec<i64>, nulls: Option<NullBuffer>, to: &DataType) -> Option<ArrayRef> {
    let array = PrimitiveArray::<types::Int64Type>::new(values.into(), nulls);
    match to {
        DataType::Boolean => Some(Arc::new(BooleanArray::from_unary(&array, |v| v != 0))),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => cast(&array, to).ok(),
        DataType::Decimal128(precision, scale) => {
            decimal(array.iter().map(|v| v.map(Amount::Int)), *precision, *scale)
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal256(..) => {
            let (values, nulls) = (array.values().to_vec(), array.nulls().cloned());
            cast(&from_ints(values, nulls, &widest(to))?, to).ok()
        }
        DataType::Dictionary(_, of) if !of.is_string() => {
            let (values, nulls) = (array.values().to_vec(), array.nulls().cloned());
            dictionary_of_values(&from_ints(values, nulls, of)?, to).ok()
        }
        _ if to.is_integer() => narrow(array, to),
        _ => {
            let texts: StringArray = array.iter().map(|v| v.map(|v| v.to_string())).collect();
            to_text_type(&texts, to)
        }
    }
}

fn from_floats(values: Vec<f64>, nulls: Option<NullBuffer>, to: &DataType) -> Option<ArrayRef> {
    let array = PrimitiveArray::<types::Float64Type>::new(values.into(), nulls);
    match to {
        DataType::Float64 => Some(Arc::new(array)),
        DataType::Float16 | DataType::Float32 => cast(&array, to).ok(),
        DataType::Boolean => Some(Arc::new(BooleanArray::from_unary(&array, |v| v != 0.0))),
        DataType::Decimal128(precision, scale) => {
            decimal(array.iter().map(|v| v.map(Amount::Float)), *precision, *scale)
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal256(..) => {
            let (values, nulls) = (array.values().to_vec(), array.nulls().cloned());
            cast(&from_floats(values, nulls, &widest(to))?, to).ok()
        }
        DataType::UInt64 => {
            let whole = array
                .iter()
                .map(|v| v.filter(|v| !v.is_nan()).map(|v| v.round() as u64));
            Some(Arc::new(whole.collect::<PrimitiveArray<types::UInt64Type>>()))
        }
        DataType::Dictionary(_, of) if !of.is_string() => {
            let (values, nulls) = (array.values().to_vec(), array.nulls().cloned());
            dictionary_of_values(&from_floats(values, nulls, of)?, to).ok()
        }
        _ if to.is_integer() => {
            let whole = array
                .iter()
                .map(|v| v.filter(|v| !v.is_nan()).map(|v| v.round() as i64));
            narrow(whole.collect(), to)
        }
        _ => {
            let form = plain_form();
            let text = |value: f64| {
                let mut out = Vec::new();
                write_f64(value, &form, &mut out);
                String::from_utf8(out).ok()
            };
            let texts: StringArray = array
                .iter()
                .map(|v| v.filter(|v| v.is_finite()).and_then(text))
                .collect();
            to_text_type(&texts, to)
        }
    }
}

/// Microseconds since 1970 as instants of a type.
fn from_instants(micros: Vec<i64>, nulls: Option<NullBuffer>, to: &DataType) -> Option<ArrayRef> {
    fn ticks<T: ArrowPrimitiveType<Native = i64>>(
        micros: &[i64],
        nulls: Option<NullBuffer>,
        tick: impl Fn(i64) -> i64,
    ) -> PrimitiveArray<T> {
        PrimitiveArray::new(micros.iter().map(|&m| tick(m)).collect(), nulls)
    }
    Some(match to {
        DataType::Date32 => {
            let day = |m: &i64| m.div_euclid(MICROS_PER_DAY) as i32;
            let days: ScalarBuffer<i32> = micros.iter().map(day).collect();
            Arc::new(PrimitiveArray::<types::Date32Type>::new(days, nulls))
        }
        DataType::Date64 => {
            let day = |m: i64| m.div_euclid(MICROS_PER_DAY) * 86_400_000;
            Arc::new(ticks::<types::Date64Type>(&micros, nulls, day))
        }
        DataType::Timestamp(unit, zone) => {
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => {
                    let array =
                        ticks::<types::TimestampSecondType>(&micros, nulls, |m| m.div_euclid(1_000_000));
                    Arc::new(array.with_timezone_opt(zone))
                }
                TimeUnit::Millisecond => {
                    let array =
                        ticks::<types::TimestampMillisecondType>(&micros, nulls, |m| m.div_euclid(1_000));
                    Arc::new(array.with_timezone_opt(zone))
                }
                TimeUnit::Microsecond => {
                    let array = PrimitiveArray::<types::TimestampMicrosecondType>::new(micros.into(), nulls);
                    Arc::new(array.with_timezone_opt(zone))
                }
                TimeUnit::Nanosecond => {
                    let array =
                        ticks::<types::TimestampNanosecondType>(&micros, nulls, |m| m.saturating_mul(1_000));
                    Arc::new(array.with_timezone_opt(zone))
                }
            }
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let of_day = |m: i64| m.rem_euclid(MICROS_PER_DAY);
            let micros = ticks::<types::Time64MicrosecondType>(&micros, nulls, of_day);
            cast(&micros, to).ok()?
        }
        DataType::Dictionary(_, of) if !of.is_string() => {
            dictionary_of_values(&from_instants(micros, nulls, of)?, to).ok()?
        }
        // Numbers that were encoded as instants are nanoseconds.
        _ if to.is_integer() || to.is_floating() => from_ints(
            micros.iter().map(|m| m.saturating_mul(1_000)).collect(),
            nulls,
            to,
        )?,
        _ => {
            let array = PrimitiveArray::<types::Int64Type>::new(micros.into(), nulls);
            let texts: StringArray = write_instants(&array).collect();
            to_text_type(&texts, to)?
        }
    })
}

/// Instants as text: dates alone when all are midnight.
fn write_instants(micros: &PrimitiveArray<types::Int64Type>) -> impl Iterator<Item = Option<String>> {
    let all_midnight = micros.iter().flatten().all(|m| m.rem_euclid(MICROS_PER_DAY) == 0);
    let form = TimeForm {
        date: None,
        separator: ' ',
        seconds: true,
        decimals: vec![0, 3, 6],
        zone: None,
        midnight_as_date: all_midnight,
    };
    micros.iter().map(move |instant| {
        let mut out = Vec::new();
        let micros = instant?;
        let nanos = micros.rem_euclid(1_000_000) as u32 * 1_000;
        write_date_time(micros.div_euclid(1_000_000), nanos, &form, 0, &mut out);
        String::from_utf8(out).ok()
    })
}

fn to_text_type(texts: &StringArray, to: &DataType) -> Option<ArrayRef> {
    let is_text = match to {
        DataType::Dictionary(_, values) => values.is_string(),
        other => other.is_string(),
    };
    match to {
        DataType::Dictionary(_, of) if is_text => dictionary_of_values(&cast(texts, of).ok()?, to).ok(),
        _ if is_text => cast(texts, to).ok(),
        _ => None,
    }
}

/// Whole numbers of a narrower type, those out of its range at its end.
fn narrow(array: PrimitiveArray<types::Int64Type>, to: &DataType) -> Option<ArrayRef> {
    fn saturated<T>(array: &PrimitiveArray<types::Int64Type>) -> Option<ArrayRef>
    where
        T: ArrowPrimitiveType,
        T::Native: TryFrom<i64> + ArrowNativeTypeOp,
    {
        let nearest = |v: i64| {
            let end = if v < 0 {
                T::Native::MIN_TOTAL_ORDER
            } else {
                T::Native::MAX_TOTAL_ORDER
            };
            T::Native::try_from(v).unwrap_or(end)
        };
        Some(Arc::new(array.unary::<_, T>(nearest)))
    }
    match to {
        DataType::Int64 => Some(Arc::new(array)),
        DataType::Int8 => saturated::<types::Int8Type>(&array),
        DataType::Int16 => saturated::<types::Int16Type>(&array),
        DataType::Int32 => saturated::<types::Int32Type>(&array),
        DataType::UInt8 => saturated::<types::UInt8Type>(&array),
        DataType::UInt16 => saturated::<types::UInt16Type>(&array),
        DataType::UInt32 => saturated::<types::UInt32Type>(&array),
        DataType::UInt64 => saturated::<types::UInt64Type>(&array),
        _ => None,
    }
}

/// A number on its way to a decimal.
enum Amount {
    Int(i64),
    Float(f64),
}

/// Decimals of numbers, those beyond the precision at its end.
fn decimal(values: impl Iterator<Item = Option<Amount>>, precision: u8, scale: i8) -> Option<ArrayRef> {
    let max = 10_i128.checked_pow(u32::from(precision))? - 1;
    let factor = 10_f64.powi(i32::from(scale));
    let unscaled = values.map(|value| match value? {
        Amount::Int(v) if scale >= 0 => {
            let exact = i128::from(v).saturating_mul(10_i128.saturating_pow(scale.unsigned_abs().into()));
            Some(exact.clamp(-max, max))
        }
        Amount::Int(v) => Some(((v as f64 * factor).round() as i128).clamp(-max, max)),
        Amount::Float(v) => (!v.is_nan()).then(|| ((v * factor).round() as i128).clamp(-max, max)),
    });
    let array: Decimal128Array = unscaled.collect();
    array
        .with_precision_and_scale(precision, scale)
        .ok()
        .map(|a| Arc::new(a) as ArrayRef)
}

/// The 128-bit decimal that a decimal of another width is made from.
fn widest(to: &DataType) -> DataType {
    match to {
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(_, scale) => {
            DataType::Decimal128(arrow_schema::DECIMAL128_MAX_PRECISION, *scale)
        }
        other => other.clone(),
    }
}
