//! Deliberately broken kernels: the suite must catch each.

mod batch;
mod layers;
mod linear;
mod sampling;
mod time;

use std::any::Any;
use std::sync::Arc;

use crate::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData};
use crate::conformance::cases::families;
use crate::conformance::run_families;
use crate::interpreter::InterpreterBackend;
use crate::ir::{
    Access, Builder, InterpretError, InterpreterContext, Node, Op, Program, Resource, Shape, ShapeError,
    Tensor,
};

/// Results of a broken kernel.
type Results = Result<Vec<Tensor>, InterpretError>;

/// What a broken kernel does instead of its op.
type Act = fn(&dyn Op, &mut InterpreterContext<'_>) -> Results;

/// An op with other semantics.
#[derive(Debug)]
struct Broken {
    inner: Arc<dyn Op>,
    act: Act,
}

impl Op for Broken {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn infer(&self, inputs: &[Shape], resources: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        self.inner.infer(inputs, resources)
    }

    fn accesses(&self) -> Vec<Access> {
        self.inner.accesses()
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Results {
        (self.act)(self.inner.as_ref(), cx)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn with_broken(program: &Program, op: &str, act: Act) -> Program {
    let mut builder = Builder::rebuild(program, program.name());
    for node in program.nodes() {
        let mut node: Node = node.clone();
        if node.op.name() == op {
            let inner = node.op;
            node.op = Arc::new(Broken { inner, act });
        }
        builder.replay(&node).unwrap();
    }
    builder.finish()
}

/// The interpreter, with one op that computes something else.
#[derive(Debug)]
struct WithBroken {
    op: &'static str,
    act: Act,
}

impl Backend for WithBroken {
    fn device(&self) -> DeviceInfo {
        InterpreterBackend.device()
    }

    fn compile(&self, program: &Program, max_rows: usize) -> Result<Box<dyn Executable>, BackendError> {
        InterpreterBackend.compile(&with_broken(program, self.op, self.act), max_rows)
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        InterpreterBackend.upload(data)
    }
}

/// Failures of the cases of `op` (of `family`, with `among` in their names) on a backend whose kernel does `act` instead.
fn failures(family: &str, among: &str, op: &'static str, act: Act) -> Vec<String> {
    let backend = WithBroken { op, act };
    let family: Vec<_> = families().into_iter().filter(|(f, _)| *f == family).collect();
    assert_eq!(family.len(), 1);
    let report = run_families(&backend, &family, &|o, case| o == op && case.contains(among));
    assert!(report.cases() > 0, "{op} has cases");
    // The ops of other families have no case here.
    let of_op = |f: &String| f.starts_with(&format!("{op} ("));
    report.failures().into_iter().filter(of_op).collect()
}

/// Asserts that the suite catches each broken kernel, and passes the sound ones in the same wrapping.
fn assert_caught(family: &str, among: &str, broken: &[(&'static str, &str, Act)]) {
    for (i, (op, what, act)) in broken.iter().enumerate() {
        let found = failures(family, among, op, *act);
        assert!(!found.is_empty(), "{op} with {what} goes unnoticed");
        if i == 0 || broken[i - 1].0 != *op {
            let sound = failures(family, among, op, |op, cx| op.interpret(cx));
            assert!(sound.is_empty(), "{sound:?}");
        }
    }
}

/// The op itself, of its known type.
fn known<T: Op>(op: &dyn Op) -> &T {
    op.as_any().downcast_ref().expect("the op of that name")
}

/// A tensor that lives as long as the test: broken kernels hand it to the op in place of an input.
fn keep(tensor: Tensor) -> &'static Tensor {
    Box::leak(Box::new(tensor))
}

fn map(tensor: &Tensor, f: impl Fn(f64) -> f64) -> Tensor {
    Tensor::from_data(
        tensor.rows,
        tensor.width,
        tensor.data.iter().map(|x| f(*x)).collect(),
    )
}

/// Results with the last column of the first one at zero.
fn without_last_column(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    let mut results = op.interpret(cx)?;
    let y = &mut results[0];
    for b in 0..y.rows {
        y.set(b, y.width - 1, 0.0, 0.0);
    }
    Ok(results)
}

/// Results with rows beyond the last full block of 32 at zero.
fn without_last_block(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    let mut results = op.interpret(cx)?;
    let y = &mut results[0];
    let done = y.rows / 32 * 32 * y.width;
    y.data[done..].fill(0.0);
    Ok(results)
}

/// Writes what the op adds in place of adding it.
fn overwriting(op: &dyn Op, cx: &mut InterpreterContext<'_>) -> Results {
    let grads = op.accesses()[0].resource;
    let before = cx.f64(grads)?.to_vec();
    let results = op.interpret(cx)?;
    let after = cx.f64(grads)?.to_vec();
    for (i, (after, before)) in after.into_iter().zip(before).enumerate() {
        if after != before {
            cx.set(grads, i, after - before, 0.0);
        }
    }
    Ok(results)
}

/// Runs the op with some elements of its first resource changed, and puts them back unless the op has written them.
fn with_resource(
    op: &dyn Op,
    cx: &mut InterpreterContext<'_>,
    change: impl Fn(usize, f64) -> f64,
) -> Results {
    let id = op.accesses()[0].resource;
    let before = cx.f64(id)?.to_vec();
    for (i, x) in before.iter().enumerate() {
        cx.set(id, i, change(i, *x), 0.0);
    }
    let results = op.interpret(cx)?;
    for (i, x) in before.into_iter().enumerate() {
        cx.set(id, i, x, 0.0);
    }
    Ok(results)
}

/// Undoes what the op wrote to the elements for which `lost` is true.
fn losing(op: &dyn Op, cx: &mut InterpreterContext<'_>, lost: impl Fn(usize) -> bool) -> Results {
    let id = op.accesses()[0].resource;
    let before = cx.f64(id)?.to_vec();
    let results = op.interpret(cx)?;
    for (i, x) in before.into_iter().enumerate() {
        if lost(i) {
            cx.set(id, i, x, 0.0);
        }
    }
    Ok(results)
}
