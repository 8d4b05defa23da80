//! Where the time of a training step and of a draw goes, kernel by kernel, on the first CUDA device: a model of the census table's
//! shape over random codes. `profile tensor-cores` multiplies on tensor cores.

// The tables are what this program is run for.
#![allow(clippy::print_stdout)]

mod census;

use std::sync::Arc;
use std::time::{Duration, Instant};

use census::{CENSUS, Result, model, table, time, upload};
use engine_core::argn::{ModelSize, Objective};
use engine_core::backend::{Backend, Buffer, Run};
use engine_core::ir::{SampleSpec, fold_inference, sample_program};
use engine_core::schema::CodeTable;
use engine_kernels_cuda::{CudaBackend, CudaOptions, LaunchTime};

const TABLE_ROWS: usize = 1_000_000;
const STEPS: u32 = 256;
const DRAWN_ROWS: u32 = 1 << 20;

fn main() -> Result<()> {
    let opened = Instant::now();
    let options = CudaOptions {
        tensor_cores: std::env::args().any(|argument| argument == "tensor-cores"),
        ..CudaOptions::default()
    };
    let backend = CudaBackend::open_with(0, options)?;
    println!(
        "{}, opened in {:.3} s",
        backend.device().device,
        opened.elapsed().as_secs_f64()
    );
    let table = table(TABLE_ROWS);
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
