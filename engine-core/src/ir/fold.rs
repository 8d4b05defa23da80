//! The rewrite from the forward program to folded inference, so that every backend has it.

use std::sync::Arc;

use thiserror::Error;

use super::op::Op;
use super::ops::activation::Relu;
use super::ops::embedding::Embedding;
use super::ops::linear::{GroupedLinear, OrderedLinear};
use super::ops::sampling::{
    FoldSource, FoldTables, FoldedModel, OrderedSample, Reports, SampleInputs, SamplingRules,
};
use super::program::{BuildError, Builder, Node, Program, ResourceKind, ValueId};
use super::shape::{Groups, Shape};

/// Full tables are made up to this many elements (64 MiB in single precision); larger models use factored ones.
const TABLE_BUDGET: usize = 16 << 20;

/// A model rewritten for generation in any column order.
#[derive(Debug, Clone)]
pub struct Folded {
    /// Layout of the folded arena.
    pub model: Arc<FoldedModel>,
    /// Fills the folded arena from the parameters; runs once. Resources: the parameters, `folded`.
    pub prepare: Program,
}

/// Why a program cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FoldError {
    /// The program is not the forward pass of a flat model.
    #[error("program {program:?} cannot be folded: {expected} expected before its logits")]
    Pattern {
        /// The program.
        program: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The column order is not a permutation of the model's columns.
    #[error("the column order does not match: it must name each of the {columns} columns once")]
    Order {
        /// Number of columns.
        columns: usize,
    },
    /// A sub-column cannot be drawn where the order of the draws has it.
    #[error(
        "sub-column {sub_column} cannot be drawn: it does not exist, is drawn twice, or comes after a later part of its column"
    )]
    Draws {
        /// Its index.
        sub_column: usize,
    },
    /// The rewritten program does not fit together.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// Rewrites the forward program of a flat model (result `logits`, no dropout) into folded inference. It serves every order of the
/// columns; the one that is given (each column once) is the fastest.
///
/// # Errors
/// [`FoldError`] when the program is no such forward pass or the order is no permutation.
pub fn fold_inference(forward: &Program, order: &[usize]) -> Result<Folded, FoldError> {
    fold_within(forward, order, TABLE_BUDGET)
}

/// [`fold_inference`] with full tables of at most `table_budget` elements together.
pub(crate) fn fold_within(
    forward: &Program,
    order: &[usize],
    table_budget: usize,
) -> Result<Folded, FoldError> {
    let source = find_source(forward)?;
    let columns = source.ordered.columns.len();
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    if sorted != (0..columns).collect::<Vec<_>>() {
        return Err(FoldError::Order { columns });
    }
    let model = Arc::new(FoldedModel::new(&source, order, table_budget));
    let prepare = prepare_program(forward, source, &model)?;
    Ok(Folded { model, prepare })
}

fn prepare_program(
    forward: &Program,
    source: FoldSource,
    model: &Arc<FoldedModel>,
) -> Result<Program, FoldError> {
    let mut builder = Builder::new("fold");
    let arena = forward
        .resources()
        .iter()
        .find(|r| matches!(r.kind, ResourceKind::Arena(_)));
    let arena = arena.ok_or_else(|| pattern(forward, "an arena of parameters"))?;
    let params = builder.resource(&arena.name, arena.kind.clone())?;
    let folded = builder.resource("folded", ResourceKind::Numbers)?;
    builder.push(
        Arc::new(FoldTables {
            params,
            folded,
            source,
            model: Arc::clone(model),
        }),
        &[],
    )?;
    Ok(builder.finish())
}

/// What a program draws, by which rules, and what it tells of it.
#[derive(Debug, Clone, Default)]
pub struct SampleSpec {
    /// Sub-columns in the order of the draws; siblings ascending.
    pub draws: Vec<usize>,
    /// Rules of the draw.
    pub rules: SamplingRules,
    /// Optional inputs, `cells` and `uniforms`.
    pub inputs: SampleInputs,
    /// Optional results, `probs`, `weights` and `log_probs`.
    pub reports: Reports,
}

/// The program that draws rows of a folded model. Resource: `folded`. Results: `codes` and what is asked for.
///
/// # Errors
/// [`FoldError::Draws`] when a sub-column that is drawn or reported does not exist, is drawn twice or before an earlier sibling.
pub fn sample_program(model: &Arc<FoldedModel>, spec: SampleSpec) -> Result<Program, FoldError> {
    check_draws(model, &spec.draws)?;
    check_reports(model, &spec.reports)?;
    let mut builder = Builder::new("sample");
    let folded = builder.resource("folded", ResourceKind::Numbers)?;
    let sub_columns = model.cardinalities.len();
    let mut values = Vec::new();
    if spec.inputs.cells {
        values.push(builder.input("cells", Shape::codes(sub_columns))?);
    }
    if spec.inputs.uniforms {
        values.push(builder.input("uniforms", Shape::batch(Groups::ones(sub_columns)))?);
    }
    let names = spec.reports.names();
    let op = OrderedSample {
        folded,
        model: Arc::clone(model),
        draws: spec.draws.into(),
        rules: Arc::new(spec.rules),
        inputs: spec.inputs,
        reports: spec.reports,
    };
    let outputs = builder.push(Arc::new(op), &values)?;
    for (name, value) in names.into_iter().zip(outputs) {
        builder.output(name, value)?;
    }
    Ok(builder.finish())
}

fn check_draws(model: &FoldedModel, draws: &[usize]) -> Result<(), FoldError> {
    let mut drawn = vec![false; model.sub_columns.len()];
    for s in draws.iter().copied() {
        let sub = model.sub_columns.get(s).filter(|_| !drawn[s]);
        let sub = sub.ok_or(FoldError::Draws { sub_column: s })?;
        let later_sibling =
            (s + 1..drawn.len()).find(|n| drawn[*n] && model.sub_columns[*n].column == sub.column);
        if later_sibling.is_some() {
            return Err(FoldError::Draws { sub_column: s });
        }
        drawn[s] = true;
    }
    Ok(())
}

fn check_reports(model: &FoldedModel, reports: &Reports) -> Result<(), FoldError> {
    let mut reported = reports.probs.iter().chain(&reports.weights);
    match reported.find(|s| **s >= model.sub_columns.len()) {
        Some(s) => Err(FoldError::Draws { sub_column: *s }),
        None => Ok(()),
    }
}

fn pattern(program: &Program, expected: &'static str) -> FoldError {
    FoldError::Pattern {
        program: program.name().to_owned(),
        expected,
    }
}

fn producer(program: &Program, value: ValueId) -> Option<&Node> {
    program.nodes().iter().find(|n| n.outputs.contains(&value))
}

fn made_by<T: Op>(program: &Program, value: ValueId) -> Option<(&T, &Node)> {
    let node = producer(program, value)?;
    node.op.as_any().downcast_ref::<T>().map(|op| (op, node))
}

/// Walks back from the logits: predictors, relu, one or two regressor layers, compressors, embeddings.
fn find_source(program: &Program) -> Result<FoldSource, FoldError> {
    let fail = |expected| pattern(program, expected);
    let logits = program
        .output("logits")
        .ok_or_else(|| fail("a result \"logits\""))?;
    let (heads, node) = made_by::<GroupedLinear>(program, logits).ok_or_else(|| fail("predictors"))?;
    let (_, node) = made_by::<Relu>(program, node.inputs[0]).ok_or_else(|| fail("a relu"))?;
    let mut hidden = node.inputs[0];
    let mut second = None;
    if let Some((layer, node)) = made_by::<GroupedLinear>(program, hidden) {
        second = Some(layer.groups.clone());
        hidden = node.inputs[0];
    }
    let (ordered, node) =
        made_by::<OrderedLinear>(program, hidden).ok_or_else(|| fail("ordered regressors"))?;
    if ordered.spec.dropout.is_some() {
        return Err(fail("a forward pass without dropout"));
    }
    let mut columns = node.inputs[0];
    let mut compressors = None;
    if let Some((layer, node)) = made_by::<GroupedLinear>(program, columns) {
        compressors = Some(layer.groups.clone());
        columns = node.inputs[0];
    }
    let (embedding, _) = made_by::<Embedding>(program, columns).ok_or_else(|| fail("embeddings"))?;
    if columns != node.inputs[1] {
        return Err(fail("one embedding for columns and sub-columns"));
    }
    Ok(FoldSource {
        tables: Arc::clone(&embedding.tables),
        compressors,
        ordered: ordered.spec.clone(),
        second,
        heads: heads.groups.clone(),
    })
}
