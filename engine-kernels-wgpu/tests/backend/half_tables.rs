//! What half precision of the inference tables costs.

// The figure is what this test is run for.
#![allow(clippy::print_stdout)]

use crate::common::{backend, model};
use engine_core::argn::{Model, ModelSize};
use engine_core::backend::{Backend, Buffer, HostData, Run};
use engine_core::ir::ops::sampling::{Cell, RequestedOutputs, SampleInputs};
use engine_core::ir::{Program, SampleSpec, fold, initialise, sample_program};
use engine_kernels_wgpu::{WgpuBackend, WgpuOptions};

const CARDINALITIES: [usize; 6] = [71, 10, 103, 17, 8, 3];
const ROWS: usize = 200;

fn run(
    backend: &WgpuBackend,
    program: &Program,
    run: &Run,
    resources: &mut [Box<dyn Buffer>],
    inputs: &[HostData],
) -> Vec<f32> {
    let inputs: Vec<Box<dyn Buffer>> = inputs
        .iter()
        .map(|data| backend.upload(data.clone()).expect("an input"))
        .collect();
    let inputs: Vec<&dyn Buffer> = inputs.iter().map(AsRef::as_ref).collect();
    let mut bound: Vec<&mut dyn Buffer> = resources.iter_mut().map(AsMut::as_mut).collect();
    let mut executable = backend
        .compile(program, run.rows as usize)
        .expect("a compiled program");
    executable.run(run, &mut bound, &inputs).expect("a run");
    match executable.output("probs").expect("probabilities") {
        HostData::F32(probs) => probs,
        other => panic!("probabilities are f32, not {other:?}"),
    }
}

/// The model's probabilities of all codes along given rows.
fn probs(half_tables: bool) -> Vec<f32> {
    let backend = backend(&WgpuOptions {
        half_tables,
        ..WgpuOptions::default()
    });
    let flat = model(ModelSize::Medium, &CARDINALITIES);
    let order: Vec<usize> = (0..CARDINALITIES.len()).collect();
    let params = initialise(flat.layout(), 5);
    let folded = fold(&flat.fold_source(), &params, &order, None).expect("a folded model");
    let mut resources = vec![
        backend
            .upload(HostData::F32(folded.arena))
            .expect("an f32 buffer"),
    ];
    let spec = SampleSpec {
        draws: folded.model.sub_columns_of(&order),
        inputs: SampleInputs {
            cells: true,
            uniforms: false,
        },
        requested: RequestedOutputs::all(CARDINALITIES.len()),
        ..SampleSpec::default()
    };
    let program = sample_program(&folded.model, spec).expect("a program that draws");
    let cell =
        |i: usize| Cell::TeacherForced((i * 7 % CARDINALITIES[i % CARDINALITIES.len()]) as u32).to_bits();
    let cells = (0..ROWS * CARDINALITIES.len()).map(cell).collect();
    run(
        &backend,
        &program,
        &Run::evaluate(ROWS as u32),
        &mut resources,
        &[HostData::U32(cells)],
    )
}

#[test]
fn probabilities_are_off_by_a_thousandth_at_most() {
    let (whole, half) = (probs(false), probs(true));
    let per_row: usize = CARDINALITIES.iter().sum();
    assert_eq!((whole.len(), half.len()), (ROWS * per_row, ROWS * per_row));
    let errors = whole.iter().zip(&half).map(|(a, b)| (a - b).abs());
    let largest = errors.clone().fold(0.0f32, f32::max);
    let mean = errors.sum::<f32>() / whole.len() as f32;
    println!("half precision tables: probabilities are off by {largest:.1e} at most, {mean:.1e} in the mean");
    assert!(largest > 0.0, "the tables were not in half precision");
    assert!(largest < 1e-3, "off by {largest}");
}
