//! A table that is too large for the device is read by the host: the same rows, the same bits.

use crate::common::{backend, model, table, training_step, upload};
use engine_core::argn::ModelSize;
use engine_core::backend::{Backend, Buffer, HostData, Run};
use engine_kernels_wgpu::{WgpuBackend, WgpuOptions};

const CARDINALITIES: [usize; 4] = [5, 300, 2, 17];

/// Parameters and losses after some steps.
fn trained(backend: &WgpuBackend) -> (HostData, HostData) {
    let program = training_step(&model(ModelSize::Medium, &CARDINALITIES));
    let mut buffers = upload(backend, &program, &table(&CARDINALITIES, 200));
    let mut executable = backend.compile(&program, 50).expect("a compiled step");
    let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
    let run = Run {
        seed: 3,
        steps: 6,
        learning_rate: 1e-3,
        ..Run::evaluate(50)
    };
    executable.run(&run, &mut bound, &[]).expect("six steps");
    let read = |name| {
        let at = program.resource(name).expect("a resource").index();
        buffers[at].read().expect("an f32 buffer")
    };
    (read("params"), read("trace"))
}

#[test]
fn streaming_changes_nothing() {
    let resident = trained(&backend(&WgpuOptions::default()));
    let streamed = trained(&backend(&WgpuOptions {
        largest_table: Some(0),
        ..WgpuOptions::default()
    }));
    let HostData::F32(trace) = &resident.1 else {
        panic!("a trace is an f32 buffer");
    };
    assert!(trace[..6].iter().all(|loss| *loss > 0.0), "{trace:?}");
    assert_eq!(resident, streamed);
}
