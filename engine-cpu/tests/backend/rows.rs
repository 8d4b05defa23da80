//! What the backend refuses of rows, time steps, arrays and inputs, and what it says.

use std::sync::Arc;

use engine_core::backend::{Backend, BackendError, HostData, Run};
use engine_core::ir::ops::batch::{MaskRows, Reading};
use engine_core::ir::{
    Builder, Groups, InterpretError, InterpreterContext, Op, Program, Resource, ResourceKind, Rows, Shape,
    ShapeError, Tensor,
};
use engine_cpu::{CpuBackend, CpuOptions};

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

fn masked() -> Program {
    let mut builder = Builder::new("p");
    let lengths = builder
        .resource("lengths", ResourceKind::U32)
        .expect("a new name");
    let x = builder
        .input("x", Shape::f32(Rows::BatchTime, Groups::single(1)))
        .expect("a new name");
    let reading = Reading::Sequential;
    let y = builder
        .push_one(MaskRows { lengths, reading }, &[x])
        .expect("a value with time");
    builder.output("y", y).expect("a new name");
    builder.finish()
}

/// What a run over two sequences of three time steps says, from row `first_row` on.
fn mask(
    backend: &dyn Backend,
    lengths: HostData,
    first_row: u64,
    max_rows: usize,
) -> Result<HostData, BackendError> {
    let mut lengths = backend.upload(lengths)?;
    let x = backend.upload(HostData::F32((1..=6u8).map(f32::from).collect()))?;
    let mut executable = backend.compile(&masked(), max_rows)?;
    let run = Run {
        time: 3,
        first_row,
        ..Run::evaluate(2)
    };
    executable.run(&run, &mut [&mut *lengths], &[&*x])?;
    executable.output("y")
}

fn backend() -> CpuBackend {
    CpuBackend::new(CpuOptions::default()).expect("the processor")
}

#[test]
fn an_op_with_too_many_inputs_is_named() {
    let error = backend().compile(&crowded(5), 8).unwrap_err();
    assert_eq!(
        error.to_string(),
        "op crowded of program \"p\" has 5 inputs, a kernel of the cpu backend can have 4"
    );
    let error = backend().compile(&crowded(4), 8).unwrap_err();
    assert!(matches!(error, BackendError::UnsupportedOp { .. }), "{error}");
}

#[test]
fn rows_are_those_of_the_batch_times_time_steps() {
    let lengths = || HostData::U32(vec![3, 1, 2]);
    let masked = mask(&backend(), lengths(), 0, 6).expect("rows that fit");
    assert_eq!(masked, HostData::F32(vec![1.0, 2.0, 3.0, 0.0, 5.0, 0.0]));
    let error = mask(&backend(), lengths(), 0, 5).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a batch of program \"p\" needs 6, the cpu backend allows 5; use a smaller batch or another device"
    );
}

#[test]
fn lengths_are_unsigned_integers_of_all_rows_that_are_read() {
    let error = mask(&backend(), HostData::U32(vec![3, 1, 2]), 2, 6).unwrap_err();
    assert_eq!(
        error.to_string(),
        "program \"p\": binding \"lengths\" must hold 4 rows, holds 3"
    );
    let error = mask(&backend(), HostData::F32(vec![3.0, 1.0]), 0, 6).unwrap_err();
    assert_eq!(
        error.to_string(),
        "program \"p\": binding \"lengths\" must hold a u32 buffer, holds 2 f32 values"
    );
}
