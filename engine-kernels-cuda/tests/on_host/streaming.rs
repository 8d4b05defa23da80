//! A table beyond the device's memory: its batches are fetched ahead in a stream of their own, and a training ends with the same bytes as
//! over a table on the device. The streams run in random order, so that rows which are overwritten or read too early show.

use std::sync::Arc;

use crate::host::HostDriver;
use engine_core::argn::{FlatModel, Model, ModelSize, ModelUnits};
use engine_core::backend::{Backend, Buffer, HostData, Run};
use engine_core::ir::ops::batch::{GatherRows, Reading};
use engine_core::ir::{Builder, Program, ResourceKind, initialise};
use engine_core::random::{Purpose, Stream};
use engine_core::schema::{CodeColumn, CodeTable, SubColumnName};
use engine_kernels_cuda::{CudaBackend, CudaOptions};

const ROWS: usize = 997;

fn table(cardinalities: &[usize]) -> Arc<CodeTable> {
    let stream = Stream::new(3, Purpose::Test, 0);
    let column = |(s, v): (usize, &usize)| {
        let code = |r: usize| stream.below(*v as u64, r as u64, s as u32) as u32;
        CodeColumn::from_codes(*v, (0..ROWS).map(code))
    };
    let columns = cardinalities.iter().enumerate().map(column).collect();
    Arc::new(CodeTable::new(columns, ROWS).expect("columns of equal length"))
}

/// A device and what it says, for tables that lie on it and for those that it reads from main memory.
fn resident() -> CudaBackend {
    CudaBackend::with_driver(Arc::new(HostDriver::new()))
}

fn streamed(fetch_ahead: bool) -> (CudaBackend, Arc<HostDriver>) {
    let driver = Arc::new(HostDriver::new());
    let options = CudaOptions {
        table_memory: Some(0),
        fetch_ahead,
        ..CudaOptions::default()
    };
    let backend = CudaBackend::with_driver(Arc::clone(&driver) as _);
    (backend.with_options(options), driver)
}

fn buffers(backend: &dyn Backend, program: &Program, table: &Arc<CodeTable>) -> Vec<Box<dyn Buffer>> {
    let data = |kind: &ResourceKind, name: &str| match kind {
        ResourceKind::Arena(layout) if name == "params" => HostData::F32(initialise(layout, 1)),
        ResourceKind::Arena(layout) => HostData::F32(vec![0.0; layout.len()]),
        ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(table)),
        _ => HostData::F32(vec![0.0; 64]),
    };
    let resources = program.resources().iter();
    let upload = |data| backend.upload(data).expect("a buffer");
    resources.map(|r| upload(data(&r.kind, &r.name))).collect()
}

/// The bits of all f32 buffers after some runs, one after another.
fn bits(backend: &dyn Backend, program: &Program, table: &Arc<CodeTable>, runs: &[Run]) -> Vec<Vec<u32>> {
    let mut buffers = buffers(backend, program, table);
    let max_rows = runs.iter().map(|run| run.rows).max().unwrap_or(0);
    let mut executable = backend.compile(program, max_rows as usize).expect("a program");
    let mut all = Vec::new();
    for run in runs {
        let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
        executable.run(run, &mut bound, &[]).expect("a run");
        for buffer in &buffers {
            if let HostData::F32(values) = buffer.read().expect("its contents") {
                all.push(values.into_iter().map(f32::to_bits).collect());
            }
        }
    }
    all
}

/// Numbers of steps that do and do not fill the ring, batches of two sizes.
fn runs() -> Vec<Run> {
    let run = |(first_step, steps, rows)| Run {
        seed: 7,
        first_step,
        steps,
        learning_rate: 1e-3,
        ..Run::evaluate(rows)
    };
    [(0, 1, 19), (1, 8, 19), (9, 35, 19), (44, 3, 19), (47, 17, 7)]
        .map(run)
        .into()
}

#[test]
fn a_training_over_a_streamed_table_ends_with_the_same_bytes() {
    let cardinalities = [3, 300, 5];
    let name = |(i, v): (usize, &usize)| (SubColumnName::target(i, i, "cat"), *v);
    let sub_columns: Vec<_> = cardinalities.iter().enumerate().map(name).collect();
    let units = ModelUnits::flat(ModelSize::Small, &sub_columns);
    let model = FlatModel::new(sub_columns, &units, None).expect("a model");
    let program = model
        .train_programs((ROWS / 19) as u32)
        .expect("programs")
        .training_step()
        .expect("a training step");
    let table = table(&cardinalities);
    let want = bits(&resident(), &program, &table, &runs());
    for fetch_ahead in [true, true, true, false] {
        let (backend, _) = streamed(fetch_ahead);
        assert!(
            bits(&backend, &program, &table, &runs()) == want,
            "fetch ahead: {fetch_ahead}"
        );
    }
}

/// A program that reads rows of codes of one, two and four bytes.
fn reading(reading: Reading, columns: usize) -> Program {
    let mut builder = Builder::new("reading");
    let table = builder
        .resource("table", ResourceKind::Codes { columns })
        .expect("a table");
    let op = GatherRows {
        table,
        columns,
        reading,
    };
    let codes = builder.push_one(op, &[]).expect("codes");
    builder.output("codes", codes).expect("a result");
    builder.finish()
}

#[test]
fn each_step_reads_its_own_rows() {
    let cardinalities = [3, 70_000, 300, 2, 65_000];
    let table = table(&cardinalities);
    let (backend, driver) = streamed(true);
    let shuffled = Reading::Shuffled { steps_per_epoch: 41 };
    for way in [Reading::Sequential, shuffled] {
        let program = reading(way, cardinalities.len());
        let mut buffers = buffers(&backend, &program, &table);
        let mut executable = backend.compile(&program, 23).expect("a program");
        for (first_step, steps) in [(0, 1), (0, 7), (3, 8), (0, 9), (0, 16), (1, 17), (0, 41)] {
            let run = Run {
                seed: 5,
                first_step,
                steps,
                ..Run::evaluate(23)
            };
            let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
            executable.run(&run, &mut bound, &[]).expect("a run");
            let last = run.single(steps - 1);
            let row = |b| way.row(&last, b, ROWS);
            let codes = (0..23).flat_map(|b| (0..cardinalities.len()).map(move |s| (row(b), s)));
            let want: Vec<u32> = codes.map(|(row, s)| table.get(row, s)).collect();
            assert_eq!(
                executable.output("codes").expect("codes"),
                HostData::U32(want),
                "{run:?}"
            );
        }
    }
    // The table's 16 KB are not among it.
    assert!(driver.used_memory() < 10_000, "{} bytes", driver.used_memory());
}

#[test]
fn a_table_that_would_fill_the_device_stays_in_main_memory() {
    let cardinalities = [3, 300];
    let table = table(&cardinalities);
    // Four bytes a row.
    for (memory, is_resident) in [(4 * ROWS as u64 + 64, false), (5 * ROWS as u64, true)] {
        let driver = Arc::new(HostDriver::with_memory(memory));
        let backend = CudaBackend::with_driver(Arc::clone(&driver) as _);
        let buffer = backend
            .upload(HostData::Codes(Arc::clone(&table)))
            .expect("a table");
        assert_eq!(driver.used_memory() >= 4 * ROWS as u64, is_resident);
        drop(buffer);
    }
}

#[test]
fn a_captured_graph_does_not_serve_another_table_at_the_same_place() {
    let backend = resident();
    let program = reading(Reading::Sequential, 2);
    let mut executable = backend.compile(&program, 5).expect("a program");
    let run = Run {
        steps: 3,
        ..Run::evaluate(5)
    };
    // Rows of four bytes, then of eight, which need as much memory once it is rounded up: it is likely the same.
    for cardinality in [200usize, 70_000, 200] {
        let column = |s: usize| CodeColumn::from_codes(cardinality, (0..15).map(|r| (7 * r + s) as u32));
        let table = Arc::new(CodeTable::new(vec![column(1), column(2)], 15).expect("a table"));
        let mut buffer = backend
            .upload(HostData::Codes(Arc::clone(&table)))
            .expect("a buffer");
        executable.run(&run, &mut [buffer.as_mut()], &[]).expect("a run");
        let want = (10..15)
            .flat_map(|row| [table.get(row, 0), table.get(row, 1)])
            .collect();
        assert_eq!(executable.output("codes").expect("codes"), HostData::U32(want));
    }
}
