//! Per-sample norms against gradients of single rows, and clipped sums against clipping row by row.

use std::sync::Arc;

use crate::argn::Model as _;
use crate::backend::Run;
use crate::conformance::case::rows;
use crate::conformance::cases::batch::table;
use crate::conformance::cases::embedding::tables;
use crate::conformance::cases::linear::{column_layouts, grouped};
use crate::conformance::compare::allowed;
use crate::conformance::models::{Model, small};
use crate::conformance::random_data::{RandomData, ragged};
use crate::ir::ops::activation::Dropout;
use crate::ir::ops::embedding::{EmbeddingGrad, embedding_groups};
use crate::ir::ops::linear::{GroupedLinearGradParams, OrderedLinearGradParams};
use crate::ir::ops::privacy::CLIP_EPS;
use crate::ir::{
    Builder, Interpreter, InterpreterBuffer, LossWeight, Op, ParamLayout, ParamView, Program, ResourceId,
    ResourceKind, Shape, Tensor, differentiate,
};
use crate::privacy::clip;

/// An op that writes gradients, with its inputs; the last one is the incoming gradient.
struct GradientOp {
    label: String,
    layout: Arc<ParamLayout>,
    /// Parameter of each column of the norm.
    columns: Vec<ParamView>,
    inputs: Vec<(Shape, Tensor)>,
}

impl GradientOp {
    /// Checks every column of the norm of every row (at most five) against the gradient that this row alone causes.
    fn check<T: Op>(&self, run: &Run, op: impl Fn(ResourceId) -> T) {
        let mut builder = Builder::new("norm");
        let kind = ResourceKind::Arena(Arc::clone(&self.layout));
        let grads = builder.resource("params.grads", kind).unwrap();
        let inputs = self.inputs.iter().enumerate();
        let values: Vec<_> = inputs
            .map(|(i, (shape, _))| builder.input(&format!("x{i}"), shape.clone()).unwrap())
            .collect();
        let op = op(grads);
        let clipping = op.clipping().expect("a norm rule");
        assert_eq!(clipping.signal, self.inputs.len() - 1);
        let norm = builder.push(clipping.norm, &values).unwrap()[0];
        builder.output("norm", norm).unwrap();
        builder.push(Arc::new(op), &values).unwrap();
        let program = builder.finish();
        let tensors: Vec<Tensor> = self.inputs.iter().map(|(_, t)| t.clone()).collect();
        let (norms, _) = self.interpret(&program, run, &tensors);
        assert_eq!(norms.width, self.columns.len());
        for b in 0..norms.rows.min(5) {
            let mut alone = tensors.clone();
            let signal = &mut alone[clipping.signal];
            for (i, d) in signal.data.iter_mut().enumerate() {
                if i / signal.width != b {
                    *d = 0.0;
                }
            }
            let (_, grads) = self.interpret(&program, run, &alone);
            for (column, view) in self.columns.iter().enumerate() {
                let expected: f64 = grads[view.range()].iter().map(|g| g * g).sum();
                let error = (norms.at(b, column) - expected).abs();
                assert!(
                    error <= allowed(expected),
                    "{}: row {b}, column {column}: {} instead of {expected}",
                    self.label,
                    norms.at(b, column)
                );
            }
        }
    }

    fn interpret(&self, program: &Program, run: &Run, inputs: &[Tensor]) -> (Tensor, Vec<f64>) {
        let mut resources = [InterpreterBuffer::zeros(self.layout.len())];
        let mut interpreter = Interpreter::new(program);
        interpreter.run(run, &mut resources, inputs).unwrap();
        let norms = interpreter.output("norm").unwrap().clone();
        (norms, resources[0].data().unwrap().to_vec())
    }
}

fn matrix(random: &mut RandomData, rows: usize, shape: &Shape) -> Tensor {
    let width = shape.groups.total();
    let data = random
        .uniform(rows * width, 2.0)
        .into_iter()
        .map(f64::from)
        .collect();
    Tensor::from_data(rows, width, data)
}

fn codes(rows: usize, codes: Vec<u32>) -> Tensor {
    let width = codes.len().checked_div(rows).unwrap_or(0);
    Tensor::from_data(rows, width, codes.into_iter().map(f64::from).collect())
}

#[test]
fn embeddings() {
    let random = &mut RandomData::new(301);
    for shape in ragged(random) {
        let (tables, layout) = tables(random, &shape.widths);
        let cardinalities: Vec<usize> = tables.iter().map(|t| t.rows).collect();
        let mut drawn = codes(shape.rows(), random.codes(shape.rows(), &cardinalities));
        drawn.width = tables.len();
        let symbol = shape.extent.symbol();
        let grad = Shape::f32(symbol, embedding_groups(&tables));
        let op = GradientOp {
            label: format!("{}, seed {}", shape.label, random.seed),
            layout,
            columns: tables.to_vec(),
            inputs: vec![
                (Shape::u32(symbol, tables.len()), drawn),
                (grad.clone(), matrix(random, shape.rows(), &grad)),
            ],
        };
        op.check(&shape.run(), |grads| EmbeddingGrad {
            grads,
            tables: Arc::clone(&tables),
        });
    }
}

#[test]
fn grouped_linear_layers() {
    let random = &mut RandomData::new(302);
    for shape in ragged(random) {
        let others: Vec<usize> = shape.widths.iter().map(|w| 1 + w % 9).collect();
        for (from, to) in [
            (&shape.widths, &others),
            (&others, &shape.widths),
            (&others, &others),
        ] {
            let (groups, layout) = grouped(from, to, true);
            let shapes =
                [&groups.input, &groups.output].map(|g| Shape::f32(shape.extent.symbol(), g.clone()));
            let op = GradientOp {
                label: format!("{}, seed {}", shape.label, random.seed),
                layout,
                columns: groups
                    .layers_present()
                    .flat_map(|(_, l)| [l.weight, l.bias])
                    .collect(),
                inputs: shapes
                    .into_iter()
                    .map(|s| (s.clone(), matrix(random, shape.rows(), &s)))
                    .collect(),
            };
            op.check(&shape.run(), |grads| GroupedLinearGradParams {
                grads,
                groups: groups.clone(),
            });
        }
    }
}

#[test]
fn ordered_linear_layers() {
    let random = &mut RandomData::new(303);
    for layout in column_layouts(random) {
        for dropout in [None, Dropout::new(0.25, 2)] {
            let (spec, arena) = layout.spec(dropout);
            let ranks = codes(1, random.permutation(spec.columns.len()));
            let shapes = [&spec.columns, &spec.sub_columns, &spec.output]
                .map(|g| Shape::f32(layout.extent.symbol(), g.clone()));
            let mut inputs: Vec<_> = shapes
                .into_iter()
                .map(|s| (s.clone(), matrix(random, layout.extent.rows(), &s)))
                .collect();
            inputs.insert(2, (Shape::ranks(spec.columns.len()), ranks));
            let op = GradientOp {
                label: format!("{}, {dropout:?}, seed {}", layout.label, random.seed),
                layout: arena,
                columns: spec.layers.iter().flat_map(|l| [l.weight, l.bias]).collect(),
                inputs,
            };
            op.check(&layout.extent.run(), |grads| OrderedLinearGradParams {
                grads,
                spec: spec.clone(),
            });
        }
    }
}

/// Runs a program over the table from `first_row` on, all else bound to zeros; gives the gradients and results by name.
fn interpret<'p>(
    program: &'p Program,
    model: &Model,
    table: &InterpreterBuffer,
    run: &Run,
) -> (Vec<f64>, Interpreter<'p>) {
    let params = model.params(6).into_iter().map(f64::from).collect();
    let bind = |name: &str| match name {
        "table" => table.clone(),
        "params" => InterpreterBuffer::from_f64(Vec::clone(&params)),
        "trace" => InterpreterBuffer::zeros(1),
        _ => InterpreterBuffer::zeros(params.len()),
    };
    let mut resources: Vec<InterpreterBuffer> = program.resources().iter().map(|r| bind(&r.name)).collect();
    let mut interpreter = Interpreter::new(program);
    interpreter.run(run, &mut resources, &[]).unwrap();
    let grads = program.resource("params.grads").unwrap();
    (resources[grads.index()].data().unwrap().to_vec(), interpreter)
}

/// The sum of the gradients of single rows, each scaled to the clipping norm, is what the clipped program gives.
#[test]
fn a_clipped_sum_is_the_sum_of_clipped_rows() {
    const ROWS: usize = 9;
    let random = &mut RandomData::new(304);
    for model in small().unwrap().into_iter().take(5) {
        let table = InterpreterBuffer::Codes(Arc::new(table(random, ROWS, &model.cardinalities)));
        let validation = model.flat.train_programs(1).unwrap().validation().unwrap();
        let gradient = differentiate(&validation, "loss", LossWeight::Sum).unwrap();
        let mut singles = Vec::new();
        for b in 0..ROWS {
            let run = Run {
                first_row: b as u64,
                ..rows(1)
            };
            singles.push(interpret(&gradient, &model, &table, &run).0);
        }
        let sq_norms: Vec<f64> = singles.iter().map(|g| g.iter().map(|g| g * g).sum()).collect();
        let mut sorted = sq_norms.clone();
        sorted.sort_by(f64::total_cmp);
        // A bound that clips half of the rows.
        let max_grad_norm = sorted[ROWS / 2].sqrt().max(1e-3) * 0.999;
        let program = clip(&gradient, max_grad_norm).unwrap();
        let (clipped, results) = interpret(&program, &model, &table, &rows(ROWS));
        let factors: Vec<f64> = sq_norms
            .iter()
            .map(|sq| (max_grad_norm / (sq.sqrt() + CLIP_EPS)).min(1.0))
            .collect();
        for b in 0..ROWS {
            let (norm, factor) = (
                results.output("per_sample_sq_norm").unwrap().at(b, 0),
                results.output("clip_factor").unwrap().at(b, 0),
            );
            assert!(
                (norm - sq_norms[b]).abs() <= allowed(sq_norms[b]),
                "{}: row {b}",
                model.label
            );
            assert!(
                (factor - factors[b]).abs() <= allowed(1.0),
                "{}: row {b}",
                model.label
            );
        }
        for (i, got) in clipped.iter().enumerate() {
            let terms = || singles.iter().zip(&factors).map(|(g, f)| f * g[i]);
            let (sum, magnitude) = (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>());
            assert!(
                (got - sum).abs() <= allowed(magnitude),
                "{}, seed {}: gradient {i} is {got} instead of {sum}",
                model.label,
                random.seed
            );
        }
        let by_param: f64 = (0..)
            .map_while(|i| results.output(&format!("per_sample_sq_norm.{i}")))
            .map(|norms| norms.row(0).iter().sum::<f64>())
            .sum();
        assert!((by_param - sq_norms[0]).abs() <= allowed(sq_norms[0]));
    }
}
