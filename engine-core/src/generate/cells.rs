//! What is known of the rows of a question.

use std::ops::Range;

use crate::ir::ops::sampling::Cell;
use crate::schema::CodeTable;

/// What is given of each sub-column of some rows, row by row. Rows may differ in what they know; that costs nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    rows: usize,
    sub_columns: usize,
    words: Vec<u32>,
}

impl Cells {
    /// `rows` rows of which nothing is known and all columns that a plan names are drawn.
    pub fn drawn(rows: usize, sub_columns: usize) -> Self {
        Self::filled(rows, sub_columns, Cell::Drawn)
    }

    /// `rows` rows of which nothing is known and nothing is drawn.
    pub fn hidden(rows: usize, sub_columns: usize) -> Self {
        Self::filled(rows, sub_columns, Cell::Hidden)
    }

    fn filled(rows: usize, sub_columns: usize, cell: Cell) -> Self {
        Self {
            rows,
            sub_columns,
            words: vec![cell.word(); rows * sub_columns],
        }
    }

    pub(super) fn from_words(sub_columns: usize, words: Vec<u32>) -> Self {
        Self {
            rows: words.len().checked_div(sub_columns).unwrap_or(0),
            sub_columns,
            words,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of sub-columns of a row.
    pub fn sub_columns(&self) -> usize {
        self.sub_columns
    }

    /// A cell; panics when there is none.
    #[inline]
    pub fn get(&self, row: usize, sub_column: usize) -> Cell {
        Cell::from_word(self.words[row * self.sub_columns + sub_column])
    }

    /// Sets a cell; panics when there is none.
    #[inline]
    pub fn set(&mut self, row: usize, sub_column: usize, cell: Cell) {
        self.words[row * self.sub_columns + sub_column] = cell.word();
    }

    /// Makes the codes of one column (its sub-columns) known in the rows for which `is_known` is true. `codes` holds a code column
    /// for each sub-column of the model, and these rows from `first_row` on.
    pub fn know(
        &mut self,
        column: Range<usize>,
        codes: &CodeTable,
        first_row: usize,
        is_known: impl Fn(usize) -> bool,
    ) {
        for row in (0..self.rows).filter(|row| is_known(*row)) {
            for s in column.clone() {
                self.set(row, s, Cell::Known(codes.get(first_row + row, s)));
            }
        }
    }

    /// All cells of a table known.
    pub fn known(codes: &CodeTable) -> Self {
        let mut cells = Self::hidden(codes.rows(), codes.columns().len());
        for (s, column) in codes.columns().iter().enumerate() {
            for row in 0..codes.rows() {
                cells.set(row, s, Cell::Known(column.get(row)));
            }
        }
        cells
    }

    /// The words of a row.
    #[inline]
    pub(super) fn row(&self, row: usize) -> &[u32] {
        &self.words[row * self.sub_columns..(row + 1) * self.sub_columns]
    }

    /// The words of consecutive rows.
    pub(super) fn words(&self, rows: Range<usize>) -> &[u32] {
        &self.words[rows.start * self.sub_columns..rows.end * self.sub_columns]
    }
}
