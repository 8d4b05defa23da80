//! Where the time of a training step and of a draw goes, kernel by kernel: a model of the census table's shape over random codes.
//!
//! ```text
//! profile cuda [tensor-cores] | wgpu
//! ```
//! Backends are those whose features are built in.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use engine_benches::{Bound, CENSUS, model, sampler, sized, table};
use engine_core::argn::{Model, ModelSize};
use engine_core::backend::{Backend, BackendError, Run};
use engine_core::ir::Program;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Rows of the table, steps that are timed together, and rows of a draw.
const TABLE_ROWS: usize = 1_000_000;
const STEPS: u32 = 256;
const DRAWN_ROWS: usize = 1 << 20;
const REPEATS: usize = 5;

/// One launch of a step.
struct Launch {
    kernel: &'static str,
    groups: u64,
    time: Duration,
}

/// A backend that times the launches of a step, each alone on the device.
trait Profiled: Backend {
    fn launches(&self, program: &Program, run: &Run, bound: &mut Bound) -> Result<Vec<Launch>, BackendError>;
}

#[cfg(feature = "cuda")]
impl Profiled for engine_kernels_cuda::CudaBackend {
    fn launches(&self, program: &Program, run: &Run, bound: &mut Bound) -> Result<Vec<Launch>, BackendError> {
        let launches = self.profile(program, run, &mut bound.resources(), &[])?;
        let launch = |l: engine_kernels_cuda::LaunchTime| Launch {
            kernel: l.kernel,
            groups: l.blocks,
            time: l.time,
        };
        Ok(launches.into_iter().map(launch).collect())
    }
}

#[cfg(feature = "wgpu")]
impl Profiled for engine_kernels_wgpu::WgpuBackend {
    fn launches(&self, program: &Program, run: &Run, bound: &mut Bound) -> Result<Vec<Launch>, BackendError> {
        let launches = self.profile(program, run, &mut bound.resources(), &[])?;
        let launch = |l: engine_kernels_wgpu::LaunchTime| Launch {
            kernel: l.kernel,
            groups: l.workgroups,
            time: l.time,
        };
        Ok(launches.into_iter().map(launch).collect())
    }
}

fn open(device: &str) -> Outcome<Box<dyn Profiled>> {
    match device {
        #[cfg(feature = "cuda")]
        "cuda" | "cuda tensor-cores" => {
            let options = engine_kernels_cuda::CudaOptions {
                tensor_cores: device != "cuda",
                ..Default::default()
            };
            Ok(Box::new(engine_kernels_cuda::CudaBackend::open_with(0, options)?))
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => Ok(Box::new(engine_kernels_wgpu::WgpuBackend::new(
            &Default::default(),
        )?)),
        _ => Err(
            "usage: profile cuda [tensor-cores] | wgpu; backends are those whose features are built in"
                .into(),
        ),
    }
}

/// The median seconds of a few calls, after one that is not counted.
fn median(mut call: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..=REPEATS {
        let begun = Instant::now();
        call()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(times[REPEATS / 2])
}

fn training(backend: &dyn Profiled, size: ModelSize, rows: usize) -> Outcome<()> {
    let table = table(&CENSUS, sized(TABLE_ROWS, 20_000));
    let program = model(size, &CENSUS)
        .train_programs((table.rows() / rows) as u32)?
        .training_step()?;
    let steps = sized(STEPS, 2);
    let mut bound = Bound::new(backend, &program, rows, &table, steps as usize)?;
    let run = Run {
        steps,
        learning_rate: 1e-3,
        ..Run::evaluate(rows as u32)
    };
    let seconds = median(|| {
        bound.run(&run)?;
        Ok(bound.wait()?)
    })?;
    let step = seconds / f64::from(steps);
    let speed = rows as f64 / step / 1e6;
    println!(
        "training step, {size:?}, {rows} rows: {:.1} us, {speed:.2} M rows/s",
        step * 1e6
    );
    let launches = backend.launches(&program, &Run { steps: 1, ..run }, &mut bound)?;
    for Launch { kernel, groups, time } in &launches {
        let micros = time.as_secs_f64() * 1e6;
        println!("  {kernel:<32} {micros:>8.2} us  {groups:>6} workgroups");
    }
    let sum: Duration = launches.iter().map(|l| l.time).sum();
    println!(
        "  {:<32} {:>8.2} us one after another",
        "",
        sum.as_secs_f64() * 1e6
    );
    Ok(())
}

fn drawing(backend: &dyn Profiled, size: ModelSize) -> Outcome<()> {
    let rows = sized(DRAWN_ROWS, 1 << 10);
    let (mut executable, mut arena) = sampler(backend, &model(size, &CENSUS), rows)?;
    let run = Run::evaluate(rows as u32);
    let seconds = median(|| {
        executable.run(&run, &mut [arena.as_mut()], &[])?;
        // Reading anything waits for the draws.
        arena.read()?;
        Ok(())
    })?;
    let speed = rows as f64 / seconds / 1e6;
    println!(
        "drawing, {size:?}, {rows} rows: {:.2} ms, {speed:.1} M rows/s, {:.0} M codes/s",
        seconds * 1e3,
        speed * CENSUS.len() as f64
    );
    Ok(())
}

fn begin() -> Outcome<()> {
    let device = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
    let begun = Instant::now();
    let backend = open(&device)?;
    let seconds = begun.elapsed().as_secs_f64();
    println!("{}, opened in {seconds:.3} s", backend.device().device);
    for (size, rows) in [
        (ModelSize::Medium, 4096),
        (ModelSize::Medium, 512),
        (ModelSize::Small, 512),
        (ModelSize::Large, 512),
        (ModelSize::Large, 4096),
    ] {
        training(backend.as_ref(), size, rows)?;
    }
    for size in [ModelSize::Medium, ModelSize::Small, ModelSize::Large] {
        drawing(backend.as_ref(), size)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
