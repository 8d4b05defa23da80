//! Embedding lookups, their gradient and its norm.

use std::sync::Arc;

use crate::backend::Run;
use crate::conformance::case::{Case, CaseError};
use crate::conformance::random_data::{Ragged, RandomData, ragged};
use crate::ir::ops::embedding::{Embedding, EmbeddingGrad, EmbeddingSqNorm, embedding_groups};
use crate::ir::{Initialisation, ParamLayout, ParamLayoutBuilder, ParamView};

/// Tables with the given embedding widths and random cardinalities, the first of cardinality one, behind a parameter of three
/// numbers that shifts all offsets.
pub(in crate::conformance) fn tables(
    random: &mut RandomData,
    widths: &[usize],
) -> (Arc<[ParamView]>, Arc<ParamLayout>) {
    let mut params = ParamLayoutBuilder::new();
    params.bias("before".to_owned(), 3, Initialisation::StandardNormal);
    let views = widths.iter().enumerate().map(|(s, width)| {
        let cardinality = if s == 0 { 1 } else { random.between(1, 60) };
        params.weight(
            format!("table {s}"),
            cardinality,
            *width,
            Initialisation::StandardNormal,
        )
    });
    let views = views.collect();
    (views, Arc::new(params.finish()))
}

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(11);
    let mut cases = Vec::new();
    for shape in ragged(random) {
        push_cases(random, &shape, &mut cases)?;
    }
    Ok(cases)
}

fn push_cases(random: &mut RandomData, shape: &Ragged, cases: &mut Vec<Case>) -> Result<(), CaseError> {
    let label = format!("{}, seed {}", shape.label, random.seed);
    let (tables, layout) = tables(random, &shape.widths);
    let groups = embedding_groups(&tables);
    let cardinalities: Vec<usize> = tables.iter().map(|t| t.rows).collect();
    let codes = random.codes(shape.rows(), &cardinalities);
    let grad_output = random.uniform(shape.len(), 2.0);

    let mut setup = shape.setup("embedding");
    let params = setup.arena("params", &layout, random.uniform(layout.len(), 2.0))?;
    let value = setup.codes("codes", tables.len(), codes.clone())?;
    let op = Embedding {
        params,
        tables: Arc::clone(&tables),
    };
    cases.push(setup.finish(op, &[value], shape.run(), label.clone())?);

    for steps in [1, 3] {
        let mut setup = shape.setup("embedding_grad");
        let grads = setup.arena("params.grads", &layout, random.uniform(layout.len(), 1.0))?;
        let value = setup.codes("codes", tables.len(), codes.clone())?;
        let grad = setup.value("grad_output", &groups, grad_output.clone())?;
        let op = EmbeddingGrad {
            grads,
            tables: Arc::clone(&tables),
        };
        let run = Run { steps, ..shape.run() };
        cases.push(setup.finish(op, &[value, grad], run, format!("{label}, {steps} steps"))?);
    }

    let mut setup = shape.setup("embedding_sq_norm");
    let value = setup.codes("codes", tables.len(), codes)?;
    let grad = setup.value("grad_output", &groups, grad_output)?;
    cases.push(setup.finish(EmbeddingSqNorm { tables }, &[value, grad], shape.run(), label)?);
    Ok(())
}
