//! CSV: what a file's dialect and columns are, reading it twice, and writing it back alike.

mod block;
mod classify;
mod dialect;
mod infer;
mod input;
mod known;
mod notes;
mod raw;
mod read;
mod scan;
#[cfg(test)]
mod tests;
mod write;

pub(super) use infer::CsvTable;
pub(crate) use known::values_of_texts;
pub(crate) use raw::{RawRow, RawRows};
pub(super) use read::CsvBatches;
pub(crate) use write::{CsvFormatter, GivenCells, Rounding, written_values};
