//! Where the time of a training step and of a draw goes, kernel by kernel, on the first CUDA device: a model of the census table's
//! shape over random codes.

// The tables are what this program is run for.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine_core::argn::{FlatModel, ModelSize, ModelUnits, Objective, initialise};
use engine_core::backend::{Backend, Buffer, Executable, HostData, Run};
use engine_core::ir::{Program, ResourceKind, SampleSpec, fold_inference, sample_program};
use engine_core::random::{Purpose, Stream};
use engine_core::schema::{CodeColumn, CodeTable, SubColumnName};
use engine_kernels_cuda::{CudaBackend, LaunchTime};

/// Cardinalities of the census table's fifteen sub-columns.
const CENSUS: [usize; 15] = [71, 10, 103, 17, 17, 8, 16, 7, 6, 3, 65, 45, 80, 42, 3];
const TABLE_ROWS: usize = 1_000_000;
const STEPS: u32 = 256;
const DRAWN_ROWS: u32 = 1 << 20;
const REPEATS: usize = 5;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let opened = Instant::now();
    let backend = CudaBackend::open(0)?;
    println!(
        "{}, opened in {:.3} s",
        backend.device().device,
        opened.elapsed().as_secs_f64()
    );
    let table = table();
    for (size, rows) in [
        (ModelSize::Medium, 512),
        (ModelSize::Medium, 4096),
        (ModelSize::Small, 512),
        (ModelSize::Large, 512),
        (ModelSize::Large, 4096),
    ] {
        training(&backend, size, rows, &table)?;
    }
    for size in [ModelSize::Small, ModelSize::Medium, ModelSize::Large] {
        drawing(&backend, size)?;
    }
    Ok(())
}

fn model(size: ModelSize) -> Result<FlatModel> {
    let name = |(i, v): (usize, &usize)| (SubColumnName::new("tgt", i, i, "cat"), *v);
    let sub_columns: Vec<_> = CENSUS.iter().enumerate().map(name).collect();
    let units = ModelUnits::flat(size, &sub_columns);
    Ok(FlatModel::new(sub_columns, &units, None)?)
}

fn table() -> Arc<CodeTable> {
    let stream = Stream::new(1, Purpose::Test, 0);
    let column = |(s, v): (usize, &usize)| {
        let codes = (0..TABLE_ROWS).map(|r| stream.below(*v as u64, r as u64, s as u32) as u32);
        CodeColumn::from_codes(*v, codes)
    };
    let columns = CENSUS.iter().enumerate().map(column).collect();
    Arc::new(CodeTable::new(columns, TABLE_ROWS).expect("columns of equal length"))
}

/// Buffers for the resources of a program: parameters initialised, other numbers zero.
fn upload(
    backend: &CudaBackend,
    program: &Program,
    table: &Arc<CodeTable>,
    numbers: usize,
) -> Result<Vec<Box<dyn Buffer>>> {
    let mut buffers = Vec::new();
    for resource in program.resources() {
        buffers.push(backend.upload(match &resource.kind {
            ResourceKind::Arena(layout) if resource.name == "params" => HostData::F32(initialise(layout, 1)),
            ResourceKind::Arena(layout) => HostData::F32(vec![0.0; layout.len()]),
            ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(table)),
            _ => HostData::F32(vec![0.0; numbers]),
        })?);
    }
    Ok(buffers)
}

/// The median of a few runs, after one that is not counted.
fn time(executable: &mut dyn Executable, run: &Run, buffers: &mut [Box<dyn Buffer>]) -> Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..=REPEATS {
        let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
        let begun = Instant::now();
        executable.run(run, &mut bound, &[])?;
        times.push(begun.elapsed());
    }
    times.remove(0);
    times.sort_unstable();
    Ok(times[REPEATS / 2])
}

fn print(launches: &[LaunchTime]) {
    for launch in launches {
        let (micros, blocks) = (launch.time.as_secs_f64() * 1e6, launch.blocks);
        println!(
            "  {:<32} {micros:>8.2} us  {blocks:>6} blocks of {}",
            launch.kernel, launch.threads
        );
    }
    let sum: Duration = launches.iter().map(|l| l.time).sum();
    println!(
        "  {:<32} {:>8.2} us one after another",
        "",
        sum.as_secs_f64() * 1e6
    );
}

fn training(backend: &CudaBackend, size: ModelSize, rows: u32, table: &Arc<CodeTable>) -> Result<()> {
    let model = model(size)?;
    let objective = Objective {
        steps_per_epoch: TABLE_ROWS as u32 / rows,
        micro_batches: 1,
        flexible: true,
    };
    let program = model.training_step(objective)?;
    let mut buffers = upload(backend, &program, table, STEPS as usize)?;
    let run = Run {
        steps: STEPS,
        learning_rate: 1e-3,
        ..Run::evaluate(rows)
    };
    let mut executable = backend.compile(&program, rows as usize)?;
    let step = time(executable.as_mut(), &run, &mut buffers)?.as_secs_f64() / f64::from(STEPS);
    println!(
        "training step, {size:?}, {rows} rows: {:.1} us, {:.2} M rows/s",
        step * 1e6,
        f64::from(rows) / step / 1e6
    );
    let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
    print(&backend.profile(&program, &Run { steps: 1, ..run }, &mut bound, &[])?);
    Ok(())
}

fn drawing(backend: &CudaBackend, size: ModelSize) -> Result<()> {
    let model = model(size)?;
    let order: Vec<usize> = (0..CENSUS.len()).collect();
    let folded = fold_inference(&model.forward()?, &order)?;
    let nothing = Arc::new(CodeTable::new(Vec::new(), 0).expect("no columns"));
    let mut prepared = upload(backend, &folded.prepare, &nothing, folded.model.len)?;
    let mut bound: Vec<&mut dyn Buffer> = prepared.iter_mut().map(AsMut::as_mut).collect();
    backend
        .compile(&folded.prepare, 1)?
        .run(&Run::evaluate(1), &mut bound, &[])?;
    let at = folded.prepare.resource("folded").map_or(0, |r| r.index());
    let mut buffers = vec![prepared.swap_remove(at)];
    let spec = SampleSpec {
        draws: order,
        ..SampleSpec::default()
    };
    let program = sample_program(&folded.model, spec)?;
    let run = Run::evaluate(DRAWN_ROWS);
    let mut executable = backend.compile(&program, DRAWN_ROWS as usize)?;
    let seconds = time(executable.as_mut(), &run, &mut buffers)?.as_secs_f64();
    let codes = f64::from(DRAWN_ROWS) * CENSUS.len() as f64;
    println!(
        "drawing, {size:?}, {DRAWN_ROWS} rows: {:.2} ms, {:.1} M rows/s, {:.0} M codes/s",
        seconds * 1e3,
        f64::from(DRAWN_ROWS) / seconds / 1e6,
        codes / seconds / 1e6
    );
    Ok(())
}
