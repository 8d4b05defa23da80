//! The census table that ships with the examples, read by hand: encoding is timed apart from file formats.

use std::fs::File;
use std::path::Path;

use engine_core::encode::{
    Compat, EncodingTypes, Protection, SplitPart, TableKeys, TableStats, analyze_partition, default_encoding,
    reduce,
};
use engine_core::schema::{Column, Offsets, Table, TextValues, Values};
use flate2::read::GzDecoder;

use crate::sized;

/// The values of one column.
#[derive(Debug)]
enum Kept {
    Integers(Vec<i64>),
    Texts { offsets: Vec<i32>, bytes: String },
}

/// The census table in memory: 48,842 rows of 15 columns, 6 of integers and 9 of texts; the first 2,000 rows
/// when quick.
#[derive(Debug)]
pub struct Census {
    columns: Vec<(String, Kept)>,
    rows: usize,
}

impl Census {
    /// The table, borrowed.
    ///
    /// # Panics
    /// Never: all columns have equally many rows.
    pub fn table(&self) -> Table<'_> {
        let columns = self
            .columns
            .iter()
            .map(|(name, kept)| borrow(name, kept))
            .collect();
        Table::new(columns, self.rows).expect("columns of equal length")
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of all values: 8 for an integer, its UTF-8 for a text.
    pub fn bytes(&self) -> u64 {
        let bytes = |(_, kept): &(String, Kept)| match kept {
            Kept::Integers(values) => 8 * values.len(),
            Kept::Texts { bytes, .. } => bytes.len(),
        };
        self.columns.iter().map(bytes).sum::<usize>() as u64
    }

    /// The default encodings.
    pub fn types(&self) -> EncodingTypes {
        let of = |c: &Column<'_>| (c.name.to_owned(), default_encoding(&c.values));
        self.table().columns().iter().map(of).collect()
    }

    /// Statistics of the whole table, under value protection.
    ///
    /// # Panics
    /// When the table cannot be analysed.
    pub fn analyze(&self) -> TableStats {
        let (table, types) = (self.table(), self.types());
        let part =
            analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native).expect("an analysis");
        reduce(
            &[part],
            &types,
            Protection::On,
            Compat::Native,
            TableKeys::default(),
            1,
        )
        .expect("statistics")
    }
}

fn borrow<'a>(name: &'a str, kept: &'a Kept) -> Column<'a> {
    let values = match kept {
        Kept::Integers(values) => Values::Int64(values),
        Kept::Texts { offsets, bytes } => Values::Text(TextValues::new(Offsets::Small(offsets), bytes)),
    };
    Column {
        name,
        values,
        validity: None,
    }
}

/// Reads the census table.
///
/// # Panics
/// When the file is missing or is no CSV file.
pub fn census() -> Census {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data/census.csv.gz");
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
    let names = reader.headers().expect("a header").clone();
    let records = reader.records().take(sized(usize::MAX, 2_000));
    let records: Vec<csv::StringRecord> = records
        .collect::<Result<_, _>>()
        .expect("records of equal length");
    let column = |(i, name): (usize, &str)| {
        let values = || records.iter().map(|r| &r[i]);
        let integers: Result<Vec<i64>, _> = values().map(str::parse).collect();
        let kept = integers.map_or_else(|_| texts(values()), Kept::Integers);
        (name.to_owned(), kept)
    };
    Census {
        columns: names.iter().enumerate().map(column).collect(),
        rows: records.len(),
    }
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> Kept {
    let (mut offsets, mut bytes) = (vec![0], String::new());
    for value in values {
        bytes.push_str(value);
        offsets.push(bytes.len() as i32);
    }
    Kept::Texts { offsets, bytes }
}
