//! The model behind a service of your own: clients send single rows over TCP and get a probability back, all served by one model
//! that is loaded once: `cargo run --release -p engine-examples --bin serve_rows`. The service ends when its clients are done.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use engine_api::{FittedTabularArgn, Level, ProbaOptions};
use engine_examples::{census_parts, learn, texts};

const CLIENTS: usize = 2;
const QUERIES: usize = 1_000;
const TARGET: &str = "income";

fn main() -> Result<(), Box<dyn Error>> {
    let (train, test) = census_parts()?;
    let model = learn(&train)?;
    // The first query puts the weights on the device and compiles the plan, so it comes before the first client.
    predict(&model, &test.slice(0, 1))?;
    report("in the library", &mut in_library(&model, &test)?);

    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let mut latencies = thread::scope(|scope| {
        let model = &model;
        let served = scope.spawn(move || serve(&listener, model));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|nth| {
                let rows = test.slice(nth * QUERIES, QUERIES);
                scope.spawn(move || client(TcpStream::connect(address).map_err(|e| e.to_string())?, &rows))
            })
            .collect();
        let mut latencies = Vec::new();
        for client in clients {
            latencies.extend(client.join().map_err(|_| "a client panicked")??);
        }
        served.join().map_err(|_| "the service panicked")??;
        Ok::<_, String>(latencies)
    })?;
    report(&format!("over TCP, {CLIENTS} clients at once"), &mut latencies);
    Ok(())
}

/// P(income >50K) of one row.
fn predict(model: &FittedTabularArgn, row: &RecordBatch) -> Result<f64, Box<dyn Error>> {
    let table = model.predict_proba(row, &[TARGET], &ProbaOptions::default())?;
    Ok(table
        .get(0, &[Level::Value(">50K".to_owned())])
        .ok_or("a value of income")?)
}

fn in_library(model: &FittedTabularArgn, rows: &RecordBatch) -> Result<Vec<Duration>, Box<dyn Error>> {
    // A service would not know the target either.
    let target = rows.schema_ref().index_of(TARGET)?;
    let others: Vec<usize> = (0..rows.num_columns()).filter(|at| *at != target).collect();
    let rows = rows.project(&others)?;
    let timed = |row| {
        let row = rows.slice(row, 1);
        let begin = Instant::now();
        predict(model, &row).map(|_| begin.elapsed())
    };
    (0..QUERIES).map(timed).collect()
}

/// Serves each client on a thread of its own: a line `column=value,column=value` is a query, a line with a number the result.
fn serve(listener: &TcpListener, model: &FittedTabularArgn) -> Result<(), String> {
    thread::scope(|scope| {
        let mut served = Vec::new();
        for _ in 0..CLIENTS {
            let (stream, _) = listener.accept().map_err(|e| e.to_string())?;
            served.push(scope.spawn(move || answer(stream, model).map_err(|e| e.to_string())));
        }
        served
            .into_iter()
            .try_for_each(|s| s.join().map_err(|_| "a thread panicked".to_owned())?)
    })
}

fn answer(mut stream: TcpStream, model: &FittedTabularArgn) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let reply = match row_of(&line?).and_then(|row| predict(model, &row)) {
            Ok(p) => format!("{p:.6}\n"),
            // What is wrong with a row is the client's to know: the message names the column and what to do.
            Err(error) => format!("error: {error}\n"),
        };
        stream.write_all(reply.as_bytes())?;
    }
    Ok(())
}

/// A row of texts; the model reads them in its own types.
fn row_of(line: &str) -> Result<RecordBatch, Box<dyn Error>> {
    let mut cells: Vec<(&str, ArrayRef)> = Vec::new();
    for cell in line.split(',') {
        let (name, value) = cell.split_once('=').ok_or("give column=value,column=value")?;
        cells.push((name, Arc::new(StringArray::from(vec![value]))));
    }
    Ok(RecordBatch::try_from_iter(cells)?)
}

/// Sends row after row and waits for each answer; the time of each query.
fn client(mut stream: TcpStream, rows: &RecordBatch) -> Result<Vec<Duration>, String> {
    let queries = queries(rows).map_err(|e| e.to_string())?;
    let mut talk = || -> Result<Vec<Duration>, Box<dyn Error>> {
        stream.set_nodelay(true)?;
        let mut replies = BufReader::new(stream.try_clone()?);
        let (mut times, mut reply) = (Vec::new(), String::new());
        for query in &queries {
            let begin = Instant::now();
            stream.write_all(query.as_bytes())?;
            reply.clear();
            replies.read_line(&mut reply)?;
            times.push(begin.elapsed());
            let p: f64 = reply
                .trim()
                .parse()
                .map_err(|_| format!("the service said {reply:?}"))?;
            assert!((0.0..=1.0).contains(&p), "{p} is a probability");
        }
        Ok(times)
    };
    talk().map_err(|e| e.to_string())
}

fn queries(rows: &RecordBatch) -> Result<Vec<String>, Box<dyn Error>> {
    let mut lines = vec![String::new(); rows.num_rows()];
    for field in rows.schema_ref().fields().iter().filter(|f| f.name() != TARGET) {
        for (line, text) in lines.iter_mut().zip(texts(rows, field.name())?) {
            let comma = if line.is_empty() { "" } else { "," };
            *line += &format!("{comma}{}={text}", field.name());
        }
    }
    lines.iter_mut().for_each(|line| line.push('\n'));
    Ok(lines)
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_micros();
    println!(
        "{what}: {} single rows, microseconds: median {}, 90 % below {}, 99 % below {}",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99)
    );
}
