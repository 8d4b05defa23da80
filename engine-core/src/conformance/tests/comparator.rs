//! What the comparator and the report must refuse.

use crate::backend::{Backend, BackendError, Buffer, DeviceInfo, Executable, HostData};
use crate::conformance::compare::{Expected, Mismatch, allowed, check_draw};
use crate::conformance::{run_families, run_filtered};
use crate::interpreter::InterpreterBackend;
use crate::ir::Program;
use crate::ir::ops::OP_NAMES;

fn expected<'a>(data: &'a [f64], magnitude: &'a [f64]) -> Expected<'a> {
    Expected {
        value: "y",
        width: 2,
        data,
        magnitude,
    }
}

#[test]
fn a_number_that_is_none_fails() {
    let (data, magnitude) = ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]);
    let expected = expected(&data, &magnitude);
    let error = expected
        .elements(&HostData::F32(vec![1.0, 2.0, f32::NAN]))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "y[1, 0] is NaN instead of 3e0, NaN times the allowed error"
    );
    assert!(expected.norm(&HostData::F32(vec![1.0, f32::NAN, 3.0])).is_err());
    assert!(
        expected
            .elements(&HostData::F32(vec![1.0, f32::INFINITY, 3.0]))
            .is_err()
    );
}

#[test]
fn unequal_lengths_fail() {
    let (data, magnitude) = ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]);
    let expected = expected(&data, &magnitude);
    for got in [vec![1.0, 2.0], vec![1.0, 2.0, 3.0, 4.0], Vec::new()] {
        let text = format!("y has {} elements instead of 3", got.len());
        let got = HostData::F32(got);
        assert_eq!(expected.elements(&got).unwrap_err().to_string(), text);
        assert_eq!(expected.norm(&got).unwrap_err().to_string(), text);
    }
    assert!(matches!(
        expected.codes(&HostData::U32(vec![1])),
        Err(Mismatch::Length {
            expected: 3,
            got: 1,
            ..
        })
    ));
    assert_eq!(
        expected
            .codes(&HostData::F32(vec![1.0, 2.0, 3.0]))
            .unwrap_err()
            .to_string(),
        "y must hold codes"
    );
}

#[test]
fn the_worst_position_is_named_and_the_bound_is_sharp() {
    let (data, magnitude) = ([1.0, 2.0, 3.0, 4.0], [1.0, 200.0, 3.0, 4.0]);
    let expected = expected(&data, &magnitude);
    let nearly = (2.0 + 0.9 * allowed(200.0)) as f32;
    let found = expected
        .elements(&HostData::F32(vec![1.0, nearly, 3.0, 4.0]))
        .unwrap();
    let worst = found.worst.unwrap();
    assert_eq!((found.compared, worst.row, worst.column), (4, 0, 1));
    assert!(worst.ratio > 0.8 && worst.ratio <= 1.0, "{}", worst.ratio);
    let beyond = (4.0 + 1.2 * allowed(4.0)) as f32;
    let error = expected
        .elements(&HostData::F32(vec![1.0, 2.0, 3.0, beyond]))
        .unwrap_err();
    assert!(
        matches!(
            error,
            Mismatch::Element {
                row: 1,
                column: 1,
                ..
            }
        ),
        "{error}"
    );
    let codes = expected.codes(&HostData::U32(vec![1, 2, 5, 4])).unwrap_err();
    assert_eq!(codes.to_string(), "y[1, 0] is code 5 instead of 3");
}

#[test]
fn a_draw_must_cover_its_uniform_number() {
    let weights = [0.25, 0.0, 0.5, 0.25];
    assert!(check_draw(&weights, 0, 0.1, (0, 0)).is_ok());
    assert!(check_draw(&weights, 2, 0.25, (0, 0)).is_ok());
    assert!(check_draw(&weights, 0, 0.250_000_1, (0, 0)).is_ok());
    assert!(check_draw(&weights, 1, 0.25, (0, 0)).is_err());
    assert_eq!(
        check_draw(&weights, 3, 0.5, (4, 2)).unwrap_err().to_string(),
        "codes[4, 2] is 3, which covers [0.75, 1) of the weights, but the draw was 0.5"
    );
    assert!(check_draw(&[0.0, 0.0], 1, 0.6, (0, 0)).is_ok());
    assert!(check_draw(&[0.0, 0.0], 0, 0.6, (0, 0)).is_err());
}

#[test]
fn a_suite_without_cases_fails_for_every_op() {
    let report = run_families(&InterpreterBackend, &[], &|_, _| true);
    let failures = report.failures();
    assert_eq!(failures.len(), OP_NAMES.len());
    assert_eq!(failures[0], "gather_rows: no case ran");
}

#[test]
#[should_panic(expected = "does not conform")]
fn a_filtered_run_is_not_complete() {
    run_filtered(&InterpreterBackend, |op, _| op == "clip_factor").assert_complete();
}

/// A backend without a single kernel.
#[derive(Debug)]
struct Empty;

impl Backend for Empty {
    fn device(&self) -> DeviceInfo {
        InterpreterBackend.device()
    }

    fn compile(&self, program: &Program, _: usize) -> Result<Box<dyn Executable>, BackendError> {
        Err(BackendError::UnsupportedOp {
            backend: "empty",
            op: program.nodes()[0].op.name().to_owned(),
            program: program.name().to_owned(),
        })
    }

    fn upload(&self, data: HostData) -> Result<Box<dyn Buffer>, BackendError> {
        InterpreterBackend.upload(data)
    }
}

#[test]
fn a_backend_without_kernels_is_told_which_cases_it_skipped() {
    let report = run_filtered(&Empty, |op, _| op == "clip_factor");
    assert_eq!(report.failures(), ["clip_factor: no case ran"]);
    let text = report.to_string();
    assert!(
        text.contains(
            "skipped: clip_factor (0 rows, bound 1, seed 61): the empty backend has no kernel for op clip_factor of \
             program \"clip_factor\""
        ),
        "{text}"
    );
}
