//! Grouped and ordered linear layers.

use std::sync::Arc;

use crate::backend::Run;
use crate::conformance::case::{Case, CaseError, CaseRows, Setup};
use crate::conformance::random_data::{Ragged, RandomData, TIMES, ragged};
use crate::ir::ops::activation::Dropout;
use crate::ir::ops::linear::{
    GroupedLinear, GroupedLinearGradInput, GroupedLinearGradParams, GroupedLinearSqNorm, Layer, LinearGroups,
    OrderedLinear, OrderedLinearGradInput, OrderedLinearGradParams, OrderedLinearSqNorm, OrderedSpec,
};
use crate::ir::{BuildError, Groups, Initialisation, ParamLayout, ParamLayoutBuilder, ValueId};

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let mut cases = grouped_cases()?;
    cases.extend(ordered_cases()?);
    Ok(cases)
}

fn layer(params: &mut ParamLayoutBuilder, name: &str, outputs: usize, inputs: usize) -> Layer {
    Layer {
        weight: params.weight(
            format!("{name}.weight"),
            outputs,
            inputs,
            Initialisation::StandardNormal,
        ),
        bias: params.bias(format!("{name}.bias"), outputs, Initialisation::StandardNormal),
    }
}

/// Layers from the given input widths to the given output widths; with `pass` every third group of equal widths passes through. The
/// groups lie in the arena in reverse, behind a parameter of three numbers.
pub(in crate::conformance) fn grouped(
    inputs: &[usize],
    outputs: &[usize],
    pass: bool,
) -> (LinearGroups, Arc<ParamLayout>) {
    let mut params = ParamLayoutBuilder::new();
    params.bias("before".to_owned(), 3, Initialisation::StandardNormal);
    let mut layers = vec![None; inputs.len()];
    for g in (0..inputs.len()).rev() {
        if !(pass && g % 3 == 1 && inputs[g] == outputs[g]) {
            layers[g] = Some(layer(&mut params, &format!("group {g}"), outputs[g], inputs[g]));
        }
    }
    let groups = LinearGroups {
        input: Groups::from_widths(inputs.iter().copied()),
        output: Groups::from_widths(outputs.iter().copied()),
        layers: layers.into(),
    };
    (groups, Arc::new(params.finish()))
}

fn grouped_cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(81);
    let mut cases = Vec::new();
    for shape in ragged(random) {
        let others: Vec<usize> = shape
            .widths
            .iter()
            .enumerate()
            .map(|(g, w)| if g % 3 == 1 { *w } else { random.between(1, 21) })
            .collect();
        // A wide group once as input, as of a regressor, and once as output, as of a predictor.
        push_grouped(random, &shape, &shape.widths, &others, &mut cases)?;
        push_grouped(random, &shape, &others, &shape.widths, &mut cases)?;
    }
    Ok(cases)
}

fn push_grouped(
    random: &mut RandomData,
    shape: &Ragged,
    inputs: &[usize],
    outputs: &[usize],
    cases: &mut Vec<Case>,
) -> Result<(), CaseError> {
    let (groups, layout) = grouped(inputs, outputs, cases.len().is_multiple_of(2));
    let (label, run) = (
        format!("{}, {inputs:?} to {outputs:?}, seed {}", shape.label, random.seed),
        shape.run(),
    );
    let weights = random.uniform(layout.len(), 1.0);
    let x = random.uniform(shape.rows() * groups.input.total(), 2.0);
    let d = random.uniform(shape.rows() * groups.output.total(), 2.0);

    let mut setup = shape.setup("grouped_linear");
    let params = setup.arena("params", &layout, weights.clone())?;
    let value = setup.value("x", &groups.input, x.clone())?;
    let op = GroupedLinear {
        params,
        groups: groups.clone(),
    };
    cases.push(setup.finish(op, &[value], run, label.clone())?);

    let mut setup = shape.setup("grouped_linear_grad_input");
    let params = setup.arena("params", &layout, weights.clone())?;
    let value = setup.value("grad_output", &groups.output, d.clone())?;
    let op = GroupedLinearGradInput {
        params,
        groups: groups.clone(),
    };
    cases.push(setup.finish(op, &[value], run, label.clone())?);

    for steps in [1, 2] {
        let mut setup = shape.setup("grouped_linear_grad_params");
        let grads = setup.arena("params.grads", &layout, weights.clone())?;
        let values = [
            setup.value("x", &groups.input, x.clone())?,
            setup.value("grad_output", &groups.output, d.clone())?,
        ];
        let op = GroupedLinearGradParams {
            grads,
            groups: groups.clone(),
        };
        let (run, label) = (Run { steps, ..run }, format!("{label}, {steps} steps"));
        cases.push(setup.finish(op, &values, run, label)?);
    }

    let mut setup = shape.setup("grouped_linear_sq_norm");
    let values = [
        setup.value("x", &groups.input, x)?,
        setup.value("grad_output", &groups.output, d)?,
    ];
    cases.push(setup.finish(GroupedLinearSqNorm { groups }, &values, run, label)?);
    Ok(())
}

/// Columns for ordered layers: embedding widths of their sub-columns, and the width of the column where it is compressed.
#[derive(Debug, Clone)]
pub(in crate::conformance) struct Columns {
    pub(in crate::conformance) label: String,
    pub(in crate::conformance) subs: Vec<Vec<usize>>,
    pub(in crate::conformance) compressed: bool,
    pub(in crate::conformance) outputs: Vec<usize>,
    pub(in crate::conformance) extent: CaseRows,
}

impl Columns {
    fn new(label: &str, subs: &[&[usize]], compressed: bool, outputs: &[usize], rows: usize) -> Self {
        Self {
            label: label.to_owned(),
            subs: subs.iter().map(|s| s.to_vec()).collect(),
            compressed,
            outputs: outputs.to_vec(),
            extent: CaseRows::flat(rows),
        }
    }

    /// The ordered layers over these columns and the arena that holds them.
    pub(in crate::conformance) fn spec(&self, dropout: Option<Dropout>) -> (OrderedSpec, Arc<ParamLayout>) {
        let mut params = ParamLayoutBuilder::new();
        params.bias("before".to_owned(), 3, Initialisation::StandardNormal);
        let width = |subs: &Vec<usize>| {
            let width: usize = subs.iter().sum();
            if self.compressed { width.min(5) } else { width }
        };
        let column_of = self
            .subs
            .iter()
            .enumerate()
            .flat_map(|(c, subs)| vec![c; subs.len()]);
        let mut spec = OrderedSpec {
            columns: Groups::from_widths(self.subs.iter().map(width)),
            sub_columns: Groups::from_widths(self.subs.iter().flatten().copied()),
            column_of: column_of.collect(),
            output: Groups::from_widths(self.outputs.iter().copied()),
            layers: Arc::from([]),
            dropout,
        };
        let layers = self
            .outputs
            .iter()
            .enumerate()
            .map(|(s, outputs)| layer(&mut params, &format!("layer {s}"), *outputs, spec.input_width(s)));
        spec.layers = layers.collect();
        (spec, Arc::new(params.finish()))
    }
}

/// The column layouts that ordered layers meet.
pub(in crate::conformance) fn column_layouts(random: &mut RandomData) -> Vec<Columns> {
    let wide: &[&[usize]] = &[&[3], &[1], &[700], &[2, 5]];
    let mixed: &[&[usize]] = &[&[4, 3, 9], &[7], &[1, 1], &[13, 2, 5, 6]];
    let mut layouts = vec![
        Columns::new("no rows", &[&[3, 2], &[4]], false, &[5, 1, 2], 0),
        Columns::new("one row", &[&[3, 2], &[4]], false, &[5, 1, 2], 1),
        Columns::new("one column", &[&[6]], false, &[4], 33),
        Columns::new(
            "one column of three sub-columns",
            &[&[6, 1, 3]],
            false,
            &[4, 7, 2],
            31,
        ),
        Columns::new("width one", &[&[1], &[1], &[1]], false, &[1, 1, 1], 64),
        Columns::new("a wide column", wide, false, &[16, 4, 1, 9, 3], 33),
        Columns::new("a wide output", wide, true, &[2, 3, 130, 1, 4], 31),
        Columns::new("siblings", mixed, false, &[8, 3, 5, 16, 1, 2, 7, 9, 4, 11], 64),
        Columns::new(
            "compressed columns",
            mixed,
            true,
            &[8, 3, 5, 16, 1, 2, 7, 9, 4, 11],
            100,
        ),
        Columns::new("many columns", &[&[10][..]; 20], false, &[16; 20], 32),
    ];
    for i in 0..4 {
        let count = random.between(1, 7);
        let subs: Vec<Vec<usize>> = (0..count).map(|_| random.widths(3, 12)).collect();
        let outputs = (0..subs.iter().flatten().count())
            .map(|_| random.between(1, 20))
            .collect();
        layouts.push(Columns {
            label: format!("random {i}"),
            subs,
            compressed: i % 2 == 1,
            outputs,
            extent: CaseRows::flat(random.between(2, 70)),
        });
    }
    let ten: &[usize] = &[8, 3, 5, 16, 1, 2, 7, 9, 4, 11];
    for (batch, time, compressed) in [(9, TIMES[0], false), (7, TIMES[1], true), (5, TIMES[2], false)] {
        layouts.push(Columns {
            extent: CaseRows::timed(batch, time),
            ..Columns::new(&format!("time length {time}"), mixed, compressed, ten, 0)
        });
    }
    layouts
}

fn ordered_cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(91);
    let mut cases = Vec::new();
    let mut layouts = column_layouts(random);
    // A sum of 4,000 squares in f32: kernels that add them one by one lose digits.
    let thousands: &[&[usize]] = &[&[1000, 1000], &[1000], &[1000], &[7]];
    layouts.push(Columns::new(
        "thousands of inputs",
        thousands,
        false,
        &[3, 1, 2, 4, 5],
        33,
    ));
    for (i, layout) in layouts.iter().enumerate() {
        let count = layout.subs.len();
        let orders = [
            ("as they stand", (0..count as u32).collect()),
            ("in reverse", (0..count as u32).rev().collect()),
            ("shuffled", random.permutation(count)),
        ];
        for (k, (order, ranks)) in orders.into_iter().enumerate() {
            let dropout = if (i + k) % 2 == 0 {
                Dropout::new(0.25, 3)
            } else {
                None
            };
            let label = format!(
                "{}, columns {order}, {} rows, dropout {}, seed {}",
                layout.label,
                layout.extent.rows(),
                if dropout.is_some() { "on" } else { "off" },
                random.seed
            );
            push_ordered(random, layout, dropout, ranks, &label, &mut cases)?;
        }
    }
    Ok(cases)
}

/// Everything that the four ordered ops share.
struct OrderedData {
    spec: OrderedSpec,
    ranks: Vec<u32>,
    columns: Vec<f32>,
    subs: Vec<f32>,
    grad_output: Vec<f32>,
}

impl OrderedData {
    fn values(&self, setup: &mut Setup, with_grad: bool) -> Result<Vec<ValueId>, BuildError> {
        let mut values = vec![
            setup.value("columns", &self.spec.columns, self.columns.clone())?,
            setup.value("sub_columns", &self.spec.sub_columns, self.subs.clone())?,
            setup.ranks(self.ranks.clone())?,
        ];
        if with_grad {
            values.push(setup.value("grad_output", &self.spec.output, self.grad_output.clone())?);
        }
        Ok(values)
    }
}

fn push_ordered(
    random: &mut RandomData,
    layout: &Columns,
    dropout: Option<Dropout>,
    ranks: Vec<u32>,
    label: &str,
    cases: &mut Vec<Case>,
) -> Result<(), CaseError> {
    let (spec, arena) = layout.spec(dropout);
    let run = Run {
        first_step: 9,
        steps: 1 + cases.len() as u32 % 3,
        ..layout.extent.run()
    };
    let label = format!("{label}, {} steps", run.steps);
    let weights = random.uniform(arena.len(), 1.0);
    let data = OrderedData {
        columns: random.uniform(layout.extent.rows() * spec.columns.total(), 2.0),
        subs: random.uniform(layout.extent.rows() * spec.sub_columns.total(), 2.0),
        grad_output: random.uniform(layout.extent.rows() * spec.output.total(), 2.0),
        spec: spec.clone(),
        ranks,
    };

    let mut setup = Setup::over("ordered_linear", layout.extent.symbol());
    let params = setup.arena("params", &arena, weights.clone())?;
    let values = data.values(&mut setup, false)?;
    let op = OrderedLinear {
        params,
        spec: spec.clone(),
    };
    cases.push(setup.finish(op, &values, run, label.clone())?);

    let mut setup = Setup::over("ordered_linear_grad_input", layout.extent.symbol());
    let params = setup.arena("params", &arena, weights.clone())?;
    let values = data.values(&mut setup, true)?;
    let op = OrderedLinearGradInput {
        params,
        spec: spec.clone(),
    };
    cases.push(setup.finish(op, &values, run, label.clone())?);

    let mut setup = Setup::over("ordered_linear_grad_params", layout.extent.symbol());
    let grads = setup.arena("params.grads", &arena, weights)?;
    let values = data.values(&mut setup, true)?;
    let op = OrderedLinearGradParams {
        grads,
        spec: spec.clone(),
    };
    cases.push(setup.finish(op, &values, run, label.clone())?);

    let mut setup = Setup::over("ordered_linear_sq_norm", layout.extent.symbol());
    let values = data.values(&mut setup, true)?;
    cases.push(setup.finish(OrderedLinearSqNorm { spec }, &values, run, label)?);
    Ok(())
}
