//! The commands: each opens what it needs, asks the engine, and says what came of it.

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
use crate::progress::Watcher;
use crate::report::{print, print_json, summary};
use crate::screen::Screen;
use crate::{interrupt, meaning, questions};

/// Runs a command. Rows that are to be discarded go however it ends.
pub(crate) fn run(cli: &Cli, screen: &Screen) -> Result<(), Failure> {
    let workspace = match &cli.command {
        Command::Fit(args) if args.discard_data => &args.workspace.workspace,
        Command::Train(args) if args.discard_data => &args.workspace.workspace,
        _ => return run_command(cli, screen),
    };
    interrupt::discard_at_once(workspace);
    let result = run_command(cli, screen);
    match (result, Workspace::discard_data_at(workspace)) {
        (result, Ok(())) => result,
        (Ok(()), Err(error)) => Err(error.into()),
        (Err(first), Err(error)) => {
            first.report(screen);
            Err(error.into())
        }
    }
}

fn run_command(cli: &Cli, screen: &Screen) -> Result<(), Failure> {
    let common = &cli.common;
    meaning::device(common)?;
    if let Some(threads) = common.threads {
        limit_threads(threads)?;
    }
    match &cli.command {
        Command::Synthesize(args) => synthesize(args, common, screen),
        Command::Fit(args) => fit(args, common, screen),
        Command::Sample(args) => sample(args, common, screen),
        Command::Impute(args) => questions::impute(args, common, screen),
        Command::Predict(args) => questions::predict(args, common, screen),
        Command::Proba(args) => questions::proba(args, common, screen),
        Command::LogProb(args) => questions::log_prob(args, common, screen),
        Command::Evaluate(args) => questions::evaluate(args, common),
        Command::Split(args) => split(args, common, screen),
        Command::Analyze(args) => analyze(args, common, screen),
        Command::Encode(args) => {
            let workspace = Workspace::open(&args.workspace.workspace)?;
            watched(screen, |watch| {
                stages::encode(&workspace, &EncodeOptions { seed: common.seed }, watch)
            })
        }
        Command::Train(args) => train(args, common, screen),
        Command::Generate(args) => generate(args, common, screen),
        Command::Info(args) => info(args, screen),
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
pub(crate) fn watched<T>(
    screen: &Screen,
    job: impl FnOnce(&mut engine_api::Watch<'_>) -> Result<T, engine_api::EngineError>,
) -> Result<T, Failure> {
    let mut watcher = Watcher::new(screen);
    Ok(job(&mut |event| watcher.take(event))?)
}

fn warn_of_protection(is_off: bool, screen: &Screen) {
    if is_off {
        screen.tell(
            "warning: value protection is off: rare categories and extreme values of the table can appear in the model and in \
             synthetic rows",
        );
    }
}

pub(crate) fn tell_seed(seed: u64, common: &CommonArgs, screen: &Screen) {
    if common.seed.is_none() {
        screen.tell(&format!("seed {seed} (drawn; give --seed {seed} to repeat this)"));
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
    screen: &Screen,
) -> Result<FitReport, Failure> {
    let report = watched(screen, |watch| engine_api::fit(workspace, table, options, watch))?;
    tell_seed(report.seed, common, screen);
    Ok(report)
}

fn synthesize(args: &Synthesize, common: &CommonArgs, screen: &Screen) -> Result<(), Failure> {
    warn_of_protection(args.analyze.no_value_protection, screen);
    let begin = Instant::now();
    let options = meaning::fitting(&args.table, &args.analyze, &args.train, common)?;
    let sampling = meaning::sampling(&args.sample, args.rows, common);
    let table = TableSource::open(&args.table.table, &meaning::reading(&args.table))?;
    // Rows are written only after minutes of work, so an output that cannot be is found out first. In a pipe
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
        screen,
    );
    // Rows that cannot be removed are an error, but not the first.
    let closed = folder.close().map_err(engine_api::EngineError::from);
    let rows = result?;
    closed?;
    tell_rows(rows, &args.output, begin, screen);
    Ok(())
}

/// Learns a table in a folder and writes synthetic rows to the output; returns how many.
fn synthesize_in(
    folder: &Path,
    (table, options): (&TableSource, &FitOptions),
    (args, mut sampling): (&Synthesize, engine_api::SampleOptions),
    common: &CommonArgs,
    screen: &Screen,
) -> Result<u64, Failure> {
    let workspace = Workspace::create(folder)?;
    let report = learn(&workspace, table, options, common, screen)?;
    let model = FittedTabularArgn::load(folder)?.on_device(options.train.device.clone());
    screen.tell(summary(&model.summary()).trim_end());
    if interrupt::is_asked_for() {
        return Err(Failure::Stopped("stopped; no rows were written".to_owned()));
    }
    sampling.seed = Some(report.seed);
    watched(screen, |watch| model.sample_to(&args.output, &sampling, watch))
}

/// Whether what is written there is read at once: standard output, a named pipe or a device.
fn is_stream(output: &Path) -> bool {
    output.as_os_str() == "-"
        || output
            .metadata()
            .is_ok_and(|found| !found.is_file() && !found.is_dir())
}

fn fit(args: &Fit, common: &CommonArgs, screen: &Screen) -> Result<(), Failure> {
    warn_of_protection(args.analyze.no_value_protection, screen);
    let options = FitOptions {
        state: args.state.state.map(meaning::state),
        force: args.force,
        discard_data: args.discard_data,
        ..meaning::fitting(&args.table, &args.analyze, &args.train, common)?
    };
    let table = TableSource::open(&args.table.table, &meaning::reading(&args.table))?;
    let workspace = Workspace::create(&args.workspace.workspace)?;
    let report = learn(&workspace, &table, &options, common, screen)?;
    finish(&workspace, &report.training, args.json.json, screen)
}

/// The summary at the end of a training.
fn finish(
    workspace: &Workspace,
    report: &TrainReport,
    as_json: bool,
    screen: &Screen,
) -> Result<(), Failure> {
    let model = FittedTabularArgn::load(workspace.path())?;
    if as_json {
        print_json(&model.summary())?;
    } else {
        if report.was_over {
            screen.tell("the training was over already; nothing was changed");
        }
        screen.tell(summary(&model.summary()).trim_end());
    }
    stopped(report, workspace.path())
}

fn split(args: &Split, common: &CommonArgs, screen: &Screen) -> Result<(), Failure> {
    let options = meaning::splitting(&args.table, common)?;
    let table = TableSource::open(&args.table.table, &meaning::reading(&args.table))?;
    let options = SplitOptions {
        force: args.force,
        ..options
    };
    let workspace = Workspace::create(&args.workspace.workspace)?;
    let report = watched(screen, |watch| stages::split(&workspace, &table, &options, watch))?;
    tell_seed(report.seed, common, screen);
    screen.tell(&format!(
        "{} rows to train on, {} to validate on",
        report.training_rows, report.validation_rows
    ));
    Ok(())
}

fn analyze(args: &Analyze, common: &CommonArgs, screen: &Screen) -> Result<(), Failure> {
    let workspace = Workspace::open(&args.workspace.workspace)?;
    let options = AnalyzeOptions {
        force: args.force,
        ..meaning::analyzing(&args.analyze, common)?
    };
    // Who only asks why must not lose what is there. Who says how is asking for an analysis.
    let only_asks = options == AnalyzeOptions::default();
    if args.explain && only_asks && workspace.has_statistics() {
        return print_explanations(&workspace, screen);
    }
    warn_of_protection(args.analyze.no_value_protection, screen);
    let explained = watched(screen, |watch| {
        stages::analyze_explained(&workspace, &options, watch)
    })?;
    if args.explain {
        print(&explain(&explained.1))?;
    }
    Ok(())
}

fn print_explanations(workspace: &Workspace, screen: &Screen) -> Result<(), Failure> {
    let columns = watched(screen, |watch| stages::explain(workspace, watch))?;
    print(&explain(&columns))
}

fn train(args: &Train, common: &CommonArgs, screen: &Screen) -> Result<(), Failure> {
    let mut settings = meaning::training(&args.train, common)?;
    settings.state = args.state.state.map_or(ModelState::Reset, meaning::state);
    // Who says `reset` has said what becomes of the model.
    settings.force = args.force || args.state.state == Some(State::Reset);
    let workspace = Workspace::open(&args.workspace.workspace)?;
    let report = watched(screen, |watch| stages::train(&workspace, &settings, watch))?;
    finish(&workspace, &report, args.json.json, screen)
}

fn sample(args: &Sample, common: &CommonArgs, screen: &Screen) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut options = meaning::sampling(&args.sample, args.rows, common);
    let model = questions::loaded(&args.model, common)?;
    meaning::conditions(&args.conditions, &model, &mut options)?;
    let rows = draw(&model, &args.output, options, common, screen)?;
    tell_rows(rows, &args.output, begin, screen);
    Ok(())
}

fn draw(
    model: &FittedTabularArgn,
    output: &Path,
    mut options: engine_api::SampleOptions,
    common: &CommonArgs,
    screen: &Screen,
) -> Result<u64, Failure> {
    let seed = match options.seed {
        Some(seed) => seed,
        None => engine_api::draw_seed()?,
    };
    options.seed = Some(seed);
    let rows = watched(screen, |watch| model.sample_to(output, &options, watch))?;
    tell_seed(seed, common, screen);
    Ok(rows)
}

fn generate(args: &Generate, common: &CommonArgs, screen: &Screen) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut options = meaning::sampling(&args.sample, args.rows, common);
    let device = meaning::device(common)?;
    let workspace = Workspace::open(&args.workspace.workspace)?;
    if let Some(output) = &args.output {
        let model = FittedTabularArgn::load(workspace.path())?.on_device(device);
        let rows = draw(&model, output, options, common, screen)?;
        tell_rows(rows, output, begin, screen);
        return Ok(());
    }
    let seed = options.seed.map_or_else(engine_api::draw_seed, Ok)?;
    options.seed = Some(seed);
    let rows = watched(screen, |watch| {
        stages::generate(&workspace, &device, &options, watch)
    })?;
    tell_seed(seed, common, screen);
    tell_rows(rows, &workspace.path().join("SyntheticData"), begin, screen);
    Ok(())
}

pub(crate) fn tell_rows(rows: u64, output: &Path, begin: Instant, screen: &Screen) {
    let seconds = begin.elapsed().as_secs_f64();
    let place = if output == Path::new("-") {
        "standard output".into()
    } else {
        output.to_string_lossy()
    };
    screen.tell(&format!("{rows} rows in {place} ({seconds:.2} s)"));
}

fn info(args: &Info, screen: &Screen) -> Result<(), Failure> {
    let workspace = Workspace::open(&args.model.workspace)?;
    if args.explain {
        return print_explanations(&workspace, screen);
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
