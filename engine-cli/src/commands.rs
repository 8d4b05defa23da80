//! The commands: each opens what it needs, calls the engine, and reports the result.

use std::path::Path;
use std::time::Instant;

use clap::CommandFactory;
use engine_api::data::TableSource;
use engine_api::files::TemporaryFolder;
use engine_api::{
    AnalyzeOptions, Device, EncodeOptions, FitOptions, FitReport, FittedTabularArgn, ModelState,
    SplitOptions, StopReason, StoredModel, TrainReport, Workspace, devices, limit_threads, stages,
};
use serde_json::json;

use crate::args::{
    Analyze, Cli, Command, CommonArgs, Fit, Generate, Info, Sample, Split, State, Synthesize, Train,
};
use crate::explain::explain;
use crate::failure::Failure;
use crate::progress::ProgressReporter;
use crate::report::{print, print_json, summary};
use crate::terminal::Terminal;
use crate::{inference, interrupt, options};

/// Runs a command. Rows that are to be discarded go however it ends.
pub(crate) fn run(cli: &Cli, terminal: &Terminal) -> Result<(), Failure> {
    let workspace = match &cli.command {
        Command::Fit(args) if args.discard_data => &args.workspace.workspace,
        Command::Train(args) if args.discard_data => &args.workspace.workspace,
        _ => return run_command(cli, terminal),
    };
    interrupt::discard_at_once(workspace);
    let result = run_command(cli, terminal);
    match (result, Workspace::discard_data_at(workspace)) {
        (result, Ok(())) => result,
        (Ok(()), Err(error)) => Err(error.into()),
        (Err(first), Err(error)) => {
            first.report(terminal);
            Err(error.into())
        }
    }
}

fn run_command(cli: &Cli, terminal: &Terminal) -> Result<(), Failure> {
    let common = &cli.common;
    options::device(common)?;
    if let Some(threads) = common.threads {
        limit_threads(threads)?;
    }
    match &cli.command {
        Command::Synthesize(args) => synthesize(args, common, terminal),
        Command::Fit(args) => fit(args, common, terminal),
        Command::Sample(args) => sample(args, common, terminal),
        Command::Impute(args) => inference::impute(args, common, terminal),
        Command::Predict(args) => inference::predict(args, common, terminal),
        Command::Proba(args) => inference::proba(args, common, terminal),
        Command::LogProb(args) => inference::log_prob(args, common, terminal),
        Command::Evaluate(args) => inference::evaluate(args, common),
        Command::Split(args) => split(args, common, terminal),
        Command::Analyze(args) => analyze(args, common, terminal),
        Command::Encode(args) => {
            let workspace = Workspace::open(&args.workspace.workspace)?;
            with_progress(terminal, |on_progress| {
                stages::encode(&workspace, &EncodeOptions { seed: common.seed }, on_progress)
            })
        }
        Command::Train(args) => train(args, common, terminal),
        Command::Generate(args) => generate(args, common, terminal),
        Command::Info(args) => info(args, terminal),
        Command::Export(args) => Ok(Workspace::open(&args.workspace.workspace)?.export(&args.output)?),
        Command::Devices(args) => list_devices(args.json.json),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "argn", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Runs a job under the progress bar.
pub(crate) fn with_progress<T>(
    terminal: &Terminal,
    job: impl FnOnce(&mut engine_api::ProgressCallback<'_>) -> Result<T, engine_api::EngineError>,
) -> Result<T, Failure> {
    let mut reporter = ProgressReporter::new(terminal);
    Ok(job(&mut |event| reporter.take(event))?)
}

fn warn_of_protection(is_off: bool, terminal: &Terminal) {
    if is_off {
        terminal.report(
            "warning: value protection is off: rare categories and extreme values of the table can appear in the model and in \
             synthetic rows",
        );
    }
}

pub(crate) fn report_seed(seed: u64, common: &CommonArgs, terminal: &Terminal) {
    if common.seed.is_none() {
        terminal.report(&format!("seed {seed} (drawn; give --seed {seed} to repeat this)"));
    }
}

/// What a user who pressed Ctrl-C gets to know, and the exit code that says so.
fn stopped(report: &TrainReport, workspace: &Path) -> Result<(), Failure> {
    if report.reason != StopReason::Cancelled || !interrupt::is_asked_for() {
        return Ok(());
    }
    let place = workspace.display();
    Err(Failure::Stopped(format!(
        "stopped after {:.2} epochs; the model can be sampled, and `argn train -w {place} --state resume` goes on",
        report.epoch
    )))
}

fn learn(
    workspace: &Workspace,
    table: &TableSource,
    options: &FitOptions,
    common: &CommonArgs,
    terminal: &Terminal,
) -> Result<FitReport, Failure> {
    let report = with_progress(terminal, |on_progress| {
        engine_api::fit(workspace, table, options, on_progress)
    })?;
    report_seed(report.seed, common, terminal);
    Ok(report)
}

fn synthesize(args: &Synthesize, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    warn_of_protection(args.analyze.no_value_protection, terminal);
    let begin = Instant::now();
    let options = options::fitting(&args.table, &args.analyze, &args.train, common)?;
    let sampling = options::sampling(&args.sample, args.rows, common);
    let table = TableSource::open(&args.table.table, &options::reading(&args.table))?;
    // Rows are written only after minutes of work, so an output that cannot be written is an error before that. In a pipe
    // the trial would be seen: a sink begins with the header.
    if !is_stream(&args.output) {
        drop(engine_api::data::TableSink::create(&args.output, table.format())?);
    }
    let folder = TemporaryFolder::create().map_err(engine_api::EngineError::from)?;
    let result = synthesize_in(
        folder.path(),
        (&table, &options),
        (args, sampling),
        common,
        terminal,
    );
    // Rows that cannot be removed are an error, but not the first.
    let closed = folder.close().map_err(engine_api::EngineError::from);
    let rows = result?;
    closed?;
    report_rows(rows, &args.output, begin, terminal);
    Ok(())
}

/// Learns a table in a folder and writes synthetic rows to the output; returns how many.
fn synthesize_in(
    folder: &Path,
    (table, options): (&TableSource, &FitOptions),
    (args, mut sampling): (&Synthesize, engine_api::SampleOptions),
    common: &CommonArgs,
    terminal: &Terminal,
) -> Result<u64, Failure> {
    let workspace = Workspace::create(folder)?;
    let report = learn(&workspace, table, options, common, terminal)?;
    let model = FittedTabularArgn::load(folder)?.on_device(options.train.device.clone());
    terminal.report(summary(&model.summary()).trim_end());
    if interrupt::is_asked_for() {
        return Err(Failure::Stopped("stopped; no rows were written".to_owned()));
    }
    sampling.seed = Some(report.seed);
    with_progress(terminal, |on_progress| {
        model.sample_to(&args.output, &sampling, on_progress)
    })
}

/// Whether what is written there is read at once: standard output, a named pipe or a device.
fn is_stream(output: &Path) -> bool {
    output.as_os_str() == "-"
        || output
            .metadata()
            .is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn fit(args: &Fit, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    warn_of_protection(args.analyze.no_value_protection, terminal);
    let options = FitOptions {
        state: args.state.state.map(options::state),
        force: args.force,
        discard_data: args.discard_data,
        ..options::fitting(&args.table, &args.analyze, &args.train, common)?
    };
    let table = TableSource::open(&args.table.table, &options::reading(&args.table))?;
    let workspace = Workspace::create(&args.workspace.workspace)?;
    let report = learn(&workspace, &table, &options, common, terminal)?;
    finish(&workspace, &report.training, args.json.json, terminal)
}

/// The summary at the end of a training.
fn finish(
    workspace: &Workspace,
    report: &TrainReport,
    as_json: bool,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let model = FittedTabularArgn::load(workspace.path())?;
    if as_json {
        print_json(&model.summary())?;
    } else {
        if report.was_over {
            terminal.report("the training was over already; nothing was changed");
        }
        terminal.report(summary(&model.summary()).trim_end());
    }
    stopped(report, workspace.path())
}

fn split(args: &Split, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    let options = options::splitting(&args.table, common)?;
    let table = TableSource::open(&args.table.table, &options::reading(&args.table))?;
    let options = SplitOptions {
        force: args.force,
        ..options
    };
    let workspace = Workspace::create(&args.workspace.workspace)?;
    let report = with_progress(terminal, |on_progress| {
        stages::split(&workspace, &table, &options, on_progress)
    })?;
    report_seed(report.seed, common, terminal);
    terminal.report(&format!(
        "{} rows to train on, {} to validate on",
        report.training_rows, report.validation_rows
    ));
    Ok(())
}

fn analyze(args: &Analyze, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    let workspace = Workspace::open(&args.workspace.workspace)?;
    let options = AnalyzeOptions {
        force: args.force,
        ..options::analyzing(&args.analyze, common)?
    };
    // An explanation alone must not replace what is there; flags of statistics request a new analysis.
    let only_asks = options == AnalyzeOptions::default();
    if args.explain && only_asks && workspace.has_statistics() {
        return print_explanations(&workspace, terminal);
    }
    warn_of_protection(args.analyze.no_value_protection, terminal);
    let explained = with_progress(terminal, |on_progress| {
        stages::analyze_explained(&workspace, &options, on_progress)
    })?;
    if args.explain {
        print(&explain(&explained.1))?;
    }
    Ok(())
}

fn print_explanations(workspace: &Workspace, terminal: &Terminal) -> Result<(), Failure> {
    let columns = with_progress(terminal, |on_progress| stages::explain(workspace, on_progress))?;
    print(&explain(&columns))
}

fn train(args: &Train, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    let mut train = options::training(&args.train, common)?;
    train.state = args.state.state.map_or(ModelState::Reset, options::state);
    // Who says `reset` has said what becomes of the model.
    train.force = args.force || args.state.state == Some(State::Reset);
    let workspace = Workspace::open(&args.workspace.workspace)?;
    let report = with_progress(terminal, |on_progress| {
        stages::train(&workspace, &train, on_progress)
    })?;
    finish(&workspace, &report, args.json.json, terminal)
}

fn sample(args: &Sample, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut options = options::sampling(&args.sample, args.rows, common);
    let model = inference::loaded(&args.model, common)?;
    options::conditioning(&args.conditioning, &model, &mut options)?;
    let rows = draw(&model, &args.output, options, common, terminal)?;
    report_rows(rows, &args.output, begin, terminal);
    Ok(())
}

fn draw(
    model: &FittedTabularArgn,
    output: &Path,
    mut options: engine_api::SampleOptions,
    common: &CommonArgs,
    terminal: &Terminal,
) -> Result<u64, Failure> {
    let seed = match options.seed {
        Some(seed) => seed,
        None => engine_api::draw_seed()?,
    };
    options.seed = Some(seed);
    let rows = with_progress(terminal, |on_progress| {
        model.sample_to(output, &options, on_progress)
    })?;
    report_seed(seed, common, terminal);
    Ok(rows)
}

fn generate(args: &Generate, common: &CommonArgs, terminal: &Terminal) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut options = options::sampling(&args.sample, args.rows, common);
    let device = options::device(common)?;
    let workspace = Workspace::open(&args.workspace.workspace)?;
    if let Some(output) = &args.output {
        let model = FittedTabularArgn::load(workspace.path())?.on_device(device);
        let rows = draw(&model, output, options, common, terminal)?;
        report_rows(rows, output, begin, terminal);
        return Ok(());
    }
    let seed = options.seed.map_or_else(engine_api::draw_seed, Ok)?;
    options.seed = Some(seed);
    let rows = with_progress(terminal, |on_progress| {
        stages::generate(&workspace, &device, &options, on_progress)
    })?;
    report_seed(seed, common, terminal);
    report_rows(rows, &workspace.path().join("SyntheticData"), begin, terminal);
    Ok(())
}

pub(crate) fn report_rows(rows: u64, output: &Path, begin: Instant, terminal: &Terminal) {
    let seconds = begin.elapsed().as_secs_f64();
    let place = if output == Path::new("-") {
        "standard output".into()
    } else {
        output.to_string_lossy()
    };
    terminal.report(&format!("{rows} rows in {place} ({seconds:.2} s)"));
}

fn info(args: &Info, terminal: &Terminal) -> Result<(), Failure> {
    let workspace = Workspace::open(&args.model.workspace)?;
    if args.explain {
        return print_explanations(&workspace, terminal);
    }
    if args.graph {
        return print(&(StoredModel::load(&workspace)?.graph()? + "\n"));
    }
    let model = FittedTabularArgn::load(workspace.path())?.summary();
    if args.json.json {
        print_json(&model)
    } else {
        print(&summary(&model))
    }
}

fn list_devices(as_json: bool) -> Result<(), Failure> {
    let all = devices()?;
    let names = device_names(&all);
    if as_json {
        let all: Vec<_> = all
            .iter()
            .zip(&names)
            .map(|(d, name)| json!({ "name": name, "backend": d.backend, "device": d.device, "parallelism": d.parallelism, "memory": d.memory }))
            .collect();
        return print_json(&all);
    }
    let auto = Device::default().open()?.device();
    let line = |(d, name): (&engine_api::DeviceInfo, &String)| {
        let mark = if *d == auto { " (auto)" } else { "" };
        format!("{name}{mark}: {}\n", d.device)
    };
    print(&all.iter().zip(&names).map(line).collect::<String>())
}

/// What `--device` takes: the backend, and a number where it may have several devices.
fn device_names(all: &[engine_api::DeviceInfo]) -> Vec<String> {
    let number = |i: usize| all[..i].iter().filter(|d| d.backend == all[i].backend).count();
    let name = |(i, d): (usize, &engine_api::DeviceInfo)| match d.backend {
        "cpu" => d.backend.to_owned(),
        backend => format!("{backend}:{}", number(i)),
    };
    all.iter().enumerate().map(name).collect()
}
