//! Many rows: the sums over the batch are split into slices, and the gradients stay those of the interpreter.

use std::sync::Arc;

use crate::common::{backend, model, table, training_step};
use engine_core::argn::ModelSize;
use engine_core::backend::{Backend, Buffer, HostData, Run};
use engine_core::interpreter::InterpreterBackend;
use engine_core::ir::{Program, ResourceKind, initialise};
use engine_core::schema::CodeTable;
use engine_kernels_wgpu::WgpuOptions;

const CARDINALITIES: [usize; 5] = [71, 3, 103, 700, 17];

/// The first moments after a step: the gradients, scaled.
fn gradients(backend: &dyn Backend, program: &Program, table: &Arc<CodeTable>, rows: u32) -> Vec<f32> {
    let upload = |resource: &engine_core::ir::Resource| match &resource.kind {
        ResourceKind::Arena(layout) if resource.name == "params" => HostData::F32(initialise(layout, 1)),
        ResourceKind::Arena(layout) => HostData::F32(vec![0.0; layout.len()]),
        ResourceKind::Codes { .. } => HostData::Codes(Arc::clone(table)),
        ResourceKind::F32 => HostData::F32(vec![0.0; 1]),
        ResourceKind::U32 => HostData::U32(vec![0; 1]),
    };
    let mut buffers: Vec<Box<dyn Buffer>> = program
        .resources()
        .iter()
        .map(|r| backend.upload(upload(r)).expect("a buffer"))
        .collect();
    let run = Run {
        seed: 5,
        learning_rate: 1e-3,
        ..Run::evaluate(rows)
    };
    let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
    let mut executable = backend.compile(program, 700).expect("a compiled step");
    executable.run(&run, &mut bound, &[]).expect("a step");
    let at = program.resource("first_moments").expect("moments").index();
    match buffers[at].read().expect("an f32 buffer") {
        HostData::F32(values) => values,
        other => panic!("moments are f32, not {other:?}"),
    }
}

#[test]
fn slices_of_a_batch_add_up_to_its_gradient() {
    let backend = backend(&WgpuOptions::default());
    let model = model(ModelSize::Small, &CARDINALITIES);
    let program = training_step(&model);
    let dispatches = |rows| {
        backend
            .dispatches(&program, rows)
            .expect("a program that compiles")
    };
    // Three kernels have their sums joined: those of the gradients of grouped, ordered and embedding layers.
    assert_eq!(dispatches(700), dispatches(64) + 3);
    let table = table(&CARDINALITIES, 2_800);
    // All slices full, the last ones empty, one row alone.
    for rows in [700, 391, 129, 1] {
        let got = gradients(&backend, &program, &table, rows);
        let want = gradients(&InterpreterBackend, &program, &table, rows);
        let norm: f64 = want.iter().map(|w| f64::from(*w).powi(2)).sum();
        let off: f64 = got
            .iter()
            .zip(&want)
            .map(|(g, w)| (f64::from(*g) - f64::from(*w)).powi(2))
            .sum();
        assert!(norm > 0.0, "{rows} rows: the gradient is zero");
        let distance = (off / norm).sqrt();
        assert!(
            distance < 1e-5,
            "{rows} rows: the gradient is off by {distance:e}"
        );
    }
}
