//! The first pass: what the columns of a CSV file are.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::DataType;
use rayon::prelude::*;

use super::block::{Block, BlockReader};
use super::dialect::{find_quotes, known_delimiter, sniff_delimiter};
use super::input::CsvInput;
use super::known::read_type;
use super::raw::RawRows;
use super::scan::{ColumnScan, Found};
use crate::data::error::DataError;
use crate::data::note::{ColumnNote, NoteKind};
use crate::data::options::ReadOptions;
use crate::data::written::{ColumnFormat, CsvDialect, Role, SourceFormat, TABLE_FORMAT_VERSION, TableFormat};

/// How much of the beginning is looked at for delimiter and quotes.
const SAMPLE_BYTES: u64 = 1 << 16;

/// After so many values of one kind, another that makes the column text is logged.
const MIN_BEFORE_BREAK: u64 = 20;

/// A CSV file whose column types are inferred, but for columns that a model knows.
#[derive(Debug)]
pub(crate) struct CsvTable {
    pub(super) input: Arc<CsvInput>,
    pub(super) delimiter: u8,
    pub(super) null_texts: Vec<String>,
    /// By column: whether a model says how it is read.
    pub(super) known: Vec<bool>,
    /// Whether values in another form than the model's are null.
    pub(super) lenient: bool,
    format: TableFormat,
    rows: u64,
}

impl CsvTable {
    /// Reads a file (`-`: standard input) once from end to end.
    pub(crate) fn open(path: &Path, options: &ReadOptions) -> Result<Self, DataError> {
        Self::infer(CsvInput::open(path)?, options)
    }

    /// Reads an input once from end to end.
    pub(super) fn infer(input: CsvInput, options: &ReadOptions) -> Result<Self, DataError> {
        let mut sample = Vec::new();
        let sampled = input.reader()?.take(SAMPLE_BYTES).read_to_end(&mut sample);
        sampled.map_err(|e| input.failed(e))?;
        let delimiter = match options.delimiter {
            Some(given) => check_delimiter(given)?,
            None => {
                let is_whole = (sample.len() as u64) < SAMPLE_BYTES;
                match &options.like {
                    None => sniff_delimiter(&sample, is_whole),
                    Some(model) => {
                        let names: Vec<&str> = model.columns.iter().map(|c| c.name.as_str()).collect();
                        let of_model = check_delimiter(model.csv.delimiter)?;
                        known_delimiter(&sample, is_whole, of_model, &names)
                    }
                }
            }
        };
        let null_texts = match &options.like {
            Some(model) if options.null_texts.is_empty() => model.all_null_texts(),
            _ => options.null_texts.clone(),
        };
        let input = Arc::new(input);
        let mut reader = BlockReader::new(Arc::clone(&input), delimiter)?;
        let (scans, rows) = scan_columns(&mut reader, options, &null_texts)?;
        if rows == 0 && !options.allow_no_rows {
            return Err(DataError::NoRows {
                file: input.name.clone(),
            });
        }
        let quotes = find_quotes(&sample, delimiter, scans.len());
        let mut columns = Vec::with_capacity(scans.len());
        let mut known = Vec::with_capacity(scans.len());
        for ((scan, name), quoted) in scans.into_iter().zip(reader.names()).zip(quotes.columns) {
            let found = scan.finish(name, quoted, &null_texts);
            let of_model = known_column(&found, name, options);
            known.push(of_model.is_some());
            columns.push(match of_model {
                Some(column) => column,
                None => finish_column(found, name, options, &input)?,
            });
        }
        let format = TableFormat {
            version: TABLE_FORMAT_VERSION,
            source: SourceFormat::Csv,
            csv: CsvDialect {
                delimiter: delimiter as char,
                quoted_header: quotes.header,
            },
            null_texts: null_texts.clone(),
            keep_null_words: keeps_null_words(options),
            metadata: BTreeMap::new(),
            columns,
        };
        Ok(Self {
            input,
            delimiter,
            null_texts,
            known,
            lenient: options.lenient,
            format,
            rows,
        })
    }

    /// Whether the usual words for a missing value are null in a column: in those of numbers and dates.
    pub(super) fn has_null_words(&self, column: usize) -> bool {
        let data_type = &self.format.columns[column].data_type;
        !self.format.keep_null_words && (data_type.is_numeric() || data_type.is_temporal())
    }

    /// The fields as they are written.
    pub(crate) fn raw_rows(&self) -> Result<RawRows, DataError> {
        RawRows::new(Arc::clone(&self.input), self.delimiter)
    }

    /// Columns and dialect.
    pub(crate) fn format(&self) -> &TableFormat {
        &self.format
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }
}

/// Whether the usual words for a missing value are values in every column.
fn keeps_null_words(options: &ReadOptions) -> bool {
    options
        .like
        .as_ref()
        .map_or(options.keep_null_words, |model| model.keep_null_words)
}

fn check_delimiter(given: char) -> Result<u8, DataError> {
    let valid = given.is_ascii() && !matches!(given, '"' | '\n' | '\r' | '\0');
    if valid {
        Ok(given as u8)
    } else {
        Err(DataError::Delimiter { delimiter: given })
    }
}

/// Scans all rows; the next block is tokenised while the columns of this one are scanned side by side.
fn scan_columns(
    reader: &mut BlockReader,
    options: &ReadOptions,
    null_texts: &[String],
) -> Result<(Vec<ColumnScan>, u64), DataError> {
    let excluded: Vec<bool> = reader
        .names()
        .iter()
        .map(|name| options.exclude.contains(name))
        .collect();
    let keeps = keeps_null_words(options);
    let mut scans: Vec<ColumnScan> = excluded.iter().map(|_| ColumnScan::new(keeps)).collect();
    let mut rows = 0;
    let (mut block, mut next) = (Block::default(), Block::default());
    reader.read_block(options.batch_rows, &mut block)?;
    while block.rows() > 0 {
        rows += block.rows() as u64;
        let (read, ()) = rayon::join(
            || reader.read_block(options.batch_rows, &mut next),
            || {
                let columns = scans.par_iter_mut().zip(&excluded).enumerate();
                columns
                    .filter(|(_, (_, excluded))| !**excluded)
                    .for_each(|(column, (scan, _))| {
                        for (row, field) in block.column(column).enumerate() {
                            scan.add(field, block.start(row), null_texts);
                        }
                    });
            },
        );
        read?;
        std::mem::swap(&mut block, &mut next);
    }
    Ok((scans, rows))
}

/// How a column is read that a model knows; `None` when the model says nothing of it.
fn known_column(found: &Found, name: &str, options: &ReadOptions) -> Option<ColumnFormat> {
    let model = options.like.as_ref()?;
    let is_named = |names: &[String]| names.iter().any(|n| n == name);
    if is_named(&options.as_text) || is_named(&options.exclude) {
        return None;
    }
    let column = model.column(name)?;
    if column.role == Role::Excluded || column.data_type == DataType::Null {
        return None;
    }
    let mut column = ColumnFormat {
        role: Role::Model,
        data_type: read_type(&column.data_type),
        ..column.clone()
    };
    let of_key = model
        .columns
        .iter()
        .any(|c| c.name == name && c.role == Role::PrimaryKey);
    if of_key && column.data_type != DataType::Utf8 && column.data_type != found.format.data_type {
        // New rows may have keys of another kind, which the model has not learnt.
        return None;
    }
    if model.source != SourceFormat::Csv {
        // Its table had values, not a way to write them.
        match is_alike(&found.format.data_type, &column.data_type) {
            true => column.written = found.format.written.clone(),
            false if column.data_type == DataType::Boolean => return None,
            false => {}
        }
    }
    Some(column)
}

/// Whether values of the two types are written alike: both dates, with times or without, or both booleans.
fn is_alike(a: &DataType, b: &DataType) -> bool {
    a.is_temporal() && b.is_temporal() || *a == DataType::Boolean && *b == DataType::Boolean
}

fn finish_column(
    found: Found,
    name: &str,
    options: &ReadOptions,
    input: &CsvInput,
) -> Result<ColumnFormat, DataError> {
    let is_query = options.like.is_some();
    if let Some((start, value)) = found.infinite {
        let (file, row, column) = (input.name.clone(), input.line_at(start)?, name.to_owned());
        return Err(DataError::Infinite {
            file,
            place: "line",
            row,
            column,
            value,
        });
    }
    if found.nans > 0 && !is_query {
        tracing::info!(column = name, count = found.nans, "NaN read as null");
    }
    // What a column is learnt as matters to who trains.
    if options.primary_key.as_deref() != Some(name) && !is_query {
        log_null_words(&found, name);
        log_text_column(&found, name, input)?;
    }
    let mut format = found.format;
    if options.as_text.iter().any(|text| text == name) && !matches!(format.data_type, DataType::Utf8) {
        let (null_text, quoted) = (format.null_text, format.quoted);
        format = ColumnFormat::new(name, DataType::Utf8);
        format.null_text = null_text;
        format.quoted = quoted;
    }
    if options.exclude.iter().any(|e| e == name) {
        format.role = Role::Excluded;
    }
    Ok(format)
}

/// Logs which words of a column are null by themselves, or may stand for null in a column of texts.
fn log_null_words(found: &Found, name: &str) {
    let data_type = &found.format.data_type;
    let is_read = data_type.is_numeric() || data_type.is_temporal();
    for (&word, &count) in &found.words {
        // Those among numbers are told as what they are.
        if is_read && word.eq_ignore_ascii_case("nan") && data_type.is_numeric() {
            continue;
        }
        let kind = match is_read {
            true => NoteKind::NullWord { word, count },
            false => NoteKind::MayBeNull { word, count },
        };
        let column = name.to_owned();
        ColumnNote { column, kind }.log();
    }
}

/// Logs why a column is text, where another type may have been expected.
fn log_text_column(found: &Found, name: &str, input: &CsvInput) -> Result<(), DataError> {
    if found.format.data_type != DataType::Utf8 {
        return Ok(());
    }
    let note = |kind| ColumnNote {
        column: name.to_owned(),
        kind,
    };
    if let Some(kind) = found.notes.note() {
        note(kind).log();
        return Ok(());
    }
    if let Some((start, kind, before)) = found.notes.break_at.filter(|b| b.2 >= MIN_BEFORE_BREAK) {
        let line = input.line_at(start)?;
        note(NoteKind::OddValue { line, kind, before }).log();
    }
    Ok(())
}
