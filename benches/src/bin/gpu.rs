//! The figures of `benches/gpu.sh`: what a device makes of training and generation on the census table, in one process, with medians
//! and spread.
//!
//! ```text
//! gpu DEVICE CENSUS [REPEAT]
//! ```
//! It needs nothing but the table, so that it can be built on one machine and carried to another.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use engine_api::{
    Device, FittedTabularArgn, SampleOptions, TabularArgn, TrainReport, Workspace, silent, stages,
};
use engine_api::{ModelState, TrainOptions};
use engine_benches::{Bound, CENSUS, model, quick, sampler, sized, table};
use engine_core::argn::{Model, ModelSize};
use engine_core::backend::{Backend, Run};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Rows of a batch of the training that is timed by rows.
const BATCH: usize = 4096;

/// Rows that a step of generation draws.
const DRAWN_ROWS: usize = 1 << 16;

/// Argument of the process whose start is timed.
const OPEN_ONLY: &str = "--open";

/// One figure of the table.
struct Figure {
    what: &'static str,
    unit: &'static str,
    /// The required figure, and the target.
    required: (&'static str, &'static str),
    values: Vec<f64>,
}

impl Figure {
    /// `| what | median (least to greatest) | at least | aim |`
    fn line(mut self) -> String {
        self.values.sort_by(f64::total_cmp);
        let median = self.values[self.values.len() / 2];
        let (least, greatest) = (self.values[0], self.values[self.values.len() - 1]);
        let show = |x: f64| match x.abs() {
            size if size >= 1e9 => format!("{:.2} G", x / 1e9),
            size if size >= 1e6 => format!("{:.2} M", x / 1e6),
            size if size >= 1e3 => format!("{:.1} k", x / 1e3),
            _ => format!("{x:.4}"),
        };
        format!(
            "| {} | {} {} ({} to {}) | {} | {} |",
            self.what,
            show(median),
            self.unit,
            show(least),
            show(greatest),
            self.required.0,
            self.required.1
        )
    }
}

/// What is measured on.
struct Setting {
    device: Device,
    census: PathBuf,
    folder: PathBuf,
    repeat: usize,
}

impl Setting {
    /// Calls often, and returns what each call returned.
    fn repeated<T>(&self, mut call: impl FnMut(usize) -> Outcome<T>) -> Outcome<Vec<T>> {
        (0..self.repeat).map(&mut call).collect()
    }

    /// A workspace with the encoded census table and a model of initial weights.
    fn encoded(&self) -> Outcome<Workspace> {
        let folder = self.folder.join("census");
        let argn = TabularArgn::builder().workspace(&folder).seed(1).max_epochs(0.0);
        argn.device(Device::CPU)
            .build()
            .fit_file(&self.census, &mut silent)?;
        Ok(Workspace::open(&folder)?)
    }
}

/// Seconds of a whole process that opens the device and ends. The first one fills the cache of compiled kernels and is not counted.
fn start_up(setting: &Setting) -> Outcome<Figure> {
    let program = std::env::current_exe()?;
    let open = || -> Outcome<f64> {
        let begin = Instant::now();
        let ended = Command::new(&program)
            .args([OPEN_ONLY, &setting.device.to_string()])
            .status()?;
        if !ended.success() {
            return Err("the device cannot be opened".into());
        }
        Ok(begin.elapsed().as_secs_f64())
    };
    open()?;
    Ok(Figure {
        what: "start-up with a warm kernel cache",
        unit: "s",
        required: ("0.4 s", "0.15 s"),
        values: setting.repeated(|_| open())?,
    })
}

/// Trains on the encoded workspace with a seed.
fn train(workspace: &Workspace, device: &Device, seed: usize) -> Outcome<(f64, TrainReport)> {
    let options = TrainOptions {
        seed: Some(seed as u64 + 1),
        max_epochs: sized(100.0, 1.0),
        state: ModelState::Reset,
        force: true,
        // The training alone: calibration is not part of what the figure is required for.
        calibrate: false,
        device: device.clone(),
        ..TrainOptions::default()
    };
    let begin = Instant::now();
    let report = stages::train(workspace, &options, &mut silent)?;
    Ok((begin.elapsed().as_secs_f64(), report))
}

/// Seconds to early stopping, and how far the best validation loss is from that on the processor, seed by seed.
fn census(setting: &Setting, workspace: &Workspace) -> Outcome<[Figure; 2]> {
    let loss = |report: &TrainReport| report.best_val_loss.ok_or("no epoch was completed");
    let on_device = setting.repeated(|seed| train(workspace, &setting.device, seed))?;
    let differences = setting.repeated(|seed| {
        let (_, on_cpu) = train(workspace, &Device::CPU, seed)?;
        Ok(loss(&on_device[seed].1)? - loss(&on_cpu)?)
    })?;
    Ok([
        Figure {
            what: "census, medium, training to early stop, data already encoded",
            unit: "s",
            required: ("1.5 s", "0.5 s"),
            values: on_device.iter().map(|(seconds, _)| *seconds).collect(),
        },
        Figure {
            what: "best validation loss less that on the processor, nats a row",
            unit: "",
            required: ("within 0.02", ""),
            values: differences,
        },
    ])
}

/// Rows a second of training over random codes of the census table's cardinalities, one epoch a run.
fn training_rows(setting: &Setting, backend: &dyn Backend) -> Outcome<Figure> {
    let rows = sized(1_000_000, 20_000);
    let model = model(ModelSize::Medium, &CENSUS);
    let steps = (rows / BATCH) as u32;
    let program = model.train_programs(steps)?.training_step()?;
    let mut bound = Bound::new(backend, &program, BATCH, &table(&CENSUS, rows), 1 << 10)?;
    let mut next = 0;
    let mut epoch = |_| -> Outcome<f64> {
        let begin = Instant::now();
        let last = next + steps;
        while next < last {
            let run = Run {
                first_step: next,
                steps: (last - next).min(64),
                learning_rate: 1e-3,
                ..Run::evaluate(BATCH as u32)
            };
            bound.run(&run)?;
            next += run.steps;
        }
        bound.wait()?;
        Ok(f64::from(steps) * BATCH as f64 / begin.elapsed().as_secs_f64())
    };
    epoch(0)?;
    Ok(Figure {
        what: "training, 1M rows, census columns, batch 4096",
        unit: "rows/s",
        required: ("4 M rows/s", "10 M rows/s"),
        values: setting.repeated(epoch)?,
    })
}

/// Codes a second that are made and stay on the device.
fn codes(setting: &Setting, backend: &dyn Backend) -> Outcome<Figure> {
    let model = model(ModelSize::Medium, &CENSUS);
    let (mut executable, mut arena) = sampler(backend, &model, DRAWN_ROWS)?;
    let steps = sized(64, 1);
    let mut draw = |_| -> Outcome<f64> {
        let run = Run {
            steps,
            ..Run::evaluate(DRAWN_ROWS as u32)
        };
        let begin = Instant::now();
        executable.run(&run, &mut [arena.as_mut()], &[])?;
        // Reading anything waits for the draws: a backend may return before they have ended.
        arena.read()?;
        let codes = f64::from(steps) * (DRAWN_ROWS * CENSUS.len()) as f64;
        Ok(codes / begin.elapsed().as_secs_f64())
    };
    draw(0)?;
    Ok(Figure {
        what: "generation, codes made and kept on the device",
        unit: "codes/s",
        required: ("100 M codes/s", "1 G codes/s"),
        values: setting.repeated(draw)?,
    })
}

/// Seconds to draw, decode and write rows of the trained census model.
fn parquet(setting: &Setting, workspace: &Workspace) -> Outcome<Figure> {
    let model = FittedTabularArgn::load(workspace.path())?.on_device(setting.device.clone());
    let file = setting.folder.join("rows.parquet");
    let options = SampleOptions {
        seed: Some(1),
        ..SampleOptions::rows(sized(1_000_000, 5_000))
    };
    let sample = |_| -> Outcome<f64> {
        let begin = Instant::now();
        model.sample_to(&file, &options, &mut silent)?;
        Ok(begin.elapsed().as_secs_f64())
    };
    sample(0)?;
    Ok(Figure {
        what: "generation, 1M rows decoded and written as Parquet",
        unit: "s",
        required: ("1 s", "0.4 s"),
        values: setting.repeated(sample)?,
    })
}

fn print(figure: Figure) {
    println!("{}", figure.line());
}

fn measure(setting: &Setting) -> Outcome<()> {
    let backend: Arc<dyn Backend> = setting.device.open()?;
    println!("device: {}\n", backend.device().device);
    if quick() {
        println!("Small sizes: these figures only show that it runs.\n");
    }
    println!(
        "| what | median of {} (least to greatest) | at least | aim |",
        setting.repeat
    );
    println!("|---|---|---|---|");
    let workspace = setting.encoded()?;
    for figure in census(setting, &workspace)? {
        print(figure);
    }
    print(training_rows(setting, backend.as_ref())?);
    print(codes(setting, backend.as_ref())?);
    print(parquet(setting, &workspace)?);
    drop(backend);
    print(start_up(setting)?);
    Ok(())
}

fn begin(arguments: &[String]) -> Outcome<()> {
    match arguments {
        [open, device] if open == OPEN_ONLY => {
            device.parse::<Device>()?.open()?;
            Ok(())
        }
        [device, census, repeat @ ..] if repeat.len() <= 1 => {
            let setting = Setting {
                device: device.parse()?,
                census: Path::new(census).to_owned(),
                folder: std::env::temp_dir().join(format!("gpu-figures-{}", std::process::id())),
                repeat: repeat.first().map_or(Ok(5), |n| n.parse())?.max(1),
            };
            std::fs::create_dir_all(&setting.folder)?;
            let measured = measure(&setting);
            std::fs::remove_dir_all(&setting.folder)?;
            measured
        }
        _ => Err("usage: gpu DEVICE CENSUS [REPEAT]".into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match begin(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
