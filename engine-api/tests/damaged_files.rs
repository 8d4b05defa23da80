//! Files with random damage are read or refused: no panic, and no memory that their size does not account for. The same
//! functions can be run for longer with `cargo fuzz`. `ENGINE_FUZZ_INPUTS` says how many inputs each is given.

#![expect(clippy::unwrap_used, reason = "tests may panic")]

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use engine_api::data::{ParquetWriter, ReadOptions, SourceFormat, TableBatch, TableFormat, TableSource};
use engine_core::encode::{
    Compat, EncodingTypes, Protection, SplitPart, TableKeys, analyze_partition, default_encoding, reduce,
};
use engine_core::random::{Purpose, Stream};

/// Inputs for each target, unless the environment requests more.
const INPUTS: u64 = 1_000;
/// Most bytes that are allocated at once, for inputs of a few thousand.
const MAX_BYTES: usize = 256 << 20;

/// The system's memory; it takes note of the largest allocation.
struct Measured;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Measured {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`, and the pointer is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `realloc`, and the pointer is the system's.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static MEMORY: Measured = Measured;

/// Pieces of text that files break on.
const PIECES: &[&str] = &[
    "\"",
    ",",
    ";",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u{feff}",
    "1e999",
    "-1e308",
    "nan",
    "-0.0",
    "9223372036854775808",
    "99999999999999999999",
    "0001-01-01",
    "9999-12-31T23:59:59.999999999Z",
    "2016-12-31T23:59:60Z",
    "true",
    "{}",
    "[",
    "]",
    "null",
    ":",
    "-1",
    "1e400",
    "\"cardinalities\":",
    "TABULAR_CATEGORICAL",
    "18446744073709551615",
    "Ā",
    "_RARE_",
];

/// Makes one input of some samples.
struct Damage {
    stream: Stream,
    input: u64,
    drawn: u32,
}

impl Damage {
    fn below(&mut self, bound: usize) -> usize {
        self.drawn += 1;
        self.stream.below(bound.max(1) as u64, self.input, self.drawn) as usize
    }

    /// A place in a text and the end of a piece from there on, of up to `most` bytes.
    fn piece(&mut self, len: usize, most: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        start..(start + self.below(most)).min(len)
    }

    fn apply(&mut self, samples: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = samples[self.below(samples.len())].clone();
        for _ in 0..=self.below(5) {
            match self.below(8) {
                0 if !bytes.is_empty() => {
                    let at = self.below(bytes.len());
                    bytes[at] ^= 1 << self.below(8);
                }
                1 if !bytes.is_empty() => {
                    let at = self.below(bytes.len());
                    bytes[at] = [0, 0xFF, 0x7F, 0x80, b'0', b'9'][self.below(6)];
                }
                2 => {
                    let piece = self.piece(bytes.len(), 40);
                    bytes.drain(piece);
                }
                3 => {
                    let piece = bytes[self.piece(bytes.len(), 40)].to_vec();
                    let at = self.below(bytes.len() + 1);
                    bytes.splice(at..at, piece);
                }
                4 => {
                    let other = samples[self.below(samples.len())].clone();
                    let piece = other[self.piece(other.len(), 200)].to_vec();
                    let place = self.piece(bytes.len(), 40);
                    bytes.splice(place, piece);
                }
                5 => {
                    let end = self.below(bytes.len() + 1);
                    bytes.truncate(end);
                }
                _ => {
                    let piece = PIECES[self.below(PIECES.len())];
                    let place = self.piece(bytes.len(), 12);
                    bytes.splice(place, piece.bytes());
                }
            }
        }
        bytes
    }
}

/// Gives a target the samples and many damaged ones.
#[track_caller]
fn try_many(target: fn(&[u8]), samples: &[Vec<u8>]) {
    let inputs = std::env::var("ENGINE_FUZZ_INPUTS");
    let inputs: u64 = inputs.ok().and_then(|n| n.parse().ok()).unwrap_or(INPUTS);
    for input in 0..inputs + samples.len() as u64 {
        let bytes = match samples.get(input as usize) {
            Some(sample) => sample.clone(),
            None => {
                let stream = Stream::new(20, Purpose::Split, 0);
                Damage {
                    stream,
                    input,
                    drawn: 0,
                }
                .apply(samples)
            }
        };
        LARGEST.store(0, Ordering::Relaxed);
        let shown = || {
            format!(
                "input {input}: {:?}",
                String::from_utf8_lossy(&bytes[..bytes.len().min(4_000)])
            )
        };
        assert!(catch_unwind(|| target(&bytes)).is_ok(), "{}", shown());
        let largest = LARGEST.load(Ordering::Relaxed);
        assert!(largest <= MAX_BYTES, "{largest} bytes at once for {}", shown());
    }
}

fn table() -> RecordBatch {
    let whole = Int64Array::from_iter((0..300).map(|n| (n % 7 > 0).then_some(n * n % 1_000)));
    let floats = Float64Array::from_iter((0..300).map(|n| (n % 11 > 0).then_some(f64::from(n) / 8.0)));
    let words =
        StringArray::from_iter((0..300).map(|n| (n % 5 > 0).then(|| ["red", "green", "blü, \"e\""][n % 3])));
    let days: ArrayRef = Arc::new(Date32Array::from_iter_values((0..300).map(|n| 19_000 + n)));
    let decimals = cast(&whole, &DataType::Decimal128(12, 2)).unwrap();
    let instants = cast(&days, &DataType::Timestamp(TimeUnit::Millisecond, None)).unwrap();
    let kinds = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let columns: [(&str, ArrayRef); 9] = [
        ("whole", Arc::new(whole.clone())),
        ("float", Arc::new(floats)),
        ("word", Arc::new(words.clone())),
        ("day", days),
        ("decimal", decimals),
        ("instant", instants),
        ("kind", cast(&words, &kinds).unwrap()),
        (
            "flag",
            Arc::new(BooleanArray::from_iter((0..300).map(|n| Some(n % 2 == 0)))),
        ),
        (
            "constant",
            Arc::new(Int64Array::from_iter_values(std::iter::repeat_n(5, 300))),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn types_and_stats(protection: Protection) -> (EncodingTypes, String) {
    let batch = TableBatch::new(&table()).unwrap();
    let table = batch.table().unwrap();
    let columns = table.columns().iter();
    let types: EncodingTypes = columns
        .map(|c| (c.name.to_owned(), default_encoding(&c.values)))
        .collect();
    let partial = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).unwrap();
    let stats = reduce(
        &[partial],
        &types,
        protection,
        Compat::Native,
        TableKeys::default(),
        1,
    )
    .unwrap();
    (types, stats.to_json().unwrap())
}

#[test]
fn damaged_csv_is_read_or_refused() {
    let samples = [
        "a,b,c\n1,x,2024-02-29\n-2,\"y, \"\"z\"\"\",2023-01-31\n,,\n3,x,0001-01-01\n",
        "n;when;ok\n1.50;2024-02-29T10:30:05.120Z;true\n.5;2024-02-29T10:30:05+01:00;false\n1e-05;;\n",
        "\u{feff}\"id\"\t\"code\"\r\n\"1\"\t\"007\"\r\n\"2\"\t\"01067\"\r\n",
        "price\n12.00\n7.25\n1e16\n-0.0\n",
        "day|mixed\n29.02.2024|1,234\n01/02/23|$5\n2024-02-29|nan\n",
    ];
    try_many(targets::csv, &samples.map(|text| text.as_bytes().to_vec()));
}

#[test]
fn damaged_parquet_is_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |batch: &RecordBatch| {
        let path = folder.path().join("t.parquet");
        let mut writer = ParquetWriter::create(&path, batch.schema()).unwrap();
        writer.write(batch).unwrap();
        writer.finish().unwrap();
        std::fs::read(path).unwrap()
    };
    let table = table();
    let single = |column: usize| table.project(&[column]).unwrap().slice(0, 40);
    let samples: Vec<Vec<u8>> = std::iter::once(write(&table))
        .chain((0..table.num_columns()).map(|column| write(&single(column))))
        .collect();
    try_many(targets::parquet, &samples);
}

#[test]
fn damaged_statistics_are_read_or_refused() {
    let samples = [Protection::Off, Protection::On].map(|p| types_and_stats(p).1.into_bytes());
    try_many(targets::stats_json, &samples);
}

#[test]
fn damaged_encoding_types_are_read_or_refused() {
    let samples = [
        serde_json::to_vec(&types_and_stats(Protection::Off).0).unwrap(),
        br#"{"a": "TABULAR_NUMERIC_DIGIT", "b": "TABULAR_CATEGORICAL"}"#.to_vec(),
        br#"{"b": "TABULAR_NUMERIC_AUTO"}"#.to_vec(),
        b"{\"a\": \"TABULAR_DATETIME\"}".to_vec(),
    ];
    try_many(targets::encoding_types_json, &samples);
}

#[test]
fn damaged_table_formats_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    std::fs::write(
        &path,
        "price,when,ok\n1.50,2024-02-29 10:00:00.5+01:00,true\n1e-5,2024-02-29 10:00:00Z,false\n",
    )
    .unwrap();
    let csv = TableSource::open(&path, &ReadOptions::default()).unwrap();
    let arrow = TableFormat::of_schema(SourceFormat::Arrow, &table().schema());
    let samples = [csv.format(), &arrow].map(|format| serde_json::to_vec(format).unwrap());
    try_many(targets::table_format_json, &samples);
}
