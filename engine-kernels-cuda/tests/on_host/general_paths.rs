//! What is too large for the fast paths: a column of 50,000 levels, a table of 500 columns, hidden units that do not fit into shared
//! memory, a table that does not fit onto the device.

use std::sync::Arc;

use crate::host::HostDriver;
use engine_core::argn::{FlatModel, Model, ModelSize, ModelUnits};
use engine_core::backend::{Backend, Buffer, HostData, Run};
use engine_core::generate::{Cells, DrawSite, LoadedModel};
use engine_core::interpreter::InterpreterBackend;
use engine_core::ir::ops::sampling::{RequestedOutputs, SamplingRules};
use engine_core::ir::{Program, ResourceKind, initialise};
use engine_core::random::{Purpose, Stream};
use engine_core::schema::{CodeColumn, CodeTable, SubColumnName};
use engine_kernels_cuda::CudaBackend;

const STEPS: u32 = 1;

fn model(cardinalities: &[usize]) -> FlatModel {
    let name = |(i, v): (usize, &usize)| (SubColumnName::target(i, i, "cat"), *v);
    let sub_columns: Vec<_> = cardinalities.iter().enumerate().map(name).collect();
    let units = ModelUnits::flat(ModelSize::Small, &sub_columns);
    FlatModel::new(sub_columns, &units, None).expect("a model")
}

/// Random codes; half of each column's rows hold one code, as a missing value would.
fn table(cardinalities: &[usize], rows: usize) -> Arc<CodeTable> {
    let stream = Stream::new(3, Purpose::Test, 0);
    let column = |(s, v): (usize, &usize)| {
        let code = |r: usize| {
            let code = stream.below(*v as u64, r as u64, s as u32) as u32;
            if r.is_multiple_of(2) { *v as u32 - 1 } else { code }
        };
        CodeColumn::from_codes(*v, (0..rows).map(code))
    };
    let columns = cardinalities.iter().enumerate().map(column).collect();
    Arc::new(CodeTable::new(columns, rows).expect("columns of equal length"))
}

/// The f32 resources of a training step after a step, by name.
fn trained(
    backend: &dyn Backend,
    program: &Program,
    table: &Arc<CodeTable>,
    rows: u32,
) -> Vec<(String, Vec<f32>)> {
    let upload = |kind: &ResourceKind, name: &str| match kind {
        ResourceKind::Arena(layout) if name == "params" => HostData::F32(initialise(layout, 1)),
        ResourceKind::Arena(layout) => HostData::F32(vec![0.0; layout.len()]),
        ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(table)),
        _ => HostData::F32(vec![0.0; STEPS as usize]),
    };
    let resources = program.resources();
    let mut buffers: Vec<Box<dyn Buffer>> = resources
        .iter()
        .map(|r| backend.upload(upload(&r.kind, &r.name)).expect("a buffer"))
        .collect();
    let run = Run {
        steps: STEPS,
        learning_rate: 1e-3,
        seed: 7,
        ..Run::evaluate(rows)
    };
    let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
    let mut executable = backend.compile(program, rows as usize).expect("a compiled step");
    executable.run(&run, &mut bound, &[]).expect("a run");
    let read = buffers.iter().map(|buffer| buffer.read().expect("its contents"));
    let f32 = |(resource, data): (&engine_core::ir::Resource, HostData)| match data {
        HostData::F32(values) => Some((resource.name.clone(), values)),
        _ => None,
    };
    resources.iter().zip(read).filter_map(f32).collect()
}

/// Largest difference relative to the norm of what is expected.
fn distance(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    let square = |x: f64| x * x;
    let norm: f64 = want.iter().map(|w| square(f64::from(*w))).sum();
    let off: f64 = got
        .iter()
        .zip(want)
        .map(|(g, w)| square(f64::from(*g) - f64::from(*w)))
        .sum();
    (off / norm.max(1e-30)).sqrt()
}

fn trains_as_the_reference(backend: &CudaBackend, cardinalities: &[usize], rows: u32) {
    let program = model(cardinalities)
        .train_programs(2)
        .expect("programs")
        .training_step()
        .expect("a training step");
    let table = table(cardinalities, 2 * rows as usize);
    let got = trained(backend, &program, &table, rows);
    let want = trained(&InterpreterBackend, &program, &table, rows);
    for ((name, got), (_, want)) in got.iter().zip(&want) {
        // AdamW divides by gradients that may be all rounding, so its steps are compared more loosely than its moments.
        let allowed = if name == "params" { 1e-3 } else { 1e-4 };
        let distance = distance(got, want);
        assert!(distance <= allowed, "{name} is off by {distance:e}");
    }
}

fn host(memory: u64) -> (CudaBackend, Arc<HostDriver>) {
    let driver = Arc::new(HostDriver::with_memory(memory));
    (CudaBackend::with_driver(Arc::clone(&driver) as _), driver)
}

#[test]
fn a_column_of_50_000_levels_trains() {
    trains_as_the_reference(&host(8 << 30).0, &[4, 50_000, 3], 12);
}

#[test]
fn a_table_of_500_columns_trains() {
    let cardinalities: Vec<usize> = (0..500).map(|c| 2 + c % 7).collect();
    trains_as_the_reference(&host(8 << 30).0, &cardinalities, 3);
}

#[test]
fn wide_models_draw_the_codes_of_the_reference() {
    let cardinalities: Vec<usize> = (0..300).map(|c| 2 + c % 40).chain([20_000]).collect();
    let model = model(&cardinalities);
    let params = initialise(model.layout(), 5);
    let order: Vec<usize> = (0..cardinalities.len()).collect();
    let drawn = |backend: Arc<dyn Backend>| {
        let loaded = LoadedModel::new(backend, &model, &params).expect("a loaded model");
        let plan = loaded
            .plan(&order, SamplingRules::default(), RequestedOutputs::default())
            .expect("a plan");
        let site = DrawSite {
            seed: 4,
            first_row: 0,
        };
        let cells = Cells::sampled(12, cardinalities.len());
        loaded.run(&plan, &cells, site).expect("codes").codes
    };
    let (got, want) = (
        drawn(Arc::new(host(8 << 30).0)),
        drawn(Arc::new(InterpreterBackend)),
    );
    let rows = |codes: &[u32]| {
        codes
            .chunks(cardinalities.len())
            .map(<[u32]>::to_vec)
            .collect::<Vec<_>>()
    };
    let differing = rows(&got)
        .iter()
        .zip(rows(&want))
        .filter(|(g, w)| **g != *w)
        .count();
    assert!(differing <= 1, "{differing} of 12 rows differ by more than a tie");
}

#[test]
fn a_table_that_does_not_fit_is_read_from_main_memory() {
    let cardinalities = [3, 300, 200];
    let rows = 2_000_000;
    let program = model(&cardinalities)
        .train_programs(100)
        .expect("programs")
        .training_step()
        .expect("a training step");
    let table = table(&cardinalities, rows);
    let (large, _) = host(1 << 30);
    // The packed table needs 8 MB.
    let (small, driver) = host(4 << 20);
    let want = trained(&large, &program, &table, 32);
    assert_eq!(trained(&small, &program, &table, 32), want);
    assert!(driver.used_memory() <= 4 << 20);
    assert!(driver.launches() > 0);
}
