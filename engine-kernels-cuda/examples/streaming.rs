//! What it costs that a table does not fit onto the device: training steps over a table on the device, over one in main memory whose
//! rows are fetched ahead, and over one whose rows are read when they are needed; on the first CUDA device.

// The table is what this program is run for.
#![allow(clippy::print_stdout)]

mod census;

use std::sync::Arc;

use census::{Result, model, table, time, upload};
use engine_core::argn::{Model, ModelSize};
use engine_core::backend::{Backend, Buffer, HostData, Run};
use engine_core::schema::CodeTable;
use engine_kernels_cuda::{CudaBackend, CudaOptions};

const TABLE_ROWS: usize = 8_000_000;
const STEPS: u32 = 256;

fn main() -> Result<()> {
    let backend = CudaBackend::open(0)?;
    println!("{}, {TABLE_ROWS} rows", backend.device().device);
    let table = table(TABLE_ROWS);
    let streamed = |fetch_ahead| CudaOptions {
        table_memory: Some(0),
        fetch_ahead,
        ..CudaOptions::default()
    };
    let ways = [
        ("on the device", CudaOptions::default()),
        ("fetched ahead", streamed(true)),
        ("read when needed", streamed(false)),
    ];
    for (size, rows) in [
        (ModelSize::Small, 512),
        (ModelSize::Medium, 512),
        (ModelSize::Medium, 4096),
        (ModelSize::Medium, 16_384),
    ] {
        let mut first = None;
        for (name, options) in ways {
            let backend = backend.clone().with_options(options);
            let (seconds, losses) = training(&backend, size, rows, &table)?;
            let is_same = *first.get_or_insert_with(|| losses.clone()) == losses;
            println!(
                "{size:?}, {rows:>5} rows, {name:<17} {:>8.1} us a step, {:>6.2} M rows/s, same losses: {is_same}",
                seconds * 1e6,
                f64::from(rows) / seconds / 1e6
            );
        }
    }
    Ok(())
}

/// Seconds of a step, and the losses of the last run.
fn training(
    backend: &CudaBackend,
    size: ModelSize,
    rows: u32,
    table: &Arc<CodeTable>,
) -> Result<(f64, HostData)> {
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
    let seconds = time(executable.as_mut(), &run, &mut buffers)?.as_secs_f64() / f64::from(STEPS);
    let trace = program.resource("trace").map_or(0, |r| r.index());
    Ok((seconds, buffers[trace].read()?))
}
