//! A record batch as the core sees it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{self, ArrowPrimitiveType};
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_schema::{DataType, Field, Schema};
use engine_core::encode::{EncodingTypes, ValueKind};
use engine_core::schema::{Bitmap, Column, Offsets, Table, TextValues, TimeUnit, Values};

use crate::data::error::DataError;

/// A record batch that can be shown to the core. Columns are shared with the batch that it was made from; only those of
/// a type that the core does not know (dictionaries, views, half precision, rare decimals, times of day) are cast.
#[derive(Debug, Clone)]
pub struct TableBatch {
    names: Vec<String>,
    columns: Vec<ArrayRef>,
    rows: usize,
}

impl TableBatch {
    /// Takes the columns of a batch.
    ///
    /// # Errors
    /// [`DataError::UnsupportedType`] for nested and binary columns, [`DataError::Convert`] when a wide decimal does not
    /// fit 128 bits.
    pub fn new(batch: &RecordBatch) -> Result<Self, DataError> {
        Self::encoded_as(batch, &EncodingTypes::new())
    }

    /// As [`Self::new`], for columns that are to be encoded so: times of day that are encoded as instants are shown as instants
    /// of the first day of 1970 instead of texts.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn encoded_as(batch: &RecordBatch, types: &EncodingTypes) -> Result<Self, DataError> {
        let schema: &Schema = batch.schema_ref();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
            let is_instant = types
                .get(field.name())
                .is_some_and(|e| e.decodes_to() == Some(ValueKind::Instants));
            known_type(field, array, is_instant)
        });
        Ok(Self {
            names: schema.fields().iter().map(|f| f.name().clone()).collect(),
            columns: columns.collect::<Result<_, _>>()?,
            rows: batch.num_rows(),
        })
    }

    /// The batch as a table, without a copy.
    ///
    /// # Errors
    /// [`DataError::Table`] when two columns have one name, [`DataError::UnsupportedType`] when the bytes of a text
    /// column are not UTF-8.
    pub fn table(&self) -> Result<Table<'_>, DataError> {
        let columns = self
            .names
            .iter()
            .zip(&self.columns)
            .map(|(name, array)| column(name, array));
        Ok(Table::new(columns.collect::<Result<_, _>>()?, self.rows)?)
    }
}

/// The column itself, or a cast one when the core does not know its type.
fn known_type(field: &Field, array: &ArrayRef, is_instant: bool) -> Result<ArrayRef, DataError> {
    if let (DataType::Time32(_) | DataType::Time64(_), true) = (array.data_type(), is_instant) {
        return time_of_first_day(field, array);
    }
    let to = match array.data_type() {
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(_, scale) => {
            DataType::Decimal128(arrow_schema::DECIMAL128_MAX_PRECISION, *scale)
        }
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Utf8,
        DataType::Utf8View => DataType::LargeUtf8,
        DataType::Dictionary(_, values) if values.is_string() => DataType::LargeUtf8,
        DataType::Dictionary(_, values) => (**values).clone(),
        _ => return Ok(Arc::clone(array)),
    };
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let known = cast_with_options(array, &to, &strict).map_err(|source| DataError::Convert {
        column: field.name().clone(),
        data_type: to.to_string(),
        source,
    })?;
    if matches!(array.data_type(), DataType::Dictionary(..)) {
        known_type(field, &known, is_instant)
    } else {
        Ok(known)
    }
}

/// Times of day as instants of 1970-01-01 in the same unit.
fn time_of_first_day(field: &Field, array: &ArrayRef) -> Result<ArrayRef, DataError> {
    let convert = |to: &DataType| {
        let (column, data_type) = (field.name().clone(), to.to_string());
        move |source| DataError::Convert {
            column,
            data_type,
            source,
        }
    };
    let unit = match array.data_type() {
        DataType::Time32(unit) | DataType::Time64(unit) => *unit,
        _ => return Ok(Arc::clone(array)),
    };
    // Times of day are ticks as well, those of seconds and milliseconds in 32 bits.
    let ticks = match array.data_type() {
        DataType::Time32(_) => cast(array, &DataType::Int32).map_err(convert(&DataType::Int32))?,
        _ => Arc::clone(array),
    };
    let ticks = cast(&ticks, &DataType::Int64).map_err(convert(&DataType::Int64))?;
    let instants = DataType::Timestamp(unit, None);
    cast(&ticks, &instants).map_err(convert(&instants))
}

fn column<'a>(name: &'a str, array: &'a ArrayRef) -> Result<Column<'a>, DataError> {
    let unsupported = || DataError::UnsupportedType {
        file: "record batch".to_owned(),
        column: name.to_owned(),
        data_type: array.data_type().to_string(),
    };
    let values = match array.data_type() {
        DataType::Null => Values::Null(array.len()),
        DataType::Boolean => Values::Boolean(bitmap(array.as_boolean().values()).ok_or_else(unsupported)?),
        DataType::Int8 => Values::Int8(slice::<types::Int8Type>(array)),
        DataType::Int16 => Values::Int16(slice::<types::Int16Type>(array)),
        DataType::Int32 => Values::Int32(slice::<types::Int32Type>(array)),
        DataType::Int64 => Values::Int64(slice::<types::Int64Type>(array)),
        DataType::UInt8 => Values::UInt8(slice::<types::UInt8Type>(array)),
        DataType::UInt16 => Values::UInt16(slice::<types::UInt16Type>(array)),
        DataType::UInt32 => Values::UInt32(slice::<types::UInt32Type>(array)),
        DataType::UInt64 => Values::UInt64(slice::<types::UInt64Type>(array)),
        DataType::Float32 => Values::Float32(slice::<types::Float32Type>(array)),
        DataType::Float64 => Values::Float64(slice::<types::Float64Type>(array)),
        DataType::Decimal128(_, scale) => Values::Decimal {
            unscaled: slice::<types::Decimal128Type>(array),
            scale: *scale,
        },
        DataType::Date32 => Values::Date(slice::<types::Date32Type>(array)),
        DataType::Timestamp(unit, zone) => timestamp(array, *unit, zone.is_some()),
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let bytes = used(
                texts.value_data(),
                texts.value_offsets().last().map(|&end| end as usize),
            );
            Values::Text(TextValues::new(
                Offsets::Small(texts.value_offsets()),
                bytes.ok_or_else(unsupported)?,
            ))
        }
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            let bytes = used(
                texts.value_data(),
                texts.value_offsets().last().map(|&end| end as usize),
            );
            Values::Text(TextValues::new(
                Offsets::Large(texts.value_offsets()),
                bytes.ok_or_else(unsupported)?,
            ))
        }
        _ => return Err(unsupported()),
    };
    let validity = match array.nulls() {
        Some(nulls) if nulls.null_count() > 0 => Some(bitmap(nulls.inner()).ok_or_else(unsupported)?),
        _ => None,
    };
    Ok(Column {
        name,
        values,
        validity,
    })
}

fn slice<T: ArrowPrimitiveType>(array: &ArrayRef) -> &[T::Native] {
    let array: &PrimitiveArray<T> = array.as_primitive();
    array.values()
}

fn timestamp(array: &ArrayRef, unit: arrow_schema::TimeUnit, zoned: bool) -> Values<'_> {
    let (ticks, unit) = match unit {
        arrow_schema::TimeUnit::Second => (slice::<types::TimestampSecondType>(array), TimeUnit::Second),
        arrow_schema::TimeUnit::Millisecond => (
            slice::<types::TimestampMillisecondType>(array),
            TimeUnit::Millisecond,
        ),
        arrow_schema::TimeUnit::Microsecond => (
            slice::<types::TimestampMicrosecondType>(array),
            TimeUnit::Microsecond,
        ),
        arrow_schema::TimeUnit::Nanosecond => (
            slice::<types::TimestampNanosecondType>(array),
            TimeUnit::Nanosecond,
        ),
    };
    Values::Timestamp { ticks, unit, zoned }
}

fn bitmap(bits: &BooleanBuffer) -> Option<Bitmap<'_>> {
    Bitmap::new(bits.values(), bits.offset(), bits.len())
}

/// The part of a text buffer that the offsets reach, as text.
fn used(bytes: &[u8], end: Option<usize>) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes.get(..end?)?).ok()
}
