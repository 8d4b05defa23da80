//! Every gradient rule against central differences in f64, for inputs and for parameters.
//!
//! The inputs of an op are rows of a table in an arena (an embedding whose code is the row), so their gradient lies in an arena as
//! well. The loss of a row is a random linear functional of the op's output.

use std::sync::Arc;

use crate::argn::Model as _;
use crate::backend::Run;
use crate::conformance::case::{CaseRows, rows};
use crate::conformance::cases::embedding::tables;
use crate::conformance::cases::linear::{column_layouts, grouped};
use crate::conformance::models::small;
use crate::conformance::random_data::{RandomData, ragged};
use crate::ir::ops::activation::{Dropout, DropoutOp, Relu};
use crate::ir::ops::batch::{MaskRows, Reading};
use crate::ir::ops::embedding::Embedding;
use crate::ir::ops::linear::{GroupedLinear, OrderedLinear};
use crate::ir::ops::reduce::{Add, BroadcastGroups, SumGroups};
use crate::ir::ops::softmax::SoftmaxCrossEntropy;
use crate::ir::{
    Builder, Groups, Initialisation, Interpreter, InterpreterBuffer, LossWeight, ParamLayout,
    ParamLayoutBuilder, Program, Resource, ResourceId, ResourceKind, Shape, Tensor, ValueId, differentiate,
};

/// Step of the differences: their error is about the square of it, and 1e-16 of the loss divided by it.
const STEP: f64 = 1e-5;
/// Relative to the derivative plus one.
const DIFFERENCE_ERROR: f64 = 1e-7;
/// Elements that are tried in one arena.
const TRIED: usize = 60;

/// A program under construction whose arenas are all differentiated.
struct Differentiated {
    builder: Builder,
    arenas: Vec<Vec<f64>>,
    inputs: Vec<Tensor>,
    extent: CaseRows,
    run: Run,
}

impl Differentiated {
    fn new(extent: CaseRows) -> Self {
        Self {
            run: extent.run(),
            extent,
            builder: Builder::new("differentiated"),
            arenas: Vec::new(),
            inputs: Vec::new(),
        }
    }

    fn rows(&self) -> usize {
        self.extent.rows()
    }

    fn arena(&mut self, name: &str, layout: &Arc<ParamLayout>, data: Vec<f64>) -> ResourceId {
        self.arenas.push(data);
        let kind = ResourceKind::Arena(Arc::clone(layout));
        self.builder.resource(name, kind).unwrap()
    }

    fn random_arena(&mut self, random: &mut RandomData, name: &str, layout: &Arc<ParamLayout>) -> ResourceId {
        let data = uniform_f64(random, layout.len(), 1.0);
        self.arena(name, layout, data)
    }

    fn codes(&mut self, name: &str, width: usize, codes: Vec<u32>) -> ValueId {
        let data = codes.into_iter().map(f64::from).collect();
        self.inputs.push(Tensor::from_data(self.rows(), width, data));
        let shape = Shape::u32(self.extent.symbol(), width);
        self.builder.input(name, shape).unwrap()
    }

    fn ranks(&mut self, ranks: Vec<u32>) -> ValueId {
        let (width, data) = (ranks.len(), ranks.into_iter().map(f64::from).collect());
        self.inputs.push(Tensor::from_data(1, width, data));
        self.builder.input("ranks", Shape::ranks(width)).unwrap()
    }

    /// A value of the given width with its own gradient: rows of a table.
    fn leaf(&mut self, name: &str, width: usize, data: Vec<f64>) -> ValueId {
        let rows = self.rows();
        let mut params = ParamLayoutBuilder::new();
        let view = params.weight(
            name.to_owned(),
            rows.max(1),
            width,
            Initialisation::StandardNormal,
        );
        let layout = Arc::new(params.finish());
        let mut data = data;
        data.resize(layout.len(), 0.0);
        let arena = self.arena(name, &layout, data);
        let index = self.codes(&format!("rows of {name}"), 1, (0..rows as u32).collect());
        let op = Embedding {
            params: arena,
            tables: Arc::from([view]),
        };
        self.builder.push_one(op, &[index]).unwrap()
    }

    /// Checks the gradient of a random linear functional of `value`.
    fn check(mut self, random: &mut RandomData, value: ValueId, label: &str) {
        let width = self.builder.shape(value).groups.total();
        let (groups, layout) = grouped(&[width], &[1], false);
        let params = self.random_arena(random, "functional", &layout);
        let loss = self
            .builder
            .push_one(GroupedLinear { params, groups }, &[value])
            .unwrap();
        self.builder.output("loss", loss).unwrap();
        check(
            random,
            &self.builder.finish(),
            &self.run,
            &self.arenas,
            &self.inputs,
            label,
        );
    }
}

fn uniform_f64(random: &mut RandomData, len: usize, scale: f32) -> Vec<f64> {
    random.uniform(len, scale).into_iter().map(f64::from).collect()
}

/// The arenas in their order, zeros for their gradients, and ragged lengths.
fn bind(program: &Program, arenas: &[Vec<f64>]) -> Vec<InterpreterBuffer> {
    let mut arenas = arenas.iter();
    let bind = |resource: &Resource| match &resource.kind {
        ResourceKind::Arena(layout) => match arenas.next() {
            Some(arena) => InterpreterBuffer::from_f64(arena.clone()),
            None => InterpreterBuffer::zeros(layout.len()),
        },
        ResourceKind::U32 => InterpreterBuffer::U32((0..50).map(|i| i % 5).collect()),
        ResourceKind::Codes { .. } | ResourceKind::F32 => panic!("{} is no arena", resource.name),
    };
    program.resources().iter().map(bind).collect()
}

/// Compares the gradients of result `loss`, summed over rows, with central differences in all arenas.
fn check(
    random: &mut RandomData,
    program: &Program,
    run: &Run,
    arenas: &[Vec<f64>],
    inputs: &[Tensor],
    label: &str,
) {
    let gradient = differentiate(program, "loss", LossWeight::Sum).unwrap();
    let mut resources = bind(&gradient, arenas);
    Interpreter::new(&gradient)
        .run(run, &mut resources, inputs)
        .unwrap();
    let loss = |arenas: &[Vec<f64>]| -> f64 {
        let mut resources = bind(program, arenas);
        let mut interpreter = Interpreter::new(program);
        interpreter.run(run, &mut resources, inputs).unwrap();
        interpreter.output("loss").unwrap().data.iter().sum()
    };
    let mut moved = arenas.to_vec();
    let is_arena = |r: &&Resource| matches!(r.kind, ResourceKind::Arena(_));
    let names: Vec<&String> = program
        .resources()
        .iter()
        .filter(is_arena)
        .map(|r| &r.name)
        .collect();
    for (a, arena) in arenas.iter().enumerate() {
        let name = format!("{}.grads", names[a]);
        let grads = gradient
            .resource(&name)
            .unwrap_or_else(|| panic!("{label}: no {name}"));
        let grads = resources[grads.index()].data().unwrap();
        assert_eq!(grads.len(), arena.len());
        for k in 0..TRIED.min(arena.len()) {
            let i = if arena.len() <= TRIED {
                k
            } else {
                random.below(arena.len())
            };
            moved[a][i] = arena[i] + STEP;
            let above = loss(&moved);
            moved[a][i] = arena[i] - STEP;
            let difference = (above - loss(&moved)) / (2.0 * STEP);
            moved[a][i] = arena[i];
            let error = (grads[i] - difference).abs();
            assert!(
                error <= DIFFERENCE_ERROR * (1.0 + difference.abs()),
                "{label}, seed {}: {name}[{i}] is {}, differences give {difference}",
                random.seed,
                grads[i]
            );
        }
    }
}

/// Few rows: differences cost two runs an element.
fn few(extent: CaseRows) -> CaseRows {
    extent.at_most(6)
}

#[test]
fn embedding() {
    let random = &mut RandomData::new(201);
    for shape in ragged(random) {
        let mut program = Differentiated::new(few(shape.extent));
        let (tables, layout) = tables(random, &shape.widths);
        let params = program.random_arena(random, "params", &layout);
        let cardinalities: Vec<usize> = tables.iter().map(|t| t.rows).collect();
        let codes = random.codes(program.rows(), &cardinalities);
        let codes = program.codes("codes", cardinalities.len(), codes);
        let y = program
            .builder
            .push_one(Embedding { params, tables }, &[codes])
            .unwrap();
        program.check(random, y, &shape.label);
    }
}

#[test]
fn grouped_linear() {
    let random = &mut RandomData::new(202);
    for shape in ragged(random) {
        let others: Vec<usize> = shape.widths.iter().map(|w| 1 + w % 9).collect();
        for (from, to) in [
            (&shape.widths, &others),
            (&others, &shape.widths),
            (&others, &others),
        ] {
            let mut program = Differentiated::new(few(shape.extent));
            let (groups, layout) = grouped(from, to, true);
            let params = program.random_arena(random, "params", &layout);
            let x = uniform_f64(random, program.rows() * groups.input.total(), 1.0);
            let x = program.leaf("x", groups.input.total(), x);
            let y = program
                .builder
                .push_one(GroupedLinear { params, groups }, &[x])
                .unwrap();
            program.check(random, y, &shape.label);
        }
    }
}

#[test]
fn ordered_linear() {
    let random = &mut RandomData::new(203);
    for layout in column_layouts(random) {
        for dropout in [None, Dropout::new(0.25, 1)] {
            let mut program = Differentiated::new(few(layout.extent));
            program.run.first_step = 3;
            let (spec, arena) = layout.spec(dropout);
            let params = program.random_arena(random, "params", &arena);
            let (columns, subs) = (spec.columns.total(), spec.sub_columns.total());
            let x = uniform_f64(random, program.rows() * columns, 1.0);
            let columns = program.leaf("columns", columns, x);
            let x = uniform_f64(random, program.rows() * subs, 1.0);
            // Without siblings, no sub-column has a gradient.
            let subs = if spec.has_siblings() {
                program.leaf("subs", subs, x)
            } else {
                program.inputs.push(Tensor::from_data(program.rows(), subs, x));
                let shape = Shape::f32(program.extent.symbol(), Groups::single(subs));
                program.builder.input("subs", shape).unwrap()
            };
            let ranks = random.permutation(spec.columns.len());
            let ranks = program.ranks(ranks);
            let y = program
                .builder
                .push_one(OrderedLinear { params, spec }, &[columns, subs, ranks])
                .unwrap();
            program.check(random, y, &format!("{}, {dropout:?}", layout.label));
        }
    }
}

#[test]
fn relu_away_from_zero() {
    let random = &mut RandomData::new(204);
    for shape in ragged(random) {
        let mut program = Differentiated::new(few(shape.extent));
        let width = shape.groups().total();
        let x = uniform_f64(random, program.rows() * width, 1.0);
        let x = x.into_iter().map(|x| x + 0.1f64.copysign(x)).collect();
        let x = program.leaf("x", width, x);
        let y = program.builder.push_one(Relu, &[x]).unwrap();
        program.check(random, y, &shape.label);
    }
}

#[test]
fn dropout() {
    let random = &mut RandomData::new(205);
    for shape in ragged(random) {
        let mut program = Differentiated::new(few(shape.extent));
        let groups = shape.groups();
        let x = uniform_f64(random, program.rows() * groups.total(), 1.0);
        let x = program.leaf("x", groups.total(), x);
        let dropout = Dropout::new(0.25, 7).unwrap();
        let y = program
            .builder
            .push_one(DropoutOp { dropout, groups }, &[x])
            .unwrap();
        program.check(random, y, &shape.label);
    }
}

#[test]
fn mask_rows() {
    let random = &mut RandomData::new(209);
    for shape in ragged(random) {
        let mut program = Differentiated::new(few(shape.extent));
        let width = shape.groups().total();
        let x = uniform_f64(random, program.rows() * width, 1.0);
        let x = program.leaf("x", width, x);
        let op = MaskRows {
            lengths: program.builder.resource("lengths", ResourceKind::U32).unwrap(),
            reading: Reading::Sequential,
        };
        let y = program.builder.push_one(op, &[x]).unwrap();
        program.check(random, y, &shape.label);
    }
}

#[test]
fn softmax_cross_entropy() {
    let random = &mut RandomData::new(206);
    for shape in ragged(random) {
        let mut program = Differentiated::new(few(shape.extent));
        let groups = shape.groups();
        let x = uniform_f64(random, program.rows() * groups.total(), 4.0);
        let x = program.leaf("logits", groups.total(), x);
        let codes = random.codes(program.rows(), &shape.widths);
        let codes = program.codes("codes", groups.len(), codes);
        let op = Arc::new(SoftmaxCrossEntropy { groups });
        let losses = program.builder.push(op, &[x, codes]).unwrap()[0];
        program.check(random, losses, &shape.label);
    }
}

/// `(a + b) + broadcast(sum(a)) + a`: a value that is used three times gathers three gradients.
#[test]
fn add_sum_groups_and_broadcast_groups() {
    let random = &mut RandomData::new(207);
    for shape in ragged(random) {
        let mut program = Differentiated::new(few(shape.extent));
        let groups = shape.groups();
        let len = program.rows() * groups.total();
        let (a, b) = (uniform_f64(random, len, 1.0), uniform_f64(random, len, 1.0));
        let a = program.leaf("a", groups.total(), a);
        let b = program.leaf("b", groups.total(), b);
        let builder = &mut program.builder;
        let both = builder.push_one(Add, &[a, b]).unwrap();
        let sum = builder.push_one(SumGroups, &[a]).unwrap();
        let wide = builder.push_one(BroadcastGroups { groups }, &[sum]).unwrap();
        let more = builder.push_one(Add, &[both, wide]).unwrap();
        let all = builder.push_one(Add, &[more, a]).unwrap();
        program.check(random, all, &shape.label);
    }
}

#[test]
fn whole_models() {
    let random = &mut RandomData::new(208);
    for model in small().unwrap().into_iter().take(5) {
        let program = model.flat.forward().unwrap();
        let run = rows(3);
        let params = model.params(4).into_iter().map(f64::from).collect();
        let codes = random.codes(3, &model.cardinalities);
        let ranks = random.permutation(model.flat.columns().len());
        let tensor = |rows, data: Vec<u32>| {
            Tensor::from_data(rows, data.len() / rows, data.into_iter().map(f64::from).collect())
        };
        let inputs = [tensor(3, codes), tensor(1, ranks)];
        check(random, &program, &run, &[params], &inputs, &model.label);
    }
}
