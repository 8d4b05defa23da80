//! What the backend refuses, and what it says.

use std::sync::Arc;

use crate::common::{backend, model, table, training_step, upload};
use engine_core::argn::ModelSize;
use engine_core::backend::{Backend, BackendError, Buffer, HostData, Run};
use engine_core::interpreter::InterpreterBackend;
use engine_core::ir::{
    Builder, Groups, InterpretError, InterpreterContext, Op, Program, Resource, Shape, ShapeError, Tensor,
};
use engine_kernels_wgpu::{AdapterChoice, WgpuBackend, WgpuError, WgpuOptions, adapters};

const CARDINALITIES: [usize; 3] = [5, 30, 2];

/// What a step says over a table of codes below `cardinalities`.
fn step(rows: u32, cardinalities: &[usize]) -> Result<(), BackendError> {
    let backend = backend(&WgpuOptions::default());
    let program = training_step(&model(ModelSize::Small, &CARDINALITIES));
    let mut buffers = upload(&backend, &program, &table(cardinalities, 100));
    let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
    backend
        .compile(&program, 20)?
        .run(&Run::evaluate(rows), &mut bound, &[])
}

#[test]
fn a_batch_that_is_too_large() {
    step(20, &CARDINALITIES).expect("a batch that fits");
    assert_eq!(
        step(21, &CARDINALITIES).unwrap_err().to_string(),
        "a batch of program \"training_step\" needs 21, the wgpu backend allows 20; use a smaller batch or another device"
    );
}

#[test]
fn a_code_outside_of_its_cardinality() {
    let error = step(20, &[5, 40, 2]).unwrap_err();
    let BackendError::CodeOutOfRange {
        sub_column,
        code,
        cardinality,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!((sub_column, cardinality), (1, 30));
    assert!((30..40).contains(&code), "code {code}");
}

#[test]
fn a_buffer_of_another_backend() {
    let backend = backend(&WgpuOptions::default());
    let program = training_step(&model(ModelSize::Small, &CARDINALITIES));
    let mut buffers = upload(&backend, &program, &table(&CARDINALITIES, 100));
    buffers[0] = InterpreterBackend
        .upload(HostData::Codes(table(&CARDINALITIES, 100)))
        .expect("a buffer");
    let mut bound: Vec<&mut dyn Buffer> = buffers.iter_mut().map(AsMut::as_mut).collect();
    let mut executable = backend.compile(&program, 20).expect("a compiled step");
    let error = executable.run(&Run::evaluate(20), &mut bound, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "program \"training_step\": binding \"table\" must hold a buffer of the wgpu backend, holds another's"
    );
}

#[test]
fn a_buffer_keeps_kind_and_length() {
    let backend = backend(&WgpuOptions::default());
    let mut buffer = backend.upload(HostData::F32(vec![1.0, 2.0])).expect("a buffer");
    buffer.write(&HostData::F32(vec![3.0, 4.0])).expect("two values");
    assert_eq!(buffer.read().expect("two values"), HostData::F32(vec![3.0, 4.0]));
    for wrong in [HostData::F32(vec![1.0]), HostData::U32(vec![1, 2])] {
        assert!(matches!(
            buffer.write(&wrong),
            Err(BackendError::BufferMismatch { .. })
        ));
    }
}

#[test]
fn a_buffer_that_the_device_cannot_hold() {
    let backend = backend(&WgpuOptions::default());
    let program = training_step(&model(ModelSize::Small, &CARDINALITIES));
    let error = backend.compile(&program, 1 << 31).unwrap_err();
    assert!(
        matches!(error, BackendError::Limit { backend: "wgpu", .. }),
        "{error}"
    );
}

/// An op with more inputs than any has.
#[derive(Debug)]
struct Crowded;

impl Op for Crowded {
    fn name(&self) -> &'static str {
        "crowded"
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        Ok(inputs[..1].to_vec())
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        Ok(vec![cx.inputs[0].clone()])
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

fn crowded(inputs: usize) -> Program {
    let mut builder = Builder::new("p");
    let x = builder
        .input("x", Shape::batch(Groups::single(1)))
        .expect("a new name");
    let inputs = vec![x; inputs];
    builder.push(Arc::new(Crowded), &inputs).expect("any inputs fit");
    builder.finish()
}

#[test]
fn an_op_with_too_many_inputs_is_named() {
    let backend = backend(&WgpuOptions::default());
    let error = backend.compile(&crowded(9), 8).unwrap_err();
    assert_eq!(
        error.to_string(),
        "op crowded of program \"p\" has 10 inputs, outputs and resources, a kernel of the wgpu backend can have 8"
    );
}

#[test]
fn an_adapter_that_is_not_there() {
    let options = WgpuOptions {
        adapter: AdapterChoice::Index(99),
        ..WgpuOptions::default()
    };
    let known = adapters();
    assert!(!known.is_empty(), "{}", WgpuError::NoAdapter);
    let error = WgpuBackend::new(&options).unwrap_err();
    assert!(
        matches!(&error, WgpuError::UnknownAdapter { wanted, .. } if wanted == "99"),
        "{error}"
    );
    assert!(error.to_string().contains(&known[0].name), "{error}");
}
