//! What is observed in the rows of a query.

use std::ops::Range;

use rayon::prelude::*;

use crate::ir::ops::sampling::Cell;
use crate::schema::CodeTable;

/// Cells that one task converts at least.
const CELLS_OF_A_TASK: usize = 1 << 14;

/// What is given of each sub-column of some rows, row by row. Rows may differ in their observed cells; that costs nothing. Rows of which
/// nothing is observed, so that all is drawn, take up no memory.
#[derive(Debug, Clone)]
pub struct Cells {
    rows: usize,
    sub_columns: usize,
    /// `[rows, sub-columns]` as [`Cell::to_bits`]; a single row where all cells are drawn.
    words: Vec<u32>,
    are_all_sampled: bool,
}

impl Cells {
    /// `rows` rows of which nothing is observed and all columns that a plan names are drawn.
    pub fn sampled(rows: usize, sub_columns: usize) -> Self {
        Self {
            rows,
            sub_columns,
            words: vec![Cell::Sampled.to_bits(); sub_columns],
            are_all_sampled: true,
        }
    }

    /// `rows` rows of which nothing is observed and nothing is drawn.
    pub fn masked(rows: usize, sub_columns: usize) -> Self {
        Self {
            rows,
            sub_columns,
            words: vec![Cell::Masked.to_bits(); rows * sub_columns],
            are_all_sampled: false,
        }
    }

    /// All cells of a table observed.
    pub fn observed(codes: &CodeTable) -> Self {
        let mut cells = Self::masked(codes.rows(), codes.columns().len());
        for s in 0..cells.sub_columns {
            cells.observe(s..s + 1, codes, 0, |_| true);
        }
        cells
    }

    pub(super) fn from_words(sub_columns: usize, words: Vec<u32>) -> Self {
        Self {
            rows: words.len().checked_div(sub_columns).unwrap_or(0),
            sub_columns,
            words,
            are_all_sampled: false,
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

    /// Whether no cell was ever set: all are drawn.
    pub(super) fn are_all_sampled(&self) -> bool {
        self.are_all_sampled
    }

    /// A cell; panics when there is none.
    #[inline]
    pub fn get(&self, row: usize, sub_column: usize) -> Cell {
        Cell::from_bits(self.row(row)[sub_column])
    }

    /// Sets a cell; panics when there is none.
    #[inline]
    pub fn set(&mut self, row: usize, sub_column: usize, cell: Cell) {
        let place = row * self.sub_columns + sub_column;
        self.words_mut()[place] = cell.to_bits();
    }

    /// Sets the cells of one column (its sub-columns) in all rows.
    pub fn set_column(&mut self, column: Range<usize>, cell: Cell) {
        let (width, word) = (self.sub_columns.max(1), cell.to_bits());
        for row in self.words_mut().chunks_exact_mut(width) {
            row[column.clone()].fill(word);
        }
    }

    /// Observes the codes of one column (its sub-columns) in the rows for which `is_observed` is true. `codes` holds a code column
    /// for each sub-column of the model, and these rows from `first_row` on.
    pub fn observe(
        &mut self,
        column: Range<usize>,
        codes: &CodeTable,
        first_row: usize,
        is_observed: impl Fn(usize) -> bool + Sync,
    ) {
        let width = self.sub_columns.max(1);
        let rows_of_a_task = CELLS_OF_A_TASK.div_ceil(width);
        let tasks = self.words_mut().par_chunks_mut(rows_of_a_task * width);
        tasks.enumerate().for_each(|(task, words)| {
            let first = task * rows_of_a_task;
            for s in column.clone() {
                let codes = &codes.columns()[s];
                for (row, words) in (first..).zip(words.chunks_exact_mut(width)) {
                    if is_observed(row) {
                        words[s] = Cell::Observed(codes.get(first_row + row)).to_bits();
                    }
                }
            }
        });
    }

    /// Consecutive rows.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            rows: rows.len(),
            words: match self.are_all_sampled {
                true => self.words.clone(),
                false => self.words[rows.start * self.sub_columns..rows.end * self.sub_columns].to_vec(),
            },
            ..*self
        }
    }

    /// Consecutive rows in which observed cells are teacher-forced, and nothing is drawn.
    pub(super) fn teacher_forced(&self, rows: Range<usize>) -> Self {
        let given = |word: &u32| match Cell::from_bits(*word) {
            Cell::Observed(code) => Cell::TeacherForced(code).to_bits(),
            _ => Cell::Masked.to_bits(),
        };
        let mut cells = Self::masked(rows.len(), self.sub_columns);
        if let Some(words) = self.words(rows) {
            cells.words = words
                .par_iter()
                .with_min_len(CELLS_OF_A_TASK)
                .map(given)
                .collect();
        }
        cells
    }

    /// The words of a row.
    #[inline]
    pub(super) fn row(&self, row: usize) -> &[u32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let row = if self.are_all_sampled { 0 } else { row };
        &self.words[row * self.sub_columns..(row + 1) * self.sub_columns]
    }

    /// The words of consecutive rows; `None` where all cells are drawn.
    pub(super) fn words(&self, rows: Range<usize>) -> Option<&[u32]> {
        let range = rows.start * self.sub_columns..rows.end * self.sub_columns;
        (!self.are_all_sampled).then(|| &self.words[range])
    }

    /// All words, each row with its own.
    fn words_mut(&mut self) -> &mut [u32] {
        if self.are_all_sampled {
            self.words = vec![Cell::Sampled.to_bits(); self.rows * self.sub_columns];
            self.are_all_sampled = false;
        }
        &mut self.words
    }
}
