//! Tables through split, analyze, encode and decode: what is returned without a model in between.

mod csv_forms;
mod odd_values;
mod types;

use std::path::Path;

use arrow_array::RecordBatch;
use engine_core::encode::{BinOffsets, EncodingType, Protection, SplitPart, TableStats, decode};
use engine_core::schema::CodeTable;

use super::codes::read_codes;
use super::parts::part_files;
use super::{analyze, encode, split};
use crate::data::{ReadOptions, TableFormat, TableSink, TableSource, to_record_batch};
use crate::event::{Stage, silent};
use crate::{AnalyzeOptions, EncodeOptions, EngineError, SplitOptions, Workspace};

/// How a table goes there and back.
#[derive(Debug, Clone, Default)]
struct Trip {
    encodings: Vec<(&'static str, EncodingType)>,
    protection: Protection,
}

/// What a table has become.
struct Coded {
    codes: CodeTable,
    stats: TableStats,
    format: TableFormat,
}

impl Trip {
    fn unprotected() -> Self {
        Self {
            protection: Protection::Off,
            ..Self::default()
        }
    }

    fn with(mut self, column: &'static str, encoding: EncodingType) -> Self {
        self.encodings.push((column, encoding));
        self
    }

    /// Encodes a table in a workspace of its own.
    fn codes(&self, source: &TableSource) -> Result<Coded, EngineError> {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(&folder.path().join("ws"))?;
        let encodings = self.encodings.iter();
        let options = SplitOptions {
            seed: Some(3),
            encodings: encodings.map(|&(name, e)| (name.to_owned(), e)).collect(),
            ..SplitOptions::default()
        };
        split(&workspace, source, &options, &mut silent)?;
        let options = AnalyzeOptions {
            protection: self.protection,
            ..AnalyzeOptions::default()
        };
        let stats = analyze(&workspace, &options, &mut silent)?;
        encode(&workspace, &EncodeOptions::default(), &mut silent)?;
        let files = part_files(&workspace.layout(Stage::Encode)?.encoded_data())?;
        let mut codes = read_codes(&files, SplitPart::Training, &stats.sub_columns())?;
        assert!(codes.append(&read_codes(&files, SplitPart::Validation, &stats.sub_columns())?));
        Ok(Coded {
            codes,
            stats,
            format: source.format().clone(),
        })
    }

    /// The table after encoding and decoding, in the order of the codes.
    fn there_and_back(&self, source: &TableSource) -> RecordBatch {
        self.codes(source).unwrap().decoded()
    }

    /// The text of a CSV after encoding and decoding: header, and its lines in order of the text.
    fn csv(&self, text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.csv");
        let source = open(folder.path(), text);
        let coded = self.codes(&source).unwrap();
        let mut sink = TableSink::create(&out, &coded.format).unwrap();
        sink.write(&coded.decoded()).unwrap();
        sink.finish().unwrap();
        sorted(&std::fs::read_to_string(out).unwrap())
    }
}

impl Coded {
    fn decoded(&self) -> RecordBatch {
        let positions = BinOffsets::Random {
            seed: 1,
            first_row: 0,
        };
        let columns = decode(&self.codes, &self.stats, positions).unwrap();
        to_record_batch(columns, &self.format).unwrap()
    }
}

fn open(folder: &Path, text: &str) -> TableSource {
    let path = folder.join("in.csv");
    std::fs::write(&path, text).unwrap();
    TableSource::open(&path, &ReadOptions::default()).unwrap()
}

/// The lines of a text, those below the first in order.
fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1..].sort_unstable();
    lines.join("\n") + "\n"
}
