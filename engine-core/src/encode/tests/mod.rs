//! The worked examples of the specification, and properties that hold for any values.

mod bin_distributions;
mod categorical;
mod character;
mod datetime;
mod datetime_relative;
mod digit;
mod lat_long;
mod merging;
mod numeric;
mod partitions;
mod private;
mod properties;
mod protected;
mod stats;
mod unknown;

use indexmap::IndexMap;

use super::*;
use crate::encode::values::dates::Dates;
use crate::encode::values::instant_text::{Form, instant_text};
use crate::encode::values::strings::float_text;
use crate::schema::{
    Bitmap, CodeColumn, CodeTable, Column, DecodedColumn, DecodedValues, Offsets, Table, TextValues,
    TimeUnit, Values,
};

/// A column that owns its values.
pub(super) struct Owned {
    data: Data,
    validity: Vec<u8>,
    rows: usize,
}

enum Data {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(String, Vec<i32>),
    Micros(Vec<i64>),
}

fn validity<T>(values: &[Option<T>]) -> Vec<u8> {
    let mut bytes = vec![0; values.len().div_ceil(8)];
    for (row, value) in values.iter().enumerate() {
        bytes[row / 8] |= u8::from(value.is_some()) << (row % 8);
    }
    bytes
}

fn owned<T: Copy + Default>(values: &[Option<T>], data: impl Fn(Vec<T>) -> Data) -> Owned {
    Owned {
        data: data(values.iter().map(|v| v.unwrap_or_default()).collect()),
        validity: validity(values),
        rows: values.len(),
    }
}

pub(super) fn ints(values: &[Option<i64>]) -> Owned {
    owned(values, Data::Int)
}

pub(super) fn floats(values: &[Option<f64>]) -> Owned {
    owned(values, Data::Float)
}

pub(super) fn texts(values: &[Option<&str>]) -> Owned {
    owned(values, |texts| {
        let mut offsets = vec![0];
        let mut all = String::new();
        for text in texts {
            all.push_str(text);
            offsets.push(all.len() as i32);
        }
        Data::Text(all, offsets)
    })
}

/// Instants from text, `2020-01-31 10:20:30.123456`.
pub(super) fn instants(values: &[Option<&str>]) -> Owned {
    let micros: Vec<Option<i64>> = values.iter().map(|v| v.map(micros)).collect();
    owned(&micros, Data::Micros)
}

pub(super) fn micros(text: &str) -> i64 {
    Dates::read([Some(text)].into_iter()).into_micros()[0].unwrap()
}

impl Owned {
    pub(super) fn column(&self) -> Column<'_> {
        let values = match &self.data {
            Data::Int(v) => Values::Int64(v),
            Data::Float(v) => Values::Float64(v),
            Data::Text(text, offsets) => Values::Text(TextValues::new(Offsets::Small(offsets), text)),
            Data::Micros(v) => Values::Timestamp {
                ticks: v,
                unit: TimeUnit::Microsecond,
                zoned: false,
            },
        };
        Column {
            name: "x",
            values,
            validity: Bitmap::new(&self.validity, 0, self.rows),
        }
    }

    fn table(&self) -> Table<'_> {
        Table::new(vec![self.column()], self.rows).unwrap()
    }
}

pub(super) fn types(encoding: EncodingType) -> EncodingTypes {
    IndexMap::from([("x".to_owned(), encoding)])
}

/// Statistics of a column in some parts, by mostlyai-engine's rules.
pub(super) fn analyze_parts(parts: &[Owned], encoding: EncodingType, protection: Protection) -> TableStats {
    analyze_by(Compat::MostlyAi, parts, encoding, protection)
}

/// Statistics of a column in some parts by these rules.
pub(super) fn analyze_by(
    compat: Compat,
    parts: &[Owned],
    encoding: EncodingType,
    protection: Protection,
) -> TableStats {
    let types = types(encoding);
    let partial =
        |part: &Owned| analyze_partition(&part.table(), &types, SplitPart::Training, 0, compat).unwrap();
    let partials: Vec<PartialStats> = parts.iter().map(partial).collect();
    reduce(&partials, &types, protection, compat, TableKeys::default(), 1).unwrap()
}

/// Statistics of a column in one part, without protection.
pub(super) fn analyze(column: Owned, encoding: EncodingType) -> TableStats {
    analyze_parts(&[column], encoding, Protection::Off)
}

/// Codes by row.
pub(super) fn codes(column: &Owned, stats: &TableStats) -> Vec<Vec<u32>> {
    let codes = encode(&column.table(), stats, 1, 0).unwrap();
    let row = |row: usize| codes.columns().iter().map(|c| c.get(row)).collect();
    (0..codes.rows()).map(row).collect()
}

/// Codes of a column with one sub-column.
pub(super) fn codes_of_one(column: &Owned, stats: &TableStats) -> Vec<u32> {
    codes(column, stats).into_iter().flatten().collect()
}

/// Decodes rows of codes.
pub(super) fn decode_rows(rows: &[Vec<u32>], stats: &TableStats, offsets: BinOffsets) -> DecodedColumn {
    let sub_columns = stats.sub_columns();
    let column = |i: usize| CodeColumn::from_codes(sub_columns[i].cardinality, rows.iter().map(|row| row[i]));
    let columns = (0..sub_columns.len()).map(column).collect();
    let table = CodeTable::new(columns, rows.len()).unwrap();
    decode(&table, stats, offsets).unwrap().remove(0)
}

/// Decoded values as text; `null` where null.
pub(super) fn shown(decoded: &DecodedColumn) -> Vec<String> {
    let text = |row: usize| {
        if decoded.validity.as_ref().is_some_and(|valid| !valid[row]) {
            return "null".to_owned();
        }
        match &decoded.values {
            DecodedValues::Labels { indices, labels } => labels[indices[row] as usize]
                .as_deref()
                .unwrap_or("null")
                .to_owned(),
            DecodedValues::Int(v) => v[row].to_string(),
            DecodedValues::Float(v) => float_text(v[row]),
            DecodedValues::Timestamp(v) => {
                let (seconds, nanos) = (
                    v[row].div_euclid(1_000_000),
                    v[row].rem_euclid(1_000_000) as u32 * 1_000,
                );
                instant_text(seconds, nanos, Form::of(seconds, nanos))
            }
            DecodedValues::Text(v) => v[row].clone(),
            DecodedValues::Null(_) => "null".to_owned(),
        }
    };
    (0..decoded.len()).map(text).collect()
}

/// What a column decodes to after it was encoded, in the middle of bins.
pub(super) fn there_and_back(column: &Owned, stats: &TableStats) -> Vec<String> {
    let codes = encode(&column.table(), stats, 1, 0).unwrap();
    shown(&decode(&codes, stats, BinOffsets::Constant(0.5)).unwrap()[0])
}

/// The statistics of the column, to be changed.
pub(super) fn values_of(stats: &mut TableStats) -> &mut EncodingStats {
    match &mut stats.columns["x"] {
        ColumnStats::Modelled { values, .. } => values,
        ColumnStats::Empty(_) => panic!("no rows"),
    }
}

/// The entry of the column in the file of statistics, without its place.
pub(super) fn entry(stats: &TableStats) -> serde_json::Value {
    let json: serde_json::Value = serde_json::from_str(&stats.to_json().unwrap()).unwrap();
    let mut entry = json["columns"]["x"].clone();
    for key in ["argn_processor", "argn_table", "argn_column"] {
        entry.as_object_mut().unwrap().shift_remove(key);
    }
    entry
}

/// Repeats values.
pub(super) fn repeated<T: Copy>(values: &[(T, usize)]) -> Vec<Option<T>> {
    values
        .iter()
        .flat_map(|&(v, n)| std::iter::repeat_n(Some(v), n))
        .collect()
}
