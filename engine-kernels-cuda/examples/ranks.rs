//! What several GPUs bring to a training: steps on one device against steps on those that are named, `ranks 0,1`, connected by NCCL. With
//! `ranks 0` it is what the way of several devices costs on one.

// The table is what this program is run for.
#![allow(clippy::print_stdout)]

mod census;

use std::sync::Arc;

use census::{Result, model, table, time, upload};
use engine_core::argn::{Model, ModelSize};
use engine_core::backend::{Backend, Buffer, Run};
use engine_core::schema::CodeTable;
use engine_kernels_cuda::{CudaBackend, CudaRanks};

const TABLE_ROWS: usize = 1_000_000;
const STEPS: u32 = 256;

fn main() -> Result<()> {
    let named = std::env::args().nth(1).unwrap_or_else(|| "0".to_owned());
    let indices = named
        .split(',')
        .map(str::parse)
        .collect::<std::result::Result<Vec<usize>, _>>()?;
    let (one, ranks) = (CudaBackend::open(indices[0])?, CudaRanks::open(&indices)?);
    println!("{}", ranks.device().device);
    let table = table(TABLE_ROWS);
    for (size, rows) in [
        (ModelSize::Medium, 512),
        (ModelSize::Medium, 4096),
        (ModelSize::Medium, 32_768),
        (ModelSize::Large, 4096),
    ] {
        let alone = training(&one, size, rows, &table)?;
        let together = training(&ranks, size, rows, &table)?;
        println!(
            "{size:?}, {rows:>5} rows: {:>8.1} us on one, {:>8.1} us by NCCL, {:.2} times as fast",
            alone * 1e6,
            together * 1e6,
            alone / together
        );
    }
    Ok(())
}

/// Seconds of a step.
fn training(backend: &dyn Backend, size: ModelSize, rows: u32, table: &Arc<CodeTable>) -> Result<f64> {
    let program = model(size)?
        .train_programs(TABLE_ROWS as u32 / rows)?
        .training_step()?;
    let mut buffers: Vec<Box<dyn Buffer>> = upload(backend, &program, table, STEPS as usize)?;
    let run = Run {
        steps: STEPS,
        learning_rate: 1e-3,
        ..Run::evaluate(rows)
    };
    let mut executable = backend.compile(&program, rows as usize)?;
    let seconds = time(executable.as_mut(), &run, &mut buffers)?.as_secs_f64();
    Ok(seconds / f64::from(STEPS))
}
