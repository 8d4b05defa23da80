//! Times one inference query in the library, from rows in memory to the result in memory:
//! `answer_rows proba|log-prob|sample|impute WORKSPACE ROWS [TARGET]`. One line of JSON holds the seconds of loading the model, of the
//! first answer and of each further one. The peer's side is `benches/peer/peer_answers.py`, whose call loads the model as well.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use engine_api::data::ReadOptions;
use engine_api::{Device, FittedTabularArgn, ImputeOptions, LogProbOptions, ProbaOptions, SampleOptions};

/// Answers after the first one.
const FURTHER: u64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (query, workspace, rows, target) = match &arguments[..] {
        [query, workspace, rows] => (query, workspace, rows, None),
        [query, workspace, rows, target] => (query, workspace, rows, Some(target.as_str())),
        _ => return Err("give proba|log-prob|sample|impute WORKSPACE ROWS [TARGET]".into()),
    };
    // The file is read with the types of a model, which is not the one that is timed.
    let reader = FittedTabularArgn::load(Path::new(workspace))?;
    let table = reader.open_rows(Path::new(rows), &ReadOptions::default())?;
    let table = table.to_record_batch()?;
    drop(reader);

    let infer = |model: &FittedTabularArgn, seed: u64| -> Result<usize, Box<dyn Error>> {
        Ok(match (query.as_str(), target) {
            ("proba", Some(target)) => {
                let options = ProbaOptions::default();
                model.predict_proba(&table, &[target], &options)?.rows()
            }
            ("log-prob", None) => model.log_prob(&table, &LogProbOptions::default())?.rows.len(),
            ("sample", None) => {
                let seed_data = table.clone();
                let options = SampleOptions::builder().seed_data(seed_data).seed(seed);
                model.sample(&options.build()?)?.num_rows()
            }
            ("impute", None) => {
                let seed = Some(seed);
                let options = ImputeOptions {
                    seed,
                    ..ImputeOptions::default()
                };
                model.impute(&table, &options)?.num_rows()
            }
            _ => return Err(format!("{query}: no such query, or a target too many or too few").into()),
        })
    };
    let begin = Instant::now();
    let model = FittedTabularArgn::load(Path::new(workspace))?.on_device(Device::CPU);
    let load = begin.elapsed().as_secs_f64();
    let timed = |seed| {
        let begin = Instant::now();
        infer(&model, seed).map(|rows| (begin.elapsed().as_secs_f64(), rows))
    };
    let (first, answered) = timed(0)?;
    let further = (1..=FURTHER).map(timed).collect::<Result<Vec<_>, _>>()?;
    let further: Vec<f64> = further.into_iter().map(|(seconds, _)| seconds).collect();
    println!(r#"{{"load": {load}, "first": {first}, "further": {further:?}, "rows": {answered}}}"#);
    Ok(())
}
