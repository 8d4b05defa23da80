//! CSV: what a file's dialect and columns are, reading it twice, and writing it back alike.

mod block;
mod classify;
mod dialect;
mod infer;
mod input;
mod notes;
mod read;
mod scan;
#[cfg(test)]
mod tests;
mod write;

pub(super) use infer::CsvTable;
pub(super) use read::CsvBatches;
pub(super) use write::CsvFormatter;
