//! What must hold for any bytes in a file: it is read or refused, without a panic and without memory that the bytes do not
//! account for. `cargo fuzz` calls these functions, and so does a test of `engine-api` with damaged files.

#![allow(missing_docs, unreachable_pub, reason = "also a module of a test")]
#![allow(clippy::unwrap_used, reason = "a panic is what is looked for")]

use std::path::Path;

use arrow_array::RecordBatch;
use engine_api::data::{
    ReadOptions, SourceFormat, TableBatch, TableFormat, TableSink, TableSource, to_record_batch,
};
use engine_core::encode::{
    BinOffsets, Compat, EncodingTypes, Protection, SplitPart, TableKeys, TableStats, analyze_partition,
    decode, default_encoding, encode, reduce,
};
use engine_core::schema::{CodeColumn, CodeTable, Column, DecodedColumn, DecodedValues, Table, Values};

/// Batches of a table that are looked at.
const BATCHES: usize = 4;

/// A CSV, packed or not. What was read and written again is read again with as many rows.
pub fn csv(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.csv");
    std::fs::write(&path, bytes).unwrap();
    let Some(source) = read_table(&path) else { return };
    let written = folder.path().join("out.csv");
    let mut sink = TableSink::create(&written, source.format()).unwrap();
    for batch in source.batches().unwrap() {
        sink.write(&batch.unwrap()).unwrap();
    }
    sink.finish().unwrap();
    let options = ReadOptions {
        delimiter: Some(source.format().csv.delimiter),
        ..ReadOptions::default()
    };
    let again = TableSource::open(&written, &options).unwrap();
    assert_eq!(again.rows(), source.rows());
    assert_eq!(again.format().columns.len(), source.format().columns.len());
}

/// A Parquet file.
pub fn parquet(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.parquet");
    std::fs::write(&path, bytes).unwrap();
    read_table(&path);
}

/// Reads, encodes and decodes the first rows of a table; `None` when it is refused.
fn read_table(path: &Path) -> Option<TableSource> {
    let source = TableSource::open(path, &ReadOptions::default()).ok()?;
    for batch in source.batches().ok()?.take(BATCHES) {
        encode_batch(&batch.ok()?, source.format());
    }
    Some(source)
}

fn encode_batch(batch: &RecordBatch, format: &TableFormat) {
    let Ok(shown) = TableBatch::new(batch) else { return };
    let Ok(table) = shown.table() else { return };
    let types: EncodingTypes = table
        .columns()
        .iter()
        .map(|c| (c.name.to_owned(), default_encoding(&c.values)))
        .collect();
    let Ok(partial) = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native) else {
        return;
    };
    let Ok(stats) = reduce(
        &[partial],
        &types,
        Protection::Off,
        Compat::Native,
        TableKeys::default(),
        1,
    ) else {
        return;
    };
    let codes = encode(&table, &stats, 1, 0).unwrap();
    let decoded = decode(
        &codes,
        &stats,
        BinOffsets::Random {
            seed: 1,
            first_row: 0,
        },
    )
    .unwrap();
    let back = to_record_batch(decoded, format).unwrap();
    assert_eq!(back.num_rows(), batch.num_rows());
}

/// The statistics of a table. Whatever is taken decodes any codes below the cardinalities.
pub fn stats_json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(stats) = TableStats::from_json(text) else {
        return;
    };
    let columns = stats.sub_columns().into_iter().enumerate().map(|(at, sub)| {
        let code = |row: u64| {
            let code = row.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(at as u32);
            (code % sub.cardinality as u64).min(u64::from(u32::MAX)) as u32
        };
        CodeColumn::from_codes(sub.cardinality, (0..16).map(code))
    });
    let codes = CodeTable::new(columns.collect(), 16).unwrap();
    let decoded = decode(
        &codes,
        &stats,
        BinOffsets::Random {
            seed: 1,
            first_row: 0,
        },
    )
    .unwrap();
    assert!(decoded.iter().all(|column| column.len() == 16));
    let again = TableStats::from_json(&stats.to_json().unwrap()).unwrap();
    assert_eq!(again, stats);
}

/// The encodings of columns. Whatever is taken encodes a table of numbers or says why not.
pub fn encoding_types_json(bytes: &[u8]) {
    let Ok(types) = serde_json::from_slice::<EncodingTypes>(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&types).unwrap();
    assert_eq!(serde_json::from_slice::<EncodingTypes>(&written).unwrap(), types);
    let column = |name| Column {
        name,
        values: Values::Int64(&[3, 1, -4]),
        validity: None,
    };
    let table = Table::new(vec![column("a"), column("b")], 3).unwrap();
    if let Ok(partial) = analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native) {
        let stats = reduce(
            &[partial],
            &types,
            Protection::Off,
            Compat::Native,
            TableKeys::default(),
            1,
        );
        if let Ok(stats) = stats {
            encode(&table, &stats, 1, 0).unwrap();
        }
    }
}

/// The format of a table. Whatever is taken gives columns their types or says why not.
pub fn table_format_json(bytes: &[u8]) {
    let Ok(format) = serde_json::from_slice::<TableFormat>(bytes) else {
        return;
    };
    let written = serde_json::to_vec(&format).unwrap();
    assert_eq!(serde_json::from_slice::<TableFormat>(&written).unwrap(), format);
    for column in &format.columns {
        let field = arrow_schema::Field::new(&column.name, column.data_type.clone(), true);
        let schema = arrow_schema::Schema::new(vec![field]);
        let single = TableFormat::of_schema(SourceFormat::Arrow, &schema);
        for values in [
            DecodedValues::Int(vec![i64::MIN, 0, i64::MAX]),
            DecodedValues::Float(vec![-1e300, 0.5, 1e300]),
            DecodedValues::Timestamp(vec![-62_135_596_800_000_000, 0, 253_402_300_799_999_999]),
            DecodedValues::Text(vec![
                "_RARE_".to_owned(),
                "1.5".to_owned(),
                "2024-02-29".to_owned(),
            ]),
        ] {
            let column = DecodedColumn {
                name: column.name.clone(),
                values,
                validity: None,
            };
            if let Ok(batch) = to_record_batch(vec![column], &single) {
                assert_eq!(batch.num_rows(), 3);
            }
        }
    }
}
