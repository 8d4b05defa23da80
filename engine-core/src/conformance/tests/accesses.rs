//! What ops declare of their accesses is true in the interpreter: a run changes nothing else, and depends on nothing else.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::backend::Run;
use crate::conformance::case::{Case, interpreter_buffers, tensors};
use crate::conformance::cases::families;
use crate::ir::ops::OP_NAMES;
use crate::ir::{
    Access, AccessKind, Builder, Extent, InterpretError, Interpreter, InterpreterBuffer, InterpreterContext,
    Op, Program, Resource, ResourceKind, Shape, ShapeError, Tensor,
};

/// Cases of each op that are tried.
const CASES: usize = 24;

/// What a declaration says of one element in one step.
#[derive(Debug, Clone, Copy, Default)]
struct Declared {
    reads: bool,
    overwrites: bool,
    clears: bool,
    accumulates: bool,
}

impl Declared {
    fn of(accesses: &[Access], resource: usize, i: usize, step: u32) -> Self {
        let mut declared = Self::default();
        for access in accesses {
            if access.resource.index() != resource || !access.extent.contains(i, step) {
                continue;
            }
            match access.kind {
                AccessKind::Read => declared.reads = true,
                AccessKind::Overwrite => declared.overwrites = true,
                AccessKind::Clear => declared.clears = true,
                AccessKind::Accumulate => declared.accumulates = true,
            }
        }
        declared
    }

    /// Whether an element went from `before` to `after` as declared, here and where all that is not read held something else.
    fn check(
        self,
        (before, after): (f64, f64),
        (other_before, other_after): (f64, f64),
    ) -> Result<(), String> {
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let found = || format!("{before} became {after}, {other_before} became {other_after}");
        let is_true = if self.overwrites {
            same(after, other_after)
        } else if self.clears {
            same(after, other_after) && (self.accumulates || after == 0.0)
        } else if self.accumulates {
            let (added, other) = (after - before, other_after - other_before);
            (added - other).abs() <= 1e-9 * (1.0 + after.abs() + other_after.abs())
        } else {
            same(before, after) && same(other_before, other_after)
        };
        is_true
            .then_some(())
            .ok_or_else(|| format!("{self:?}: {}", found()))
    }
}

/// Results and resources of the last step of a run that has no others.
fn last_step(
    program: &Program,
    run: &Run,
    resources: &[InterpreterBuffer],
    inputs: &[Tensor],
) -> (Vec<Tensor>, Vec<InterpreterBuffer>) {
    let mut resources = resources.to_vec();
    let mut interpreter = Interpreter::new(program);
    interpreter
        .run_step(run, run.steps - 1, &mut resources, inputs)
        .unwrap();
    let result = |(name, _): &(String, _)| interpreter.output(name).unwrap().clone();
    (program.outputs().iter().map(result).collect(), resources)
}

/// Resources that differ wherever the op does not read them.
fn altered(accesses: &[Access], resources: &[InterpreterBuffer], step: u32) -> Vec<InterpreterBuffer> {
    let mut altered = resources.to_vec();
    for (r, buffer) in altered.iter_mut().enumerate() {
        if let InterpreterBuffer::F64 { data, magnitude } = buffer {
            for i in 0..data.len() {
                if !Declared::of(accesses, r, i, step).reads {
                    data[i] += 1.5 + (i % 7) as f64;
                    magnitude[i] = data[i].abs();
                }
            }
        }
    }
    altered
}

/// Checks the declaration of the one op of a program; gives the number of elements that it changed.
fn check(
    program: &Program,
    run: &Run,
    resources: &[InterpreterBuffer],
    inputs: &[Tensor],
) -> Result<usize, String> {
    let [node] = program.nodes() else {
        return Err(format!("{} ops", program.nodes().len()));
    };
    let (accesses, step) = (node.op.accesses(), run.steps - 1);
    let others = altered(&accesses, resources, step);
    let (results, after) = last_step(program, run, resources, inputs);
    let (other_results, other_after) = last_step(program, run, &others, inputs);
    for (result, other) in results.iter().zip(&other_results) {
        if result.data != other.data {
            return Err("a result depends on elements that are not read".to_owned());
        }
    }
    let mut changed = 0;
    for (r, before) in resources.iter().enumerate() {
        let buffer =
            [before, &after[r], &others[r], &other_after[r]].map(|buffer| buffer.data().unwrap_or(&[]));
        for i in 0..buffer[0].len() {
            let [before, after, other_before, other_after] = buffer.map(|data| data[i]);
            changed += usize::from(before.to_bits() != after.to_bits());
            Declared::of(&accesses, r, i, step)
                .check((before, after), (other_before, other_after))
                .map_err(|error| format!("element {i} of {}: {error}", program.resources()[r].name))?;
        }
    }
    Ok(changed)
}

fn check_case(case: &Case) -> Result<usize, String> {
    let inputs = tensors(&case.program, &case.run, &case.inputs);
    check(
        &case.program,
        &case.run,
        &interpreter_buffers(&case.resources),
        &inputs,
    )
}

#[test]
fn every_op_does_what_it_declares() {
    let mut tried: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (family, cases) in families().into_iter().filter(|(family, _)| *family != "programs") {
        for case in cases().unwrap() {
            let (count, changed) = tried.entry(case.op).or_default();
            if *count == CASES {
                continue;
            }
            *count += 1;
            *changed += check_case(&case)
                .unwrap_or_else(|error| panic!("{family}: {} ({}): {error}", case.op, case.name));
        }
    }
    let names: Vec<&str> = tried.keys().copied().collect();
    let mut all = OP_NAMES.to_vec();
    all.sort_unstable();
    assert_eq!(names, all);
    let writing: Vec<&str> = tried
        .iter()
        .filter(|(_, (_, changed))| *changed > 0)
        .map(|(op, _)| *op)
        .collect();
    assert_eq!(
        writing,
        [
            "adamw",
            "embedding_grad",
            "grouped_linear_grad_params",
            "ordered_linear_grad_params",
            "record_sum"
        ]
    );
}

/// An op on six values with a declaration that may be false.
#[derive(Debug, Clone)]
struct Claimed {
    accesses: Vec<Access>,
    act: fn(&mut [f64]) -> f64,
}

impl Op for Claimed {
    fn name(&self) -> &'static str {
        "claimed"
    }

    fn infer(&self, _: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        Ok(vec![Shape::ranks(1)])
    }

    fn accesses(&self) -> Vec<Access> {
        self.accesses.clone()
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        let resource = self.accesses[0].resource;
        let mut buffer = cx.f64(resource)?.to_vec();
        let result = (self.act)(&mut buffer);
        for (i, x) in buffer.into_iter().enumerate() {
            cx.set(resource, i, x, x.abs());
        }
        Ok(vec![Tensor::from_data(1, 1, vec![result])])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn claim(kinds: &[(AccessKind, Extent)], act: fn(&mut [f64]) -> f64) -> Result<usize, String> {
    let mut builder = Builder::new("claims");
    let buffer = builder.resource("buffer", ResourceKind::F32).unwrap();
    let access = |(kind, extent): &(AccessKind, Extent)| Access::new(buffer, *kind, extent.clone());
    let accesses = kinds.iter().map(access).collect();
    let y = builder.push(Arc::new(Claimed { accesses, act }), &[]).unwrap();
    builder.output("y", y[0]).unwrap();
    let resources = [InterpreterBuffer::from_f64(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])];
    check(&builder.finish(), &Run::evaluate(1), &resources, &[])
}

#[test]
fn false_declarations_are_noticed() {
    use AccessKind::{Accumulate, Clear, Overwrite, Read};
    let some = || Extent::Elements(vec![0..2, 3..4]);
    let one = |range| Extent::Elements(std::iter::once(range).collect());
    let sum: fn(&mut [f64]) -> f64 = |x| x.iter().sum();
    assert_eq!(claim(&[(Read, Extent::Whole)], sum), Ok(0));
    assert!(claim(&[(Read, some())], sum).unwrap_err().contains("not read"));

    let set: fn(&mut [f64]) -> f64 = |x| {
        [0, 1, 3].into_iter().for_each(|i| x[i] = 9.0);
        0.0
    };
    assert_eq!(claim(&[(Overwrite, some())], set), Ok(3));
    assert!(
        claim(&[(Overwrite, one(0..2))], set)
            .unwrap_err()
            .contains("element 3")
    );
    assert!(
        claim(&[(Overwrite, one(0..4))], set)
            .unwrap_err()
            .contains("element 2")
    );
    assert!(
        claim(&[(Accumulate, some())], set)
            .unwrap_err()
            .contains("element 0")
    );
    assert!(claim(&[(Clear, some())], set).unwrap_err().contains("element 0"));
    assert!(
        claim(&[(Overwrite, Extent::StepInRun)], set)
            .unwrap_err()
            .contains("element 1")
    );

    let add: fn(&mut [f64]) -> f64 = |x| {
        [0, 1, 3].into_iter().for_each(|i| x[i] += 0.25);
        0.0
    };
    assert_eq!(claim(&[(Accumulate, some())], add), Ok(3));
    assert!(
        claim(&[(Overwrite, some())], add)
            .unwrap_err()
            .contains("element 0")
    );
    assert_eq!(claim(&[(Read, some()), (Overwrite, some())], add), Ok(3));

    let double: fn(&mut [f64]) -> f64 = |x| {
        x.iter_mut().for_each(|x| *x *= 2.0);
        0.0
    };
    assert!(
        claim(&[(Accumulate, Extent::Whole)], double)
            .unwrap_err()
            .contains("element 0")
    );
    let clear: fn(&mut [f64]) -> f64 = |x| {
        x[0] = 0.0;
        0.0
    };
    assert_eq!(claim(&[(Clear, Extent::StepInRun)], clear), Ok(1));
}
