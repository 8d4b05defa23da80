//! Draws the shares of the most frequent values of some columns, original beside synthetic, as an SVG:
//! `cargo run -p engine-examples --bin compare_marginals -- ORIGINAL SYNTHETIC OUT.svg COLUMN...`.
#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use engine_api::data::{ReadOptions, TableSource};

/// Values of a column that are drawn.
const BARS: usize = 8;
const WIDTH: f64 = 420.0;
const ROW: f64 = 20.0;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [original, synthetic, out, columns @ ..] = &arguments[..] else {
        return Err("give ORIGINAL SYNTHETIC OUT.svg COLUMN...".into());
    };
    let mut body = String::new();
    let mut top = 30.0;
    for column in columns {
        let (a, b) = (shares(original, column)?, shares(synthetic, column)?);
        top = panel(&mut body, column, &a, &b, top)?;
    }
    let legend = "<rect x='10' y='6' width='12' height='12' fill='#4c72b0'/><text x='26' y='16'>original</text>\
                  <rect x='96' y='6' width='12' height='12' fill='#dd8452'/><text x='112' y='16'>synthetic</text>";
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{top}' font-family='sans-serif' font-size='11'>\
         <rect width='100%' height='100%' fill='white'/>{legend}{body}</svg>\n"
    );
    std::fs::write(out, svg)?;
    println!("{out}: {} columns", columns.len());
    Ok(())
}

/// Share of each value of a column of a table.
fn shares(table: &str, column: &str) -> Result<HashMap<String, f64>, Box<dyn Error>> {
    let source = TableSource::open(Path::new(table), &ReadOptions::default())?;
    let mut counts: HashMap<String, f64> = HashMap::new();
    for batch in source.batches()? {
        let batch = batch?;
        let values = batch
            .column_by_name(column)
            .ok_or_else(|| format!("{table}: no column {column}"))?;
        let texts = cast(values, &DataType::LargeUtf8)?;
        for text in texts.as_string::<i64>() {
            *counts.entry(text.unwrap_or("null").to_owned()).or_default() += 1.0;
        }
    }
    let rows = source.rows() as f64;
    counts.values_mut().for_each(|count| *count /= rows);
    Ok(counts)
}

fn panel(
    body: &mut String,
    column: &str,
    original: &HashMap<String, f64>,
    synthetic: &HashMap<String, f64>,
    top: f64,
) -> Result<f64, std::fmt::Error> {
    let mut values: Vec<(&String, &f64)> = original.iter().collect();
    values.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
    values.truncate(BARS);
    let largest = values.first().map_or(1.0, |(_, share)| **share);
    write!(
        body,
        "<text x='10' y='{}' font-weight='bold'>{}</text>",
        top + 12.0,
        escape(column)
    )?;
    let mut y = top + 20.0;
    for (value, share) in values {
        let other = synthetic.get(value).copied().unwrap_or(0.0);
        write!(
            body,
            "<text x='135' y='{}' text-anchor='end'>{}</text>",
            y + 12.0,
            escape(value)
        )?;
        for (share, color, dy) in [(*share, "#4c72b0", 0.0), (other, "#dd8452", 8.0)] {
            let length = 230.0 * share / largest;
            write!(
                body,
                "<rect x='142' y='{}' width='{length:.1}' height='7' fill='{color}'/>",
                y + dy
            )?;
        }
        write!(
            body,
            "<text x='{:.1}' y='{}'>{:.1} %</text>",
            148.0 + 230.0 * share / largest,
            y + 12.0,
            share * 100.0
        )?;
        y += ROW;
    }
    Ok(y + 10.0)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
