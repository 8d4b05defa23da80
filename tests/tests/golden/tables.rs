//! Tables in and out of the encodings.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit as ArrowUnit};
use engine_core::schema::{
    Bitmap, Column, DecodedColumn, DecodedValues, Offsets, Table, TextValues, TimeUnit, Values,
};
use serde_json::Value;

use crate::compare::Outcome;

/// The columns of a record batch, without a copy.
pub(crate) fn table(batch: &RecordBatch) -> Outcome<Table<'_>> {
    let fields = batch.schema_ref().fields().iter().zip(batch.columns());
    let columns = fields.map(|(field, array)| {
        Ok(Column {
            name: field.name(),
            values: values(array)?,
            validity: match array.nulls() {
                None => None,
                Some(nulls) => {
                    let bitmap = Bitmap::new(nulls.buffer().as_slice(), nulls.offset(), nulls.len());
                    Some(bitmap.ok_or("a validity bitmap is too short")?)
                }
            },
        })
    });
    let columns = columns.collect::<Outcome<Vec<_>>>()?;
    Ok(Table::new(columns, batch.num_rows())?)
}

fn values(array: &ArrayRef) -> Outcome<Values<'_>> {
    Ok(match array.data_type() {
        DataType::Int64 => Values::Int64(array.as_primitive::<Int64Type>().values()),
        DataType::Float64 => Values::Float64(array.as_primitive::<Float64Type>().values()),
        DataType::Timestamp(ArrowUnit::Microsecond, zone) => Values::Timestamp {
            ticks: array.as_primitive::<TimestampMicrosecondType>().values(),
            unit: TimeUnit::Microsecond,
            zoned: zone.is_some(),
        },
        DataType::Boolean => {
            let bits = array.as_boolean().values();
            let bitmap = Bitmap::new(bits.values(), bits.offset(), bits.len());
            Values::Boolean(bitmap.ok_or("a boolean column is too short")?)
        }
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            let bytes = std::str::from_utf8(texts.value_data())?;
            Values::Text(TextValues::new(Offsets::Large(texts.value_offsets()), bytes))
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let bytes = std::str::from_utf8(texts.value_data())?;
            Values::Text(TextValues::new(Offsets::Small(texts.value_offsets()), bytes))
        }
        other => return Err(format!("the golden tables have no columns of type {other}").into()),
    })
}

/// A decoded column as the golden files write it.
pub(crate) fn as_json(column: &DecodedColumn) -> Outcome<Vec<Value>> {
    let cell = |row: usize| -> Outcome<Value> {
        if column.validity.as_ref().is_some_and(|valid| !valid[row]) {
            return Ok(Value::Null);
        }
        Ok(match &column.values {
            DecodedValues::Labels { indices, labels } => match &labels[indices[row] as usize] {
                Some(label) => Value::from(&**label),
                None => Value::Null,
            },
            DecodedValues::Text(texts) => Value::from(texts[row].as_str()),
            DecodedValues::Int(numbers) => Value::from(numbers[row]),
            DecodedValues::Float(numbers) => Value::from(numbers[row]),
            DecodedValues::Timestamp(micros) => Value::from(instant(micros[row])?),
            DecodedValues::Null(_) => Value::Null,
            _ => return Err("the golden files have no such values".into()),
        })
    };
    (0..column.len()).map(cell).collect()
}

/// `2007-04-09T12:00:17`, with six digits of a fraction where there is one.
fn instant(micros: i64) -> Outcome<String> {
    let instant = arrow_array::temporal_conversions::timestamp_us_to_datetime(micros);
    let instant = instant.ok_or_else(|| format!("{micros} is no instant"))?;
    let form = if micros % 1_000_000 == 0 {
        "%Y-%m-%dT%H:%M:%S"
    } else {
        "%Y-%m-%dT%H:%M:%S%.6f"
    };
    Ok(instant.format(form).to_string())
}

/// Whether two cells are equal: numbers by value, everything else as JSON.
pub(crate) fn same_cell(got: &Value, want: &Value) -> bool {
    match (got.as_f64(), want.as_f64()) {
        (Some(got), Some(want)) => got == want,
        _ => got == want,
    }
}
