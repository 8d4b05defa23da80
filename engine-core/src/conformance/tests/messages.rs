//! Messages of the IR, whole, its printed form, and the number of its ops.

use std::any::Any;
use std::sync::Arc;

use crate::argn::{FlatModel, Model, ModelSize, ModelUnits};
use crate::backend::HostData;
use crate::conformance::case::{CaseRows, interpreter_buffers, rows};
use crate::conformance::cases::linear::{Columns, grouped};
use crate::ir::ops::activation::{Dropout, DropoutOp, Relu};
use crate::ir::ops::batch::GatherRows;
use crate::ir::ops::batch::Reading;
use crate::ir::ops::embedding::Embedding;
use crate::ir::ops::linear::{GroupedLinear, LinearGroups, OrderedLinear};
use crate::ir::ops::reduce::{Add, ScaleRows, SumGroups};
use crate::ir::ops::softmax::Softmax;
use crate::ir::{
    Access, AccessKind, BuildError, Builder, Extent, GradError, Gradient, Groups, Initialisation,
    InterpretError, Interpreter, InterpreterBuffer, InterpreterContext, LossWeight, Op, ParamLayout,
    ParamLayoutBuilder, ParamView, Program, Resource, ResourceId, ResourceKind, Rows, Shape, ShapeError,
    Tensor, ValueId, differentiate,
};
use crate::privacy::clip;
use crate::schema::SubColumnName;
use crate::train::TrainPrograms;

fn arena(builder: &mut Builder, layout: &Arc<ParamLayout>) -> ResourceId {
    let kind = ResourceKind::Arena(Arc::clone(layout));
    builder.resource("params", kind).unwrap()
}

fn message(result: Result<impl Sized, BuildError>) -> String {
    result.err().expect("a build error").to_string()
}

/// A builder with one input `x` of the given width.
fn with_input(width: usize) -> (Builder, ValueId) {
    let mut builder = Builder::new("p");
    let x = builder.input("x", Shape::batch(Groups::single(width))).unwrap();
    (builder, x)
}

#[test]
fn inputs_that_do_not_fit() {
    let (mut builder, x) = with_input(3);
    assert_eq!(
        message(builder.push_one(Add, &[x])),
        "op add in program \"p\" takes 2 inputs, got 1"
    );
    let groups = Groups::from_widths([2, 2]);
    assert_eq!(
        message(builder.push_one(Softmax { groups }, &[x])),
        "op softmax in program \"p\" input 0 (logits) must be 4 wide, is 3"
    );
    let codes = builder.input("codes", Shape::codes(3)).unwrap();
    assert_eq!(
        message(builder.push_one(Add, &[x, codes])),
        "op add in program \"p\" input 1 (b) must be f32[B, 3], is u32[B, 3 in 3 groups]"
    );
    assert_eq!(
        message(builder.push_one(ScaleRows, &[x, x])),
        "op scale_rows in program \"p\" input 1 (factor) must be 1 wide, is 3"
    );
}

#[test]
fn rows_that_do_not_fit() {
    let (mut builder, x) = with_input(1);
    let timed = |width| Shape::f32(Rows::BatchTime, Groups::single(width));
    let sequence = builder.input("sequence", timed(1)).unwrap();
    assert_eq!(
        message(builder.push_one(Add, &[sequence, x])),
        "op add in program \"p\" input 1 (b) must be f32[T*B, 1], is f32[B, 1]"
    );
    assert_eq!(
        message(builder.push_one(ScaleRows, &[x, sequence])),
        "op scale_rows in program \"p\" input 1 (factor) must be f32[B, 1], is f32[T*B, 1]"
    );
    let single = Shape::f32(Rows::One, Groups::single(1));
    let single = builder.input("single", single).unwrap();
    assert_eq!(
        message(builder.push_one(Relu, &[single])),
        "op relu in program \"p\" input 0 (operand) must be f32[B, 1], is f32[1, 1]"
    );
    let op = DropoutOp {
        dropout: Dropout::new(0.5, 256).unwrap(),
        groups: Groups::single(1),
    };
    assert_eq!(
        message(builder.push_one(op, &[sequence])),
        "op dropout in program \"p\" site 256 of its random numbers must be below 256"
    );
    let sum = builder.push_one(Add, &[sequence, sequence]).unwrap();
    assert_eq!(*builder.shape(sum), timed(1));
}

/// The norm of one time step is not that of a sample.
#[test]
fn a_program_with_time_cannot_be_clipped_by_time_steps() {
    let mut builder = Builder::new("p");
    let x = Shape::f32(Rows::BatchTime, Groups::single(1));
    let x = builder.input("x", x).unwrap();
    let (groups, layout) = grouped(&[1], &[1], false);
    let params = arena(&mut builder, &layout);
    let loss = builder.push_one(GroupedLinear { params, groups }, &[x]).unwrap();
    builder.output("loss", loss).unwrap();
    let gradient = differentiate(&builder.finish(), "loss", LossWeight::Sum).unwrap();
    assert_eq!(
        clip(&gradient, 1.0).unwrap_err().to_string(),
        "op clip_factor in program \"p_gradient_clipped\" input 0 (per_sample_sq_norm) must be f32[B, 1], is f32[T*B, 1]"
    );
}

#[test]
fn layers_that_do_not_fit() {
    let (mut builder, x) = with_input(5);
    let (groups, layout) = grouped(&[2, 3], &[4, 1], false);
    let params = arena(&mut builder, &layout);
    let mut push = |groups: LinearGroups| message(builder.push_one(GroupedLinear { params, groups }, &[x]));
    let output = Groups::from_widths([4, 1, 1]);
    assert_eq!(
        push(LinearGroups {
            output,
            ..groups.clone()
        }),
        "op grouped_linear in program \"p\" the output has 3 groups, 2 are needed"
    );
    let output = Groups::from_widths([4, 2]);
    assert_eq!(
        push(LinearGroups {
            output,
            ..groups.clone()
        }),
        "op grouped_linear in program \"p\" the weight of group 1 must be [2, 3], is [1, 3]"
    );
    let mut layers = groups.layers.to_vec();
    layers[0] = None;
    assert_eq!(
        push(LinearGroups {
            layers: layers.into(),
            ..groups.clone()
        }),
        "op grouped_linear in program \"p\" input 0 (output of a group that passes through) must be 2 wide, is 4"
    );
    let mut layers = groups.layers.to_vec();
    if let Some(layer) = &mut layers[0] {
        layer.bias.rows = 3;
    }
    assert_eq!(
        push(LinearGroups {
            layers: layers.into(),
            ..groups.clone()
        }),
        "op grouped_linear in program \"p\" the bias of group 0 must be [4, 1], is [3, 1]"
    );
    let mut layers = groups.layers.to_vec();
    if let Some(layer) = &mut layers[0] {
        layer.weight.offset = 14;
    }
    assert_eq!(
        push(LinearGroups {
            layers: layers.into(),
            ..groups
        }),
        "op grouped_linear in program \"p\" a parameter of group 0 ends at 22, the arena at 19"
    );
}

#[test]
fn ordered_layers_that_do_not_fit() {
    let columns = Columns {
        label: String::new(),
        subs: vec![vec![2, 1], vec![3]],
        compressed: false,
        outputs: vec![4, 5, 6],
        extent: CaseRows::flat(2),
    };
    let (spec, layout) = columns.spec(None);
    let mut builder = Builder::new("p");
    let params = arena(&mut builder, &layout);
    let columns = builder
        .input("columns", Shape::batch(spec.columns.clone()))
        .unwrap();
    let ranks = builder.input("ranks", Shape::ranks(2)).unwrap();
    let mut falling = spec.clone();
    falling.column_of = Arc::from([1, 0, 1]);
    let inputs = [columns, columns, ranks];
    assert_eq!(
        message(builder.push_one(
            OrderedLinear {
                params,
                spec: falling
            },
            &inputs
        )),
        "op ordered_linear in program \"p\" sub-column 1 belongs to column 0, the one before it to column 1; columns must \
         rise"
    );
    let mut beyond = spec.clone();
    beyond.column_of = Arc::from([0, 0, 2]);
    assert_eq!(
        message(builder.push_one(OrderedLinear { params, spec: beyond }, &inputs)),
        "op ordered_linear in program \"p\" the list of columns of sub-columns has 3 groups, 2 are needed"
    );
    assert_eq!(
        message(builder.push_one(OrderedLinear { params, spec }, &[columns, columns, columns])),
        "op ordered_linear in program \"p\" input 2 (ranks) must be u32[1, 2 in 2 groups], is f32[B, 6 in 2 groups]"
    );
}

#[test]
fn resources_that_do_not_fit() {
    let mut builder = Builder::new("p");
    let table = builder
        .resource("table", ResourceKind::Codes { columns: 2 })
        .unwrap();
    let op = GatherRows {
        table,
        columns: 3,
        reading: Reading::Sequential,
    };
    assert_eq!(
        message(builder.push_one(op, &[])),
        "op gather_rows in program \"p\" resource table must be the codes of as many sub-columns as are gathered"
    );
    let codes = builder.input("codes", Shape::codes(1)).unwrap();
    let (groups, _) = grouped(&[1], &[1], false);
    let view = groups.layers[0].unwrap().weight;
    let op = Embedding {
        params: table,
        tables: Arc::from([view]),
    };
    assert_eq!(
        message(builder.push_one(op, &[codes])),
        "op embedding in program \"p\" resource table must be an arena"
    );
    assert_eq!(
        message(builder.resource("table", ResourceKind::F32)),
        "program \"p\" declares \"table\" twice"
    );
    assert_eq!(
        message(builder.input("codes", Shape::codes(1))),
        "program \"p\" declares \"codes\" twice"
    );
}

#[test]
fn values_of_another_program() {
    let (_, x) = with_input(3);
    let mut empty = Builder::new("empty");
    assert_eq!(
        message(empty.push_one(Relu, &[x])),
        "op relu in program \"empty\" takes value %0, which is not defined before it"
    );
}

#[test]
fn losses_that_cannot_be_differentiated() {
    let (mut builder, x) = with_input(3);
    let groups = Groups::single(3);
    let probs = builder.push_one(Softmax { groups }, &[x]).unwrap();
    let loss = builder.push_one(SumGroups, &[probs]).unwrap();
    builder.output("loss", loss).unwrap();
    let program = builder.finish();
    assert_eq!(
        differentiate(&program, "loss", LossWeight::Sum)
            .unwrap_err()
            .to_string(),
        "op softmax of program \"p_gradient\" has no gradient"
    );
    assert_eq!(
        differentiate(&program, "losses", LossWeight::Sum)
            .unwrap_err()
            .to_string(),
        "program \"p\" has no result \"losses\" to differentiate"
    );
}

/// An op with a parameter gradient but no norm rule.
#[derive(Debug, Clone)]
struct Unruled {
    params: ResourceId,
    writes: bool,
}

impl Op for Unruled {
    fn name(&self) -> &'static str {
        if self.writes { "unruled_grad" } else { "unruled" }
    }

    fn infer(&self, inputs: &[Shape], _: &[Resource]) -> Result<Vec<Shape>, ShapeError> {
        Ok(if self.writes { Vec::new() } else { inputs.to_vec() })
    }

    fn accesses(&self) -> Vec<Access> {
        let kind = if self.writes {
            AccessKind::Accumulate
        } else {
            AccessKind::Read
        };
        vec![Access::new(self.params, kind, Extent::Whole)]
    }

    fn interpret(&self, cx: &mut InterpreterContext<'_>) -> Result<Vec<Tensor>, InterpretError> {
        Ok(if self.writes {
            Vec::new()
        } else {
            vec![cx.inputs[0].clone()]
        })
    }

    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<(), GradError> {
        let params = cx.grads_of(self.params)?;
        let grad = cx.grad_output(0).expect("the loss depends on it");
        cx.emit(Unruled { params, writes: true }, &[grad])?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn an_op_without_norm_rule_cannot_be_clipped() {
    let (mut builder, x) = with_input(1);
    let (groups, layout) = grouped(&[1], &[1], false);
    let params = arena(&mut builder, &layout);
    let y = builder.push_one(GroupedLinear { params, groups }, &[x]).unwrap();
    let loss = builder
        .push_one(
            Unruled {
                params,
                writes: false,
            },
            &[y],
        )
        .unwrap();
    builder.output("loss", loss).unwrap();
    let gradient = differentiate(&builder.finish(), "loss", LossWeight::Sum).unwrap();
    assert_eq!(
        clip(&gradient, 1.0).unwrap_err().to_string(),
        "op unruled_grad of program \"p_gradient\" has no per-sample norm rule, so its gradients cannot be clipped"
    );
}

/// A program in which two embeddings look up the tables at the given offsets of an arena; each table is `[3, 2]`.
fn two_embeddings(offsets: [&[usize]; 2]) -> Program {
    let mut builder = Builder::new("p");
    let mut layout = ParamLayoutBuilder::new();
    layout.weight("tables".to_owned(), 12, 2, Initialisation::StandardNormal);
    let params = arena(&mut builder, &Arc::new(layout.finish()));
    let mut total = None;
    for (i, offsets) in offsets.into_iter().enumerate() {
        let table = |offset: &usize| ParamView {
            index: 0,
            offset: *offset,
            rows: 3,
            columns: 2,
        };
        let tables = offsets.iter().map(table).collect();
        let codes = builder
            .input(&format!("codes {i}"), Shape::codes(offsets.len()))
            .unwrap();
        let y = builder.push_one(Embedding { params, tables }, &[codes]).unwrap();
        let sum = builder.push_one(SumGroups, &[y]).unwrap();
        total = Some(match total {
            None => sum,
            Some(before) => builder.push_one(Add, &[before, sum]).unwrap(),
        });
    }
    builder.output("loss", total.unwrap()).unwrap();
    differentiate(&builder.finish(), "loss", LossWeight::Sum).unwrap()
}

#[test]
fn gradients_that_overlap_cannot_be_clipped() {
    for offsets in [[&[0][..], &[6][..]], [&[12, 0], &[6, 18]]] {
        let clipped = clip(&two_embeddings(offsets), 1.0).expect("tables that touch do not overlap");
        assert!(clipped.output("per_sample_sq_norm.1").is_some());
    }
    for (offsets, elements) in [
        ([&[0][..], &[5][..]], 5..6),
        ([&[6], &[6]], 6..12),
        ([&[0, 12], &[6, 14]], 14..18),
        // Two sub-columns of one op share a table.
        ([&[0, 0], &[12]], 0..6),
    ] {
        let error = clip(&two_embeddings(offsets), 1.0).unwrap_err();
        let expected = GradError::OverlappingGradients {
            first: "embedding_grad",
            second: "embedding_grad",
            resource: "params.grads".to_owned(),
            elements,
            program: "p_gradient".to_owned(),
        };
        assert_eq!(error, expected);
    }
    let error = clip(&two_embeddings([&[6], &[6]]), 1.0).unwrap_err().to_string();
    assert_eq!(
        error,
        "ops embedding_grad and embedding_grad of program \"p_gradient\" both accumulate into elements 6..12 of params.grads, so the \
         per-sample norm of their sum is not known and their gradients cannot be clipped"
    );
}

#[test]
fn both_ops_that_overlap_are_named() {
    let (mut builder, x) = with_input(2);
    let (groups, layout) = grouped(&[2], &[2], false);
    let params = arena(&mut builder, &layout);
    let table = groups.layers[0].unwrap().weight;
    let codes = builder.input("codes", Shape::codes(1)).unwrap();
    let tables = Arc::from([table]);
    let looked_up = builder.push_one(Embedding { params, tables }, &[codes]).unwrap();
    let y = builder.push_one(GroupedLinear { params, groups }, &[x]).unwrap();
    let sums = [looked_up, y].map(|v| builder.push_one(SumGroups, &[v]).unwrap());
    let loss = builder.push_one(Add, &sums).unwrap();
    builder.output("loss", loss).unwrap();
    let gradient = differentiate(&builder.finish(), "loss", LossWeight::Sum).unwrap();
    let error = clip(&gradient, 1.0).unwrap_err();
    let GradError::OverlappingGradients { first, second, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((first, second), ("grouped_linear_grad_params", "embedding_grad"));
}

#[test]
fn an_op_that_sees_the_gradients_before_they_are_clipped_is_refused() {
    let program = programs(&flat(ModelSize::Small, 3)).training_step().unwrap();
    assert_eq!(
        clip(&program, 1.0).unwrap_err(),
        GradError::NoNormRule {
            op: "adamw",
            program: "training_step".to_owned()
        }
    );
}

#[test]
fn bindings_and_codes_that_do_not_fit() {
    let mut builder = Builder::new("p");
    let (groups, layout) = grouped(&[2], &[3], false);
    let params = arena(&mut builder, &layout);
    let tables = Arc::from([groups.layers[0].unwrap().weight]);
    let codes = builder.input("codes", Shape::codes(1)).unwrap();
    builder.push_one(Embedding { params, tables }, &[codes]).unwrap();
    let program = builder.finish();
    let run = |resources: &mut [InterpreterBuffer], inputs: &[Tensor]| {
        let error = Interpreter::new(&program).run(&rows(2), resources, inputs);
        error.unwrap_err().to_string()
    };
    let arena = || interpreter_buffers(&[HostData::F32(vec![0.0; layout.len()])]);
    let codes = |codes: &[f64]| [Tensor::from_data(codes.len(), 1, codes.to_vec())];
    assert_eq!(
        run(&mut arena(), &codes(&[0.0, 3.0])),
        "op embedding: code 3 of sub-column 0 is not below its cardinality 3"
    );
    assert_eq!(
        run(&mut arena(), &codes(&[0.0, 1.0, 2.0])),
        "program \"p\": binding \"codes\" does not fit: [3, 1] instead of [2, 1]"
    );
    assert_eq!(
        run(&mut arena(), &[]),
        "program \"p\": binding \"inputs\" does not fit: 0 bound"
    );
    assert_eq!(
        run(&mut [], &codes(&[0.0, 1.0])),
        "program \"p\": binding \"resources\" does not fit: 0 bound"
    );
    let table = crate::schema::CodeTable::new(Vec::new(), 2).unwrap();
    assert_eq!(
        run(
            &mut [InterpreterBuffer::Codes(Arc::new(table))],
            &codes(&[0.0, 1.0])
        ),
        "op embedding needs another kind of data than resource 0 holds"
    );
}

fn flat(size: ModelSize, columns: usize) -> FlatModel {
    let sub_columns: Vec<_> = (0..columns)
        .map(|c| (SubColumnName::target(c, c, "cat"), 2 + c % 7))
        .collect();
    FlatModel::new(sub_columns.clone(), &ModelUnits::flat(size, &sub_columns), None).unwrap()
}

fn programs(model: &FlatModel) -> TrainPrograms {
    model.train_programs(10).unwrap()
}

#[test]
fn a_training_step_prints_as_text() {
    let program = programs(&flat(ModelSize::Large, 3)).training_step().unwrap();
    let printed = include_str!("printed/training_step.txt");
    assert_eq!(format!("{program}\n"), printed);
}

#[test]
fn the_number_of_ops_does_not_grow_with_the_number_of_columns() {
    for size in [ModelSize::Small, ModelSize::Medium, ModelSize::Large] {
        let (few, many) = (flat(size, 15), flat(size, 1000));
        let step = |model: &FlatModel| programs(model).training_step().unwrap();
        let clipped = |model: &FlatModel| clip(&programs(model).gradient(1).unwrap(), 1.0).unwrap();
        let pairs: [(Program, Program); 4] = [
            (few.forward().unwrap(), many.forward().unwrap()),
            (
                programs(&few).validation().unwrap(),
                programs(&many).validation().unwrap(),
            ),
            (step(&few), step(&many)),
            (clipped(&few), clipped(&many)),
        ];
        for (few, many) in pairs {
            assert_eq!(few.nodes().len(), many.nodes().len(), "{}", few.name());
            assert_eq!(few.outputs().len(), many.outputs().len(), "{}", few.name());
        }
    }
}
