//! Record batches as CSV text in a table's written forms.

use std::str::FromStr;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use rayon::prelude::*;

use crate::data::error::DataError;
use crate::data::written::{
    BooleanWords, ColumnFormat, DateForm, NumberForm, TableFormat, TimeForm, WrittenForm, iso, plain_form,
    write_date_time, write_f32, write_f64,
};

/// Rows that are formatted as one piece of work.
const CHUNK_ROWS: usize = 4_096;
/// Chunks whose text is held at a time.
const CHUNKS_AT_A_TIME: usize = 16;

/// What is given of a column, beside what was drawn: it is written as it was given.
#[derive(Debug, Clone)]
pub(crate) struct GivenCells {
    /// Which rows are given.
    pub(crate) rows: BooleanArray,
    /// The texts that they were given with, where they were texts.
    pub(crate) texts: Option<ArrayRef>,
}

/// What becomes of decimals that the form of a column has no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Numbers are rounded and times cut off, as drawn values are.
    AsColumn,
    /// Numbers keep them, as a mean does.
    Times,
    /// All keep them.
    None,
}

/// Formats record batches of a table's output schema.
#[derive(Debug)]
pub(crate) struct CsvFormatter {
    rounding: Rounding,
    delimiter: u8,
    quoted_header: bool,
    columns: Vec<Arc<ColumnWriter>>,
}

/// How one column is written.
#[derive(Debug)]
struct ColumnWriter {
    name: String,
    quoted: bool,
    leading_spaces: usize,
    null_text: Vec<u8>,
    number: NumberForm,
    date: Option<DateForm>,
    time: TimeForm,
    offset_minutes: i32,
    words: BooleanWords,
}

/// The values of one column of a batch, ready to be written.
enum Cells {
    Null,
    Boolean(ArrayRef),
    Int(PrimitiveArray<Int64Type>),
    UInt(PrimitiveArray<UInt64Type>),
    Float32(PrimitiveArray<Float32Type>),
    Float64(PrimitiveArray<Float64Type>),
    Date(PrimitiveArray<Date32Type>),
    /// Ticks since 1970 and ticks of a second.
    Time(ArrayRef, PrimitiveArray<Int64Type>, i64),
    /// Formats like decimals and times of day that Arrow writes.
    Bare(ArrayRef),
    Text(ArrayRef),
    LargeText(ArrayRef),
    /// Distinct texts as they are written, and which of them a row has.
    Labels(PrimitiveArray<UInt32Type>, Vec<Vec<u8>>),
    /// What was given of a column, and what it holds in all rows.
    Given(GivenCells, Box<Cells>),
}

impl CsvFormatter {
    /// A formatter for the output columns of `format`.
    pub(crate) fn new(format: &TableFormat) -> Self {
        Self {
            rounding: Rounding::AsColumn,
            delimiter: u8::try_from(format.csv.delimiter).unwrap_or(b','),
            quoted_header: format.csv.quoted_header,
            columns: format
                .output_columns()
                .map(|c| Arc::new(ColumnWriter::new(c)))
                .collect(),
        }
    }

    /// From now on this is what becomes of decimals that the form of a column has no place for.
    pub(crate) fn set_rounding(&mut self, rounding: Rounding) {
        self.rounding = rounding;
    }

    /// The header line.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(self.delimiter);
            }
            push_text(
                column.name.as_bytes(),
                self.quoted_header,
                self.delimiter,
                &mut out,
            );
        }
        out.push(b'\n');
        out
    }

    /// Formats a batch and hands its text to `write` piece by piece, in order. The pieces are made side by side; where
    /// they are cut does not depend on the number of threads.
    ///
    /// # Errors
    /// Those of `write`, and [`DataError::Convert`].
    pub(crate) fn format(
        &self,
        batch: &RecordBatch,
        given: &[Option<GivenCells>],
        mut write: impl FnMut(&[u8]) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let columns = self.columns.par_iter().zip(batch.columns().par_iter());
        let cells = columns
            .enumerate()
            .map(|(at, (c, array))| {
                let drawn = c.cells(array, self.delimiter)?;
                Ok(match given.get(at).and_then(Option::as_ref) {
                    None => drawn,
                    Some(given) => Cells::Given(given.clone(), Box::new(drawn)),
                })
            })
            .collect::<Result<Vec<_>, DataError>>()?;
        let starts: Vec<usize> = (0..batch.num_rows()).step_by(CHUNK_ROWS).collect();
        for some in starts.chunks(CHUNKS_AT_A_TIME) {
            let chunk = |&start: &usize| {
                let end = (start + CHUNK_ROWS).min(batch.num_rows());
                self.format_rows(&cells, start, end)
            };
            let texts: Vec<Vec<u8>> = some.par_iter().map(chunk).collect();
            texts.iter().try_for_each(|text| write(text))?;
        }
        Ok(())
    }

    /// The fields of those cells of a batch that are `wanted` (column, row), column by column; others are empty.
    ///
    /// # Errors
    /// [`DataError::Convert`].
    pub(crate) fn fields(
        &self,
        batch: &RecordBatch,
        wanted: impl Fn(usize, usize) -> bool,
    ) -> Result<Vec<Vec<Vec<u8>>>, DataError> {
        let columns = self.columns.iter().zip(batch.columns()).enumerate();
        let of_column = |(at, (column, array)): (usize, (&Arc<ColumnWriter>, &ArrayRef))| {
            let cells = column.cells(array, self.delimiter)?;
            let field = |row: usize| {
                let mut out = Vec::new();
                if wanted(at, row) {
                    column.write((&cells, row), self.rounding, self.delimiter, &mut out);
                }
                out
            };
            Ok((0..batch.num_rows()).map(field).collect())
        };
        columns.map(of_column).collect()
    }

    fn format_rows(&self, cells: &[Cells], start: usize, end: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity((end - start) * cells.len() * 8);
        let single = cells.len() == 1;
        for row in start..end {
            let line = out.len();
            for (at, (column, cells)) in self.columns.iter().zip(cells).enumerate() {
                if at > 0 {
                    out.push(self.delimiter);
                }
                column.write((cells, row), self.rounding, self.delimiter, &mut out);
            }
            if single && out.len() == line {
                // An empty line would not be read as a row.
                out.extend_from_slice(b"\"\"");
            }
            out.push(b'\n');
        }
        out
    }
}

impl ColumnWriter {
    fn new(format: &ColumnFormat) -> Self {
        let mut writer = Self {
            name: format.name.clone(),
            quoted: format.quoted,
            leading_spaces: usize::from(format.leading_spaces),
            null_text: format.null_text.clone().into_bytes(),
            number: plain_form(),
            date: None,
            time: plain_time(&format.data_type),
            offset_minutes: 0,
            words: BooleanWords {
                true_word: "true".to_owned(),
                false_word: "false".to_owned(),
            },
        };
        match &format.written {
            WrittenForm::Plain => {}
            WrittenForm::Number(form) => writer.number = form.clone(),
            WrittenForm::Date(form) => writer.date = Some(*form),
            WrittenForm::Time(form) => {
                writer.date = form.date;
                writer.time = form.clone();
            }
            WrittenForm::Boolean(words) => writer.words = words.clone(),
        }
        let zone = writer.time.zone.as_deref().unwrap_or_default();
        writer.offset_minutes = iso::parse_zone(zone.as_bytes()).unwrap_or(0);
        writer
    }

    fn cells(&self, array: &ArrayRef, delimiter: u8) -> Result<Cells, DataError> {
        let to = |data_type: &DataType| {
            cast(array, data_type).map_err(|source| DataError::Convert {
                column: self.name.clone(),
                data_type: data_type.to_string(),
                source,
            })
        };
        Ok(match array.data_type() {
            DataType::Null => Cells::Null,
            DataType::Boolean => Cells::Boolean(Arc::clone(array)),
            DataType::UInt64 => Cells::UInt(array.as_primitive().clone()),
            t if t.is_integer() => Cells::Int(to(&DataType::Int64)?.as_primitive().clone()),
            DataType::Float16 | DataType::Float32 => {
                Cells::Float32(to(&DataType::Float32)?.as_primitive().clone())
            }
            DataType::Float64 => Cells::Float64(array.as_primitive().clone()),
            DataType::Date32 | DataType::Date64 => Cells::Date(to(&DataType::Date32)?.as_primitive().clone()),
            DataType::Timestamp(unit, _) => {
                let (ticks, per_second) = ticks(array, *unit);
                Cells::Time(Arc::clone(array), ticks, per_second)
            }
            DataType::Utf8 => Cells::Text(Arc::clone(array)),
            DataType::LargeUtf8 => Cells::LargeText(Arc::clone(array)),
            DataType::Utf8View => Cells::LargeText(to(&DataType::LargeUtf8)?),
            DataType::Dictionary(_, values) if values.is_string() => self.labels(array, delimiter)?,
            DataType::Dictionary(_, values) => return self.cells(&to(values)?, delimiter),
            _ => Cells::Bare(to(&DataType::Utf8)?),
        })
    }

    /// Formats the distinct texts of a dictionary once.
    fn labels(&self, array: &ArrayRef, delimiter: u8) -> Result<Cells, DataError> {
        let convert = |data_type: &DataType| {
            let (column, name) = (self.name.clone(), data_type.to_string());
            move |source| DataError::Convert {
                column,
                data_type: name,
                source,
            }
        };
        let dictionary = array.as_any_dictionary();
        let values =
            cast(dictionary.values(), &DataType::LargeUtf8).map_err(convert(&DataType::LargeUtf8))?;
        let labels = values.as_string::<i64>().iter().map(|label| {
            let mut out = Vec::new();
            match label {
                Some(text) => push_text(text.as_bytes(), self.quoted, delimiter, &mut out),
                None => self.push_null(delimiter, &mut out),
            }
            out
        });
        let keys = cast(dictionary.keys(), &DataType::UInt32).map_err(convert(&DataType::UInt32))?;
        Ok(Cells::Labels(keys.as_primitive().clone(), labels.collect()))
    }

    fn write(&self, (cells, row): (&Cells, usize), rounding: Rounding, delimiter: u8, out: &mut Vec<u8>) {
        if cells.is_null(row) {
            return self.push_null(delimiter, out);
        }
        match cells {
            Cells::Given(given, drawn) => {
                let is_given = given.rows.value(row);
                let texts = given.texts.as_ref().map(|texts| texts.as_string::<i32>());
                match texts.filter(|texts| is_given && texts.is_valid(row)) {
                    Some(texts) => push_text(texts.value(row).as_bytes(), self.quoted, delimiter, out),
                    None => {
                        let rounding = if is_given { Rounding::None } else { rounding };
                        self.write((drawn, row), rounding, delimiter, out);
                    }
                }
            }
            Cells::Text(array) => push_text(
                array.as_string::<i32>().value(row).as_bytes(),
                self.quoted,
                delimiter,
                out,
            ),
            Cells::LargeText(array) => push_text(
                array.as_string::<i64>().value(row).as_bytes(),
                self.quoted,
                delimiter,
                out,
            ),
            Cells::Labels(keys, labels) => out.extend_from_slice(&labels[keys.value(row) as usize]),
            _ => self.write_bare((cells, row), rounding, delimiter, out),
        }
    }

    /// Writes what stands for null; an empty one stays without quotes.
    fn push_null(&self, delimiter: u8, out: &mut Vec<u8>) {
        if !self.null_text.is_empty() {
            push_text(&self.null_text, false, delimiter, out);
        }
    }

    /// Writes a value that is not text; it needs quotes only when the delimiter is one of its characters.
    fn write_bare(
        &self,
        (cells, row): (&Cells, usize),
        rounding: Rounding,
        delimiter: u8,
        out: &mut Vec<u8>,
    ) {
        out.extend(std::iter::repeat_n(b' ', self.leading_spaces));
        if self.quoted {
            out.push(b'"');
        }
        let start = out.len();
        match cells {
            Cells::Boolean(array) => {
                let word = if array.as_boolean().value(row) {
                    &self.words.true_word
                } else {
                    &self.words.false_word
                };
                out.extend_from_slice(word.as_bytes());
            }
            Cells::Int(array) => {
                out.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes())
            }
            Cells::UInt(array) => {
                out.extend_from_slice(itoa::Buffer::new().format(array.value(row)).as_bytes())
            }
            Cells::Float32(array) => {
                write_f32(array.value(row), &self.number, out);
                if rounding != Rounding::AsColumn && parsed::<f32>(&out[start..]) != Some(array.value(row)) {
                    out.truncate(start);
                    write_f32(array.value(row), &plain_form(), out);
                }
            }
            Cells::Float64(array) => {
                write_f64(array.value(row), &self.number, out);
                if rounding != Rounding::AsColumn && parsed::<f64>(&out[start..]) != Some(array.value(row)) {
                    out.truncate(start);
                    write_f64(array.value(row), &plain_form(), out);
                }
            }
            Cells::Date(array) => iso::write_date(i64::from(array.value(row)), out),
            Cells::Time(_, ticks, per_second) => {
                let tick = ticks.value(row);
                let nanos = tick.rem_euclid(*per_second) * (1_000_000_000 / per_second);
                let seconds = tick.div_euclid(*per_second);
                let is_cut = rounding == Rounding::None && !shows(&self.time, seconds, nanos as u32);
                let longer = is_cut.then(|| TimeForm {
                    seconds: true,
                    decimals: vec![0, 3, 6, 9],
                    ..self.time.clone()
                });
                let form = longer.as_ref().unwrap_or(&self.time);
                write_date_time(seconds, nanos as u32, form, self.offset_minutes, out);
            }
            Cells::Bare(array) => out.extend_from_slice(array.as_string::<i32>().value(row).as_bytes()),
            Cells::Null | Cells::Text(_) | Cells::LargeText(_) | Cells::Labels(..) | Cells::Given(..) => {}
        }
        if let (Some(form), Cells::Date(_) | Cells::Time(..)) = (self.date, cells) {
            form.rewrite(start, out);
        }
        if self.quoted {
            out.push(b'"');
        } else if out[start..].contains(&delimiter) {
            out.insert(start, b'"');
            out.push(b'"');
        }
    }
}

impl Cells {
    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Boolean(a) | Self::Bare(a) | Self::Text(a) | Self::LargeText(a) | Self::Time(a, ..) => {
                a.is_null(row)
            }
            Self::Int(a) => a.is_null(row),
            Self::UInt(a) => a.is_null(row),
            // What is not finite has no written form that reads back as a number.
            Self::Float32(a) => a.is_null(row) || !a.value(row).is_finite(),
            Self::Float64(a) => a.is_null(row) || !a.value(row).is_finite(),
            Self::Date(a) => a.is_null(row),
            Self::Labels(keys, _) => keys.is_null(row),
            Self::Given(_, all) => all.is_null(row),
        }
    }
}

/// Values of a column that is not text, written as the column is, without quotes and spaces.
///
/// # Errors
/// [`DataError::Convert`].
pub(crate) fn written_values(
    array: &ArrayRef,
    format: &ColumnFormat,
) -> Result<Vec<Option<String>>, DataError> {
    let writer = ColumnWriter {
        quoted: false,
        leading_spaces: 0,
        ..ColumnWriter::new(format)
    };
    // No value holds this byte, so none needs quotes for it.
    let delimiter = 0;
    let cells = writer.cells(array, delimiter)?;
    let text = |row: usize| {
        let mut out = Vec::new();
        writer.write((&cells, row), Rounding::None, delimiter, &mut out);
        (!cells.is_null(row)).then(|| String::from_utf8_lossy(&out).into_owned())
    };
    Ok((0..array.len()).map(text).collect())
}

fn parsed<T: FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// Whether a form writes all of an instant.
fn shows(form: &TimeForm, seconds: i64, nanos: u32) -> bool {
    if !form.seconds {
        return nanos == 0 && seconds.rem_euclid(60) == 0;
    }
    let most = form.decimals.last().copied().unwrap_or(0).min(9);
    nanos.is_multiple_of(10_u32.pow(u32::from(9 - most)))
}

/// How instants that come without a form are written.
fn plain_time(data_type: &DataType) -> TimeForm {
    let zone = match data_type {
        // Only offsets are known without a database of zones; the instants of others are shown in UTC.
        DataType::Timestamp(_, Some(zone)) => Some(match iso::parse_zone(zone.as_bytes()) {
            Some(minutes) if minutes != 0 => zone.to_string(),
            _ => "Z".to_owned(),
        }),
        _ => None,
    };
    TimeForm {
        date: None,
        separator: ' ',
        seconds: true,
        decimals: vec![0, 3, 6, 9],
        zone,
        midnight_as_date: false,
    }
}

fn ticks(array: &ArrayRef, unit: TimeUnit) -> (PrimitiveArray<Int64Type>, i64) {
    fn plain<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef) -> PrimitiveArray<Int64Type> {
        array.as_primitive::<T>().reinterpret_cast()
    }
    match unit {
        TimeUnit::Second => (plain::<TimestampSecondType>(array), 1),
        TimeUnit::Millisecond => (plain::<TimestampMillisecondType>(array), 1_000),
        TimeUnit::Microsecond => (plain::<TimestampMicrosecondType>(array), 1_000_000),
        TimeUnit::Nanosecond => (plain::<TimestampNanosecondType>(array), 1_000_000_000),
    }
}

/// Writes a text, in quotes where it needs them.
fn push_text(text: &[u8], quoted: bool, delimiter: u8, out: &mut Vec<u8>) {
    let special = |&b: &u8| b == delimiter || matches!(b, b'"' | b'\n' | b'\r');
    if !quoted && !text.is_empty() && !text.iter().any(special) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(b'"');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
