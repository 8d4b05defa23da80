//! Decodes random valid codes by the statistics of a workspace and prints the seconds: `decode_rows WORKSPACE ROWS`. The peer's side of
//! the comparison is the stage `decode` of `benches/peer/peer_job.py`.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use engine_core::encode::{BinOffsets, TableStats, decode};
use engine_core::random::{Purpose, Stream};
use engine_core::schema::{CodeColumn, CodeTable};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [workspace, rows] = &arguments[..] else {
        return Err("give WORKSPACE ROWS".into());
    };
    let rows: usize = rows.parse()?;
    let stats = std::fs::read_to_string(Path::new(workspace).join("ModelStore/tgt-stats/stats.json"))?;
    let stats = TableStats::from_json(&stats)?;
    let stream = Stream::new(1, Purpose::Test, 0);
    let column = |(s, cardinality): (usize, usize)| {
        let code = |row| (stream.uniform(row as u64, s as u32) * cardinality as f64) as u32;
        CodeColumn::from_codes(cardinality, (0..rows).map(code))
    };
    let sub_columns = stats.sub_columns();
    let columns = sub_columns.iter().map(|s| s.cardinality).enumerate().map(column);
    let codes = CodeTable::new(columns.collect(), rows).ok_or("columns of one length")?;
    let positions = BinOffsets::Random {
        seed: 1,
        first_row: 0,
    };
    let begin = Instant::now();
    let decoded = decode(&codes, &stats, positions)?;
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        r#"{{"seconds": {seconds}, "rows": {rows}, "columns": {}}}"#,
        decoded.len()
    );
    Ok(())
}
