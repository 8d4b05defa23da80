//! Whole numbers that are rather names than amounts, such as postal codes.

use std::collections::HashSet;

use engine_core::encode::{EncodingType, EncodingTypes, TableStats};
use engine_core::schema::{Column, Table, Values};

use crate::data::{ColumnNote, NoteKind};

/// More different numbers than these are hardly categories.
const MAX_DISTINCT: usize = 1_000;
/// On average each number must occur in at least so many rows.
const ROWS_PER_NUMBER: u64 = 20;
/// At most this share of the numbers between the least and the greatest may occur.
const DENSEST: f64 = 0.2;

/// Watches the whole numbers of a table that are encoded by the automatic choice.
pub(super) struct CodeDetector(Vec<(String, NumberCounts)>);

/// What a column has shown; no numbers once there are too many different ones.
#[derive(Debug, Default)]
struct NumberCounts {
    numbers: Option<HashSet<i64>>,
    rows: u64,
}

impl CodeDetector {
    pub(super) fn new(types: &EncodingTypes) -> Self {
        let chosen = types
            .iter()
            .filter(|(_, encoding)| **encoding == EncodingType::NUMERIC_AUTO);
        let counts = || NumberCounts {
            numbers: Some(HashSet::new()),
            rows: 0,
        };
        Self(chosen.map(|(name, _)| (name.clone(), counts())).collect())
    }

    /// Takes note of more rows.
    pub(super) fn add(&mut self, table: &Table<'_>) {
        for (name, counts) in &mut self.0 {
            if let Some(column) = table.column(name) {
                counts.add(column);
            }
        }
    }

    /// Logs which columns look like codes although they are not learnt as such; returns their names.
    pub(super) fn log_codes(&self, stats: &TableStats) -> HashSet<String> {
        let mut found = HashSet::new();
        for (name, counts) in &self.0 {
            let encoding = stats.columns.get(name).map(|column| column.encoding_type());
            let is_amount = encoding.is_some_and(|e| e.is_numeric() && e != EncodingType::NUMERIC_DISCRETE);
            if is_amount && counts.looks_like_codes() {
                found.insert(name.clone());
                let kind = NoteKind::MayBeCodes;
                let column = name.clone();
                ColumnNote { column, kind }.log();
            }
        }
        found
    }
}

impl NumberCounts {
    fn add(&mut self, column: &Column<'_>) {
        match column.values {
            Values::Int8(values) => self.add_values(column, values),
            Values::Int16(values) => self.add_values(column, values),
            Values::Int32(values) => self.add_values(column, values),
            Values::Int64(values) => self.add_values(column, values),
            Values::UInt8(values) => self.add_values(column, values),
            Values::UInt16(values) => self.add_values(column, values),
            Values::UInt32(values) => self.add_values(column, values),
            _ => self.numbers = None,
        }
    }

    fn add_values(&mut self, column: &Column<'_>, values: &[impl Copy + Into<i64>]) {
        let Some(numbers) = &mut self.numbers else { return };
        for (row, &value) in values.iter().enumerate() {
            if column.is_valid(row) {
                self.rows += 1;
                numbers.insert(value.into());
                if numbers.len() > MAX_DISTINCT {
                    self.numbers = None;
                    return;
                }
            }
        }
    }

    fn looks_like_codes(&self) -> bool {
        let Some(numbers) = &self.numbers else {
            return false;
        };
        let (Some(&least), Some(&greatest)) = (numbers.iter().min(), numbers.iter().max()) else {
            return false;
        };
        let distinct = numbers.len();
        let range = greatest as f64 - least as f64 + 1.0;
        self.rows >= ROWS_PER_NUMBER * distinct as u64 && distinct as f64 <= DENSEST * range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks_like_codes(values: &[i64]) -> bool {
        let mut counts = NumberCounts {
            numbers: Some(HashSet::new()),
            rows: 0,
        };
        for part in values.chunks(1_000) {
            counts.add(&Column {
                name: "x",
                values: Values::Int64(part),
                validity: None,
            });
        }
        counts.looks_like_codes()
    }

    #[test]
    fn repeated_numbers_far_apart_look_like_codes() {
        let postal: Vec<i64> = (0..20_000).map(|row| 1_010 + (row * 7 % 300) * 29).collect();
        assert!(looks_like_codes(&postal));
        let amounts: Vec<i64> = (0..20_000).map(|row| row * row % 50_021).collect();
        assert!(!looks_like_codes(&amounts), "too many different numbers");
        let ages: Vec<i64> = (0..20_000).map(|row| row % 120).collect();
        assert!(!looks_like_codes(&ages), "no gaps");
        assert!(!looks_like_codes(&postal[..3_000]), "each in few rows");
        assert!(!looks_like_codes(&[]));
        assert!(!looks_like_codes(&[i64::MIN, i64::MAX]));
    }
}
