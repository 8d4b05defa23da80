//! The second pass: record batches of the types that the first one found.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, NullArray, PrimitiveArray, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_cast::cast;
use arrow_schema::{DataType, SchemaRef};
use rayon::prelude::*;

use super::block::{Block, BlockReader};
use super::classify::{boolean, integer, is_not_a_number, trim};
use super::infer::CsvTable;
use super::known::{date_form, known_values, parse_failures};
use crate::data::error::{DataError, shorten};
use crate::data::written::{DateForm, Role, describe_form, describe_value, iso, null_word};

/// Record batches of a CSV file, without the excluded columns.
pub(crate) struct CsvBatches {
    table: Arc<CsvTable>,
    schema: SchemaRef,
    /// Place in the file of each column of the schema.
    columns: Vec<usize>,
    reader: BlockReader,
    batch_rows: usize,
    block: Block,
    next: Block,
    started: bool,
    failed: bool,
    /// Rows of the blocks before.
    rows: u64,
    /// By column of the schema: values that contradict the model's form and are read as null.
    parse_failures: Vec<u64>,
}

impl CsvBatches {
    /// Starts at the first row.
    pub(crate) fn new(table: Arc<CsvTable>, schema: SchemaRef, batch_rows: usize) -> Result<Self, DataError> {
        let reader = BlockReader::new(Arc::clone(&table.input), table.delimiter)?;
        let formats = table.format().columns.iter().enumerate();
        let columns = formats
            .filter(|(_, c)| c.role != Role::Excluded)
            .map(|(at, _)| at)
            .collect::<Vec<_>>();
        Ok(Self {
            parse_failures: vec![0; columns.len()],
            rows: 0,
            table,
            schema,
            columns,
            reader,
            batch_rows,
            block: Block::default(),
            next: Block::default(),
            started: false,
            failed: false,
        })
    }

    fn read_next(&mut self) -> Result<Option<RecordBatch>, DataError> {
        if !self.started {
            self.started = true;
            self.reader.read_block(self.batch_rows, &mut self.block)?;
        }
        if self.block.rows() == 0 {
            self.warn_of_parse_failures();
            return Ok(None);
        }
        let first_row = self.rows;
        self.rows += self.block.rows() as u64;
        let (reader, next, block) = (&mut self.reader, &mut self.next, &self.block);
        let (table, schema, columns) = (&self.table, &self.schema, &self.columns);
        let parse_failures = &mut self.parse_failures;
        let (read, arrays) = rayon::join(
            || reader.read_block(self.batch_rows, next),
            || {
                let columns = columns.par_iter().zip(schema.fields().par_iter());
                let columns = columns.zip(parse_failures.par_iter_mut());
                let build =
                    |((&at, field), parse_failures): ((&usize, &Arc<arrow_schema::Field>), &mut u64)| {
                        let column = BlockColumn {
                            block,
                            at,
                            name: field.name(),
                            table,
                            first_row,
                            has_null_words: table.has_null_words(at),
                        };
                        if table.known[at] {
                            column.known(field.data_type(), parse_failures)
                        } else {
                            column.build(field.data_type())
                        }
                    };
                columns.map(build).collect::<Result<Vec<_>, _>>()
            },
        );
        let rows = RecordBatchOptions::new().with_row_count(Some(block.rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays?, &rows);
        let convert = |source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "a batch".to_owned(),
            source,
        };
        let batch = batch.map_err(convert)?;
        read?;
        std::mem::swap(&mut self.block, &mut self.next);
        Ok(Some(batch))
    }
}

impl CsvBatches {
    fn warn_of_parse_failures(&mut self) {
        for (field, count) in self.schema.fields().iter().zip(&mut self.parse_failures) {
            if *count > 0 {
                tracing::warn!(
                    column = field.name(),
                    count,
                    "values that do not fit the model's type are read as null"
                );
                *count = 0;
            }
        }
    }
}

impl Iterator for CsvBatches {
    type Item = Result<RecordBatch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read_next().transpose();
        self.failed = matches!(read, Some(Err(_)));
        read
    }
}

/// One column of a block.
struct BlockColumn<'a> {
    block: &'a Block,
    at: usize,
    name: &'a str,
    table: &'a CsvTable,
    /// Rows of the table before the block.
    first_row: u64,
    /// Whether the usual words for a missing value are null.
    has_null_words: bool,
}

impl BlockColumn<'_> {
    fn build(&self, data_type: &DataType) -> Result<ArrayRef, DataError> {
        Ok(match data_type {
            DataType::Int64 => Arc::new(self.primitive::<Int64Type>(integer)?),
            DataType::Float64 => Arc::new(self.primitive::<Float64Type>(number)?),
            DataType::Date32 => Arc::new(match self.date_form() {
                None => self.primitive::<Date32Type>(iso::parse_date)?,
                Some(form) => self.primitive::<Date32Type>(|field| iso::parse_date(&form.to_iso(field)?))?,
            }),
            DataType::Timestamp(_, zone) => {
                let array = match self.date_form() {
                    None => self.primitive::<TimestampMicrosecondType>(instant)?,
                    Some(form) => {
                        self.primitive::<TimestampMicrosecondType>(|field| instant(&form.to_iso(field)?))?
                    }
                };
                Arc::new(array.with_timezone_opt(zone.clone()))
            }
            DataType::Boolean => self.boolean()?,
            DataType::Null => self.null()?,
            _ => self.text()?,
        })
    }

    /// How dates are written, where that is not as ISO 8601 has it.
    fn date_form(&self) -> Option<DateForm> {
        date_form(&self.table.format().columns[self.at])
    }

    /// Values of a column in the form of the model. A value in another form is an error, or counted and null.
    fn known(&self, data_type: &DataType, failures: &mut u64) -> Result<ArrayRef, DataError> {
        let convert = |source| DataError::Convert {
            column: self.name.to_owned(),
            data_type: data_type.to_string(),
            source,
        };
        if data_type.is_string() {
            return cast(&self.text()?, data_type).map_err(convert);
        }
        let column = &self.table.format().columns[self.at];
        let fields = || {
            let fields = self.block.column(self.at);
            fields.map(|field| (!self.is_null(field)).then_some(field))
        };
        let array = known_values(fields(), column).map_err(convert)?;
        let Some((row, field)) = parse_failures(fields(), &array).next() else {
            return Ok(array);
        };
        if !self.table.lenient {
            return Err(DataError::Form {
                file: self.table.input.name.clone(),
                row: self.first_row + row as u64 + 1,
                column: self.name.to_owned(),
                value: shorten(field),
                found: describe_value(trim(field).0),
                expected: describe_form(column),
            });
        }
        *failures += parse_failures(fields(), &array).count() as u64;
        Ok(array)
    }

    fn is_null(&self, field: &[u8]) -> bool {
        let is_named = || self.table.null_texts.iter().any(|text| text.as_bytes() == field);
        field.is_empty() || is_named() || self.has_null_words && null_word(field).is_some()
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        parse: impl Fn(&[u8]) -> Option<T::Native>,
    ) -> Result<PrimitiveArray<T>, DataError> {
        let mut values = Vec::with_capacity(self.block.rows());
        let mut nulls = Vec::new();
        for (row, field) in self.block.column(self.at).enumerate() {
            let (value, _, _) = trim(field);
            // A null text such as -99 could be read as a number.
            let null_text = !self.table.null_texts.is_empty() && self.is_null(field);
            match if null_text { None } else { parse(value) } {
                Some(parsed) => values.push(parsed),
                None if self.is_null(field) || is_not_a_number(value) => {
                    nulls.push(row);
                    values.push(T::Native::default());
                }
                None => return Err(self.changed(row, field)),
            }
        }
        Ok(PrimitiveArray::new(
            ScalarBuffer::from(values),
            self.validity(&nulls),
        ))
    }

    fn boolean(&self) -> Result<ArrayRef, DataError> {
        let mut values = BooleanBufferBuilder::new(self.block.rows());
        let mut nulls = Vec::new();
        for (row, field) in self.block.column(self.at).enumerate() {
            let parsed = if self.is_null(field) {
                None
            } else {
                boolean(trim(field).0)
            };
            match parsed {
                Some((value, _)) => values.append(value),
                None if self.is_null(field) => {
                    nulls.push(row);
                    values.append(false);
                }
                None => return Err(self.changed(row, field)),
            }
        }
        Ok(Arc::new(BooleanArray::new(
            values.finish(),
            self.validity(&nulls),
        )))
    }

    fn text(&self) -> Result<ArrayRef, DataError> {
        let rows = self.block.rows();
        let mut bytes = Vec::new();
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        let mut nulls = Vec::new();
        for (row, field) in self.block.column(self.at).enumerate() {
            if self.is_null(field) {
                nulls.push(row);
            } else {
                bytes.extend_from_slice(field);
            }
            // A block is far smaller than 2 GiB.
            offsets.push(bytes.len() as i32);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let array = StringArray::try_new(offsets, Buffer::from_vec(bytes), self.validity(&nulls));
        let (column, data_type) = (self.name.to_owned(), DataType::Utf8.to_string());
        Ok(Arc::new(array.map_err(|source| DataError::Convert {
            column,
            data_type,
            source,
        })?))
    }

    fn null(&self) -> Result<ArrayRef, DataError> {
        match self
            .block
            .column(self.at)
            .enumerate()
            .find(|(_, field)| !self.is_null(field))
        {
            Some((row, field)) => Err(self.changed(row, field)),
            None => Ok(Arc::new(NullArray::new(self.block.rows()))),
        }
    }

    fn validity(&self, nulls: &[usize]) -> Option<NullBuffer> {
        if nulls.is_empty() {
            return None;
        }
        let mut valid = BooleanBufferBuilder::new(self.block.rows());
        valid.append_n(self.block.rows(), true);
        nulls.iter().for_each(|&row| valid.set_bit(row, false));
        Some(NullBuffer::new(valid.finish()))
    }

    fn changed(&self, row: usize, field: &[u8]) -> DataError {
        let line = match self.table.input.line_at(self.block.start(row)) {
            Ok(line) => line,
            Err(error) => return error,
        };
        DataError::Changed {
            file: self.table.input.name.clone(),
            line,
            column: self.name.to_owned(),
            value: shorten(field),
        }
    }
}

fn number(field: &[u8]) -> Option<f64> {
    if field
        .first()
        .is_none_or(|b| !matches!(b, b'0'..=b'9' | b'-' | b'.'))
    {
        return None;
    }
    let value: f64 = std::str::from_utf8(field).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// Microseconds of a date with or without a time of day.
fn instant(field: &[u8]) -> Option<i64> {
    match iso::parse_date_time(field) {
        Some((micros, _)) => Some(micros),
        None => iso::parse_date(field).map(|days| i64::from(days) * 86_400_000_000),
    }
}
