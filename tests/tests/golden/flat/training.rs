//! The training log: sizes of batches and the learning rate. Losses depend on random numbers, so they are not compared.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use engine_core::argn::Model;
use engine_core::encode::TableStats;
use engine_core::schema::{CodeColumn, CodeTable};
use engine_core::train::{
    CheckpointSink, ProgressMessage, SinkError, Start, TableSize, TrainOptions, TrainPlan, TrainState,
    Training, codes_per_sample,
};

use libtest_mimic::Completion;

use super::loaded::{LOADED_FILES, Loaded, SubColumns};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::devices::Device;
use crate::discover::Case;
use crate::files;

const LOG: &str = "progress-messages.csv";

/// Adds the comparison on one device.
pub(crate) fn add_tests(tests: &mut CaseTests, device: &Device) {
    let more = [
        "encoded-trn.parquet",
        "encoded-val.parquet",
        "tgt-stats.json",
        LOG,
    ];
    let files = [&LOADED_FILES[..], &more].concat();
    let name = format!("{LOG}/{}", device.name);
    let trained = device.clone();
    tests.compare(&name, &files, move |case| training_log(case, &trained));
    let name = format!("{LOG}/samples/{}", device.name);
    let device = device.clone();
    tests.compare_unless(&name, &files, move |case| samples(case, &device));
}

/// Keeps nothing.
struct NoCheckpoints;

impl CheckpointSink for NoCheckpoints {
    fn save_best(&mut self, _: &[f32]) -> Result<(), SinkError> {
        Ok(())
    }

    fn save_state(&mut self, _: &TrainState) -> Result<(), SinkError> {
        Ok(())
    }

    fn save_progress(&mut self, _: &[ProgressMessage]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// The codes of an encoded file, sub-columns in model order.
pub(crate) fn encoded_table(path: &Path, subs: &SubColumns) -> Outcome<CodeTable> {
    let encoded = files::codes(path)?;
    let rows = encoded.first().map_or(0, |(_, codes)| codes.len());
    let mut columns = Vec::new();
    for (name, cardinality) in subs {
        let found = encoded.iter().find(|(n, _)| n == name.as_str());
        let (_, codes) = found.ok_or_else(|| format!("{} has no column {name}", path.display()))?;
        columns.push(CodeColumn::from_codes(*cardinality, codes.iter().copied()));
    }
    Ok(CodeTable::new(columns, rows).ok_or("columns of unequal length")?)
}

/// What a training of the case reports, and whether its steps read each row of the table once an epoch.
struct Trained {
    messages: Vec<ProgressMessage>,
    reads_all_rows: bool,
}

fn trained(case: &Case, device: &Device) -> Outcome<Trained> {
    let loaded = Loaded::new(case)?;
    let subs = loaded.model.sub_columns().to_vec();
    let stats = TableStats::from_json(&files::json(&case.path("tgt-stats.json"))?.to_string())?;
    let training = encoded_table(&case.path("encoded-trn.parquet"), &subs)?;
    let validation = encoded_table(&case.path("encoded-val.parquet"), &subs)?;
    let size = TableSize {
        training_rows: training.rows(),
        validation_rows: validation.rows(),
        parameters: loaded.model.layout().len(),
        codes_per_sample: codes_per_sample(&stats),
    };
    let plan = TrainPlan::choose(size, None, None);
    let options = TrainOptions {
        max_epochs: files::number(&files::json(&case.path("meta.json"))?, "epochs")?,
        ..TrainOptions::new(1, plan)
    };
    let training = Training {
        backend: device.backend.as_ref(),
        programs: loaded
            .model
            .train_programs(options.plan.micro_batches_per_epoch())?,
        training: loaded.model.train_data("training", &Arc::new(training))?,
        validation: loaded.model.train_data("validation", &Arc::new(validation))?,
        options,
    };
    let report = training.run(Start::Fresh, &mut NoCheckpoints, &mut |_| {
        ControlFlow::Continue(())
    })?;
    Ok(Trained {
        messages: report.messages,
        reads_all_rows: size
            .training_rows
            .is_multiple_of(plan.batch_size * plan.micro_batches),
    })
}

/// The recorded messages, as numbers by name.
struct Recorded {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Recorded {
    fn read(case: &Case) -> Outcome<Self> {
        let text = fs::read_to_string(case.path(LOG))?;
        let mut lines = text
            .lines()
            .map(|line| line.split(',').map(str::to_owned).collect());
        let names = lines.next().ok_or("the log is empty")?;
        let rows = lines.collect();
        Ok(Self { names, rows })
    }

    fn number(&self, message: usize, name: &str) -> Outcome<f64> {
        let position = self.names.iter().position(|n| n == name);
        let text = position.and_then(|p| self.rows[message].get(p));
        Ok(text.ok_or_else(|| format!("the log has no {name}"))?.parse()?)
    }
}

fn training_log(case: &Case, device: &Device) -> Outcome {
    let recorded = Recorded::read(case)?;
    let Trained { messages, .. } = trained(case, device)?;
    let mut report = Report::default();
    report.equal("number of messages", &messages.len(), &recorded.rows.len());
    for (i, message) in messages.iter().enumerate().take(recorded.rows.len()) {
        let mut compare = |name: &str, got: f64| -> Outcome {
            report.equal(&format!("message {i}: {name}"), &got, &recorded.number(i, name)?);
            Ok(())
        };
        compare("epoch", message.epoch)?;
        compare("steps", message.steps as f64)?;
        if i < 2 {
            compare("learn_rate", message.learn_rate)?;
        }
    }
    report.finish()
}

/// An epoch of ours leaves out the rows that fill no batch; mostlyai-engine's steps drift over the passes of its loader.
fn samples(case: &Case, device: &Device) -> Outcome<Completion> {
    let recorded = Recorded::read(case)?;
    let Trained {
        messages,
        reads_all_rows,
    } = trained(case, device)?;
    if !reads_all_rows {
        let reason = "exception, decision 004: rows are no multiple of the batch";
        return Ok(Completion::ignored_with(reason));
    }
    let mut report = Report::default();
    for (i, message) in messages.iter().enumerate().take(recorded.rows.len()) {
        let what = format!("message {i}: samples");
        report.equal(&what, &(message.samples as f64), &recorded.number(i, "samples")?);
    }
    report.finish()?;
    Ok(Completion::Completed)
}
