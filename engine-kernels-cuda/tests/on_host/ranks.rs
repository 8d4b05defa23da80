//! Several devices against one: the same programs, with sums over the devices made by the test in place of NCCL.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::host::ranks::Ranks;
use crate::host::{HostDriver, is_selected};
use engine_core::argn::{FlatModel, Model, ModelSize, ModelUnits};
use engine_core::backend::{Backend, BackendError, Buffer, HostData, Run};
use engine_core::conformance;
use engine_core::ir::{ResourceKind, initialise};
use engine_core::random::{Purpose, Stream};
use engine_core::schema::{CodeColumn, CodeTable, SubColumnName};
use engine_core::train::{
    CheckpointSink, ProgressMessage, SinkError, Start, TrainOptions, TrainPlan, TrainReport, TrainState,
    Training,
};
use engine_kernels_cuda::driver::Driver;
use engine_kernels_cuda::{CudaBackend, CudaOptions, CudaRanks};

const CARDINALITIES: [usize; 3] = [3, 17, 5];

fn backend(count: usize) -> (CudaRanks, Arc<Ranks>) {
    let (drivers, ranks) = HostDriver::ranks(count);
    let drivers = drivers
        .into_iter()
        .map(|driver| Arc::new(driver) as Arc<dyn Driver>);
    (CudaRanks::with_drivers(drivers).expect("devices"), ranks)
}

fn one() -> CudaBackend {
    CudaBackend::with_driver(Arc::new(HostDriver::new()))
}

fn model() -> FlatModel {
    let name = |(i, v): (usize, &usize)| (SubColumnName::target(i, i, "cat"), *v);
    let sub_columns: Vec<_> = CARDINALITIES.iter().enumerate().map(name).collect();
    let units = ModelUnits::flat(ModelSize::Small, &sub_columns);
    FlatModel::new(sub_columns, &units, None).expect("a model")
}

/// A table in which the second column follows from the first, so that there is something to learn.
fn table(rows: usize, seed: u64) -> Arc<CodeTable> {
    let stream = Stream::new(seed, Purpose::Test, 0);
    let draw = |r: usize, s: u32, v: usize| stream.below(v as u64, r as u64, s) as u32;
    let column = |(s, v): (usize, &usize)| {
        let code = |r: usize| match s {
            1 => draw(r, 0, CARDINALITIES[0]) * 5,
            _ => draw(r, s as u32, *v),
        };
        CodeColumn::from_codes(*v, (0..rows).map(code))
    };
    let columns = CARDINALITIES.iter().enumerate().map(column).collect();
    Arc::new(CodeTable::new(columns, rows).expect("columns of equal length"))
}

/// Keeps what a training stores.
#[derive(Default)]
struct Kept {
    best: Vec<f32>,
    state: Option<TrainState>,
}

impl CheckpointSink for Kept {
    fn save_best(&mut self, params: &[f32]) -> Result<(), SinkError> {
        self.best = params.to_vec();
        Ok(())
    }

    fn save_state(&mut self, state: &TrainState) -> Result<(), SinkError> {
        self.state = Some(state.clone());
        Ok(())
    }

    fn save_progress(&mut self, _: &[ProgressMessage]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Trains for some epochs.
fn train(backend: &dyn Backend, micro_batches: usize, epochs: f64, start: Start) -> (TrainReport, Kept) {
    let plan = TrainPlan {
        batch_size: 31,
        micro_batches,
        steps_per_epoch: 6 / micro_batches,
        // The last batch has a single row: most devices have none of it.
        validation_batch_size: 20,
        learning_rate: 3e-3,
    };
    let model = model();
    let steps = plan.micro_batches_per_epoch();
    let data = |name, table| model.train_data(name, &table).expect("codes of the model");
    let training = Training {
        backend,
        programs: model.train_programs(steps).expect("programs"),
        training: data("training", table(190, 1)),
        validation: data("validation", table(41, 2)),
        options: TrainOptions {
            max_epochs: epochs,
            ..TrainOptions::new(5, plan)
        },
    };
    let mut kept = Kept::default();
    let report = training
        .run(start, &mut kept, &mut |_| ControlFlow::Continue(()))
        .expect("a training");
    (report, kept)
}

fn losses(report: &TrainReport) -> Vec<(f64, f64)> {
    let losses = |m: &ProgressMessage| (m.trn_loss.unwrap_or(0.0), m.val_loss.unwrap_or(0.0));
    report.messages.iter().map(losses).collect()
}

#[test]
fn a_training_on_several_devices_goes_as_on_one() {
    for micro_batches in [1, 2] {
        let (want, _) = train(&one(), micro_batches, 5.0, Start::Fresh);
        for count in [1, 2, 3] {
            let (ranks, sums) = backend(count);
            let (got, _) = train(&ranks, micro_batches, 5.0, Start::Fresh);
            assert!(sums.made() > 0, "gradients are summed");
            let (got, want) = (losses(&got), losses(&want));
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(&want) {
                let is_near = |got: f64, want: f64| (got - want).abs() <= 2e-4;
                assert!(
                    is_near(got.0, want.0) && is_near(got.1, want.1),
                    "{count}: {got:?}, one: {want:?}"
                );
            }
            assert!(
                want.last().unwrap().1 < want.first().unwrap().0 - 0.1,
                "there is something to learn: {want:?}"
            );
        }
    }
}

#[test]
fn the_same_number_of_devices_gives_the_same_bytes_and_resumes() {
    let train_on = |count, epochs, start| train(&backend(count).0, 1, epochs, start).1;
    let bits = |kept: &Kept| kept.best.iter().map(|w| w.to_bits()).collect::<Vec<_>>();
    let whole = train_on(2, 4.0, Start::Fresh);
    assert!(bits(&train_on(2, 4.0, Start::Fresh)) == bits(&whole));
    let half = train_on(2, 2.0, Start::Fresh);
    let state = || Box::new(half.state.clone().expect("a state"));
    let resumed = train_on(2, 4.0, Start::Resume { state: state() });
    assert!(bits(&resumed) == bits(&whole), "resumed on as many devices");
    // A state goes from several devices to one.
    let (on_one, _) = train(&one(), 1, 4.0, Start::Resume { state: state() });
    assert_eq!(on_one.steps, 24);
}

#[test]
fn streamed_tables_are_sharded_as_well() {
    let options = CudaOptions {
        table_memory: Some(0),
        ..CudaOptions::default()
    };
    let streamed = train(&backend(2).0.with_options(options), 1, 2.0, Start::Fresh).1;
    let resident = train(&backend(2).0, 1, 2.0, Start::Fresh).1;
    assert!(streamed.best == resident.best);
}

#[test]
fn a_table_in_main_memory_is_there_once() {
    let (drivers, _) = HostDriver::ranks(3);
    let drivers: Vec<Arc<HostDriver>> = drivers.into_iter().map(Arc::new).collect();
    let options = CudaOptions {
        table_memory: Some(0),
        ..CudaOptions::default()
    };
    let devices = drivers.iter().map(|driver| Arc::clone(driver) as Arc<dyn Driver>);
    let backend = CudaRanks::with_drivers(devices)
        .expect("devices")
        .with_options(options);
    let (program, mut buffers) = step(&backend, &table(60, 1));
    let mut executable = backend.compile(&program, 9).expect("a program");
    run_step(executable.as_mut(), &mut buffers).expect("a run");
    let pinned: Vec<u64> = drivers.iter().map(|driver| driver.pinned_memory()).collect();
    // Three codes of a byte are four bytes.
    assert_eq!(pinned, [60 * 4, 0, 0]);
    let at = program.resource("table").expect("a table").index();
    buffers[at]
        .write(&HostData::Codes(table(70, 2)))
        .expect("another table");
    run_step(executable.as_mut(), &mut buffers).expect("a run over it");
    assert_eq!(drivers[0].pinned_memory(), 70 * 4, "the first table is gone");
    drop(buffers);
    assert_eq!(drivers[0].pinned_memory(), 0);
}

/// Buffers of a training step, and its program.
fn step(backend: &dyn Backend, table: &Arc<CodeTable>) -> (engine_core::ir::Program, Vec<Box<dyn Buffer>>) {
    let program = model()
        .train_programs(3)
        .expect("programs")
        .training_step()
        .expect("a training step");
    let data = |kind: &ResourceKind, name: &str| match kind {
        ResourceKind::Arena(layout) if name == "params" => HostData::F32(initialise(layout, 1)),
        ResourceKind::Arena(layout) => HostData::F32(vec![0.0; layout.len()]),
        ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(table)),
        _ => HostData::F32(vec![0.0; 8]),
    };
    let upload = |data| backend.upload(data).expect("a buffer");
    let resources = program.resources().iter();
    let buffers = resources.map(|r| upload(data(&r.kind, &r.name))).collect();
    (program, buffers)
}

fn run_step(
    executable: &mut dyn engine_core::backend::Executable,
    buffers: &mut [Box<dyn Buffer>],
) -> Result<(), BackendError> {
    let run = Run {
        steps: 3,
        learning_rate: 1e-3,
        ..Run::evaluate(9)
    };
    let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
    executable.run(&run, &mut bound, &[])
}

#[test]
fn an_error_on_one_device_ends_the_others() {
    for failing in 0..3 {
        let (backend, sums) = backend(3);
        let (program, mut buffers) = step(&backend, &table(60, 1));
        let mut executable = backend.compile(&program, 9).expect("a program");
        run_step(executable.as_mut(), &mut buffers).expect("nothing fails yet");
        sums.fail(failing, sums.made() + 1);
        let error = run_step(executable.as_mut(), &mut buffers)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("it was made to fail"),
            "the error is that of the device: {error}"
        );
        let error = run_step(executable.as_mut(), &mut buffers)
            .unwrap_err()
            .to_string();
        assert!(error.contains("another of the GPUs failed"), "{error}");
    }
}

#[test]
fn a_code_outside_its_cardinality_is_told_and_ends_nothing() {
    let (backend, _) = backend(2);
    let good = table(60, 1);
    // Only the last row, which the second device reads.
    let mut columns = good.columns().to_vec();
    columns[2] = CodeColumn::from_codes(9, (0..60).map(|r| if r == 59 { 8 } else { 0 }));
    let bad = Arc::new(CodeTable::new(columns, 60).expect("columns of equal length"));
    let model = model();
    let program = model
        .train_programs(1)
        .expect("programs")
        .validation()
        .expect("a validation");
    let layout = Arc::clone(model.layout());
    let mut executable = backend.compile(&program, 30).expect("a program");
    let mut run = |table: &Arc<CodeTable>| {
        let data = |kind: &ResourceKind| match kind {
            ResourceKind::Arena(_) => HostData::F32(initialise(&layout, 1)),
            ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(table)),
            _ => HostData::F32(vec![0.0; 8]),
        };
        let resources = program.resources().iter();
        let mut buffers: Vec<_> = resources
            .map(|r| backend.upload(data(&r.kind)).expect("a buffer"))
            .collect();
        let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
        let run = Run {
            steps: 2,
            ..Run::evaluate(30)
        };
        executable.run(&run, &mut bound, &[])
    };
    run(&good).expect("nothing is wrong");
    let error = run(&bad).unwrap_err();
    assert!(
        matches!(
            error,
            BackendError::CodeOutOfRange {
                sub_column: 2,
                code: 8,
                cardinality: 5
            }
        ),
        "{error}"
    );
    run(&good).expect("the devices go on");
}

#[test]
fn three_devices_conform() {
    let (backend, _) = backend(3);
    let report = conformance::run_filtered(&backend, is_selected);
    assert!(
        report.failures().is_empty(),
        "the devices do not conform\n{report}"
    );
    assert!(std::env::var_os("ENGINE_CONFORMANCE").is_some() || report.cases() > 200);
}
