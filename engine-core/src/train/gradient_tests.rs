//! The gradient of the whole training step.

use std::ops::Range;
use std::sync::Arc;

use crate::argn::Model as _;
use crate::backend::Run;
use crate::fixtures::{mixed_model, random_params, random_table};
use crate::ir::{
    Interpreter, InterpreterBuffer, LossWeight, Program, Resource, ResourceKind, Tensor, differentiate,
};
use crate::schema::CodeTable;

/// Buffers of a program in double precision.
fn resources(program: &Program, params: &[f64], table: &Arc<CodeTable>) -> Vec<InterpreterBuffer> {
    let bind = |resource: &Resource| match (&resource.kind, resource.name.as_str()) {
        (ResourceKind::Codes { .. }, _) => InterpreterBuffer::Codes(Arc::clone(table)),
        (ResourceKind::Arena(_), "params") => InterpreterBuffer::from_f64(params.to_vec()),
        (ResourceKind::Arena(layout), _) => InterpreterBuffer::zeros(layout.len()),
        _ => InterpreterBuffer::zeros(16),
    };
    program.resources().iter().map(bind).collect()
}

fn data<'a>(program: &Program, resources: &'a [InterpreterBuffer], name: &str) -> &'a [f64] {
    let id = program.resource(name).unwrap();
    resources[id.index()].data().unwrap()
}

#[test]
fn the_gradient_of_a_training_step_agrees_with_finite_differences() {
    let model = mixed_model();
    let (rows, micro_batches) = (6, 2);
    let programs = model.train_programs(3).unwrap();
    let program = programs.gradient(micro_batches).unwrap();
    let table = random_table(&model, 40, 3);
    let params: Vec<f64> = random_params(model.layout().len(), 4)
        .into_iter()
        .map(f64::from)
        .collect();
    for step in [0, 4] {
        let run = Run {
            seed: 7,
            first_step: step,
            ..Run::evaluate(rows)
        };
        let evaluate = |params: &[f64]| {
            let mut buffers = resources(&program, params, &table);
            Interpreter::new(&program).run(&run, &mut buffers, &[]).unwrap();
            let loss = data(&program, &buffers, "trace")[0];
            (loss, data(&program, &buffers, "params.grads").to_vec())
        };
        let (_, grads) = evaluate(&params);
        let eps = 1e-5;
        let mut nonzero = 0;
        for (i, grad) in grads.iter().enumerate() {
            let shifted = |by: f64| {
                let mut params = params.clone();
                params[i] += by;
                evaluate(&params).0
            };
            let slope = (shifted(eps) - shifted(-eps)) / (2.0 * eps) / f64::from(rows * micro_batches);
            // Central differences are off by eps^2 and by roundings of the loss over eps.
            let bound = 1e-7 * (1.0 + grad.abs());
            assert!(
                (slope - grad).abs() <= bound,
                "parameter {i}: {grad} instead of {slope}"
            );
            nonzero += usize::from(*grad != 0.0);
        }
        assert!(
            nonzero > grads.len() / 4,
            "{nonzero} of {} gradients are not zero",
            grads.len()
        );
    }
}

#[test]
fn gradients_of_micro_batches_add_up_to_that_of_the_whole_batch() {
    let model = mixed_model();
    let forward = model.forward().unwrap();
    let gradient =
        |micro_batches| differentiate(&forward, "loss", LossWeight::Mean { micro_batches }).unwrap();
    let table = random_table(&model, 10, 6);
    let params: Vec<f64> = random_params(model.layout().len(), 2)
        .into_iter()
        .map(f64::from)
        .collect();
    let codes = |rows: Range<usize>| {
        let cells = rows.clone().flat_map(|row| (0..7).map(move |s| (row, s)));
        let cells = cells.map(|(row, s)| f64::from(table.get(row, s))).collect();
        [
            Tensor::from_data(rows.len(), 7, cells),
            Tensor::from_data(1, 4, vec![2.0, 0.0, 3.0, 1.0]),
        ]
    };
    let (whole, half) = (gradient(1), gradient(2));
    let mut expected = resources(&whole, &params, &table);
    Interpreter::new(&whole)
        .run(&Run::evaluate(10), &mut expected, &codes(0..10))
        .unwrap();
    let mut sum = resources(&half, &params, &table);
    for rows in [0..5, 5..10] {
        Interpreter::new(&half)
            .run(&Run::evaluate(5), &mut sum, &codes(rows))
            .unwrap();
    }
    let (got, want) = (
        data(&half, &sum, "params.grads"),
        data(&whole, &expected, "params.grads"),
    );
    let largest = want.iter().fold(0.0f64, |m, g| m.max(g.abs()));
    assert!(largest > 0.1);
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() <= 16.0 * f64::EPSILON * largest,
            "parameter {i}: {got} instead of {want}"
        );
    }
}
