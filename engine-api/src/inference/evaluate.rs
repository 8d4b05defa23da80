//! How good the predictions of a model are on rows that it has not seen, beside a baseline that knows the marginal distribution only.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use engine_core::encode::{RareReplacement, ValueKind};
use engine_core::generate::{
    Cells, LogProbQuery, Point, ProbabilityOptions, SparseDistribution, point_predictions,
};
use engine_core::ir::ops::sampling::Cell;
use engine_core::schema::DecodedValues;
use serde::Serialize;

use super::InferenceError;
use super::conditioning::{ConditioningRows, TableOrigin, check_names};
use super::decoded::as_type;
use super::model::{Column, InferenceModel};
use crate::EngineError;
use crate::metrics::{ClassScores, NumberScores};

/// Rows that are scored at once.
const ROWS: usize = 4_096;

/// How a model is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    /// Column orders whose results are averaged, at least 1.
    pub orders: usize,
    /// Seed of the orders.
    pub seed: u64,
    /// Whether columns and values that do not fit are ignored with a warning rather than refused.
    pub lenient: bool,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self {
            orders: 1,
            seed: 0,
            lenient: false,
        }
    }
}

/// How good the predictions of a model are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// The target.
    pub target: String,
    /// Rows with a known target.
    pub rows: usize,
    /// Scores of the model and of the baseline, when the target is categorical.
    pub classes: Option<Compared<ClassScores>>,
    /// Scores of the model and of the baseline, when the target is numeric.
    pub numbers: Option<Compared<NumberScores>>,
    /// Mean log-likelihood of the rows, in nats: of the model, and of columns that are drawn independently of each other.
    pub log_likelihood: Compared<f64>,
    /// What each column adds to it.
    pub columns: Vec<ColumnLikelihood>,
}

/// A score of the model beside that of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Compared<T> {
    /// The model, which knows all other columns of a row.
    pub model: T,
    /// The baseline, which predicts the model's marginal distribution.
    pub baseline: T,
}

/// Mean log-likelihood of a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnLikelihood {
    /// Name of the column.
    pub column: String,
    /// By the model, given the columns before it, in nats.
    pub model: f64,
    /// By its marginal distribution.
    pub baseline: f64,
}

/// Evaluates the predictions of `target` on the rows of a batch.
pub(crate) fn evaluate(
    model: &InferenceModel,
    batch: &RecordBatch,
    origin: TableOrigin<'_>,
    target: &str,
    options: &EvaluateOptions,
) -> Result<Evaluation, EngineError> {
    let place = model.place(target)?;
    let schema = batch.schema();
    check_names(model, schema.fields().iter().map(|f| f.name().as_str()), origin)?;
    let given = ConditioningRows::of(model, batch, origin, &[])?;
    let Some(truth) = given.arrays[place].as_ref() else {
        return Err(InferenceError::Missing {
            table: origin.table.to_owned(),
            columns: target.to_owned(),
            why: "it is the target; give a table with its true values",
            may_be_missing: false,
        }
        .into());
    };
    let asked = model.probability(options.orders, options.seed, RareReplacement::default());
    let counted = given.clone().counting_nulls();
    let likelihood = log_likelihood(model, &counted, &asked)?;
    let mut cells = given.cells(model, Cell::Masked);
    cells.set_column(model.columns[place].sub_columns.clone(), Cell::Masked);
    let encoding = model.columns[place].encoding;
    let is_class = encoding.decodes_to() == Some(ValueKind::Categories);
    if !is_class && !encoding.is_numeric() {
        return Err(InferenceError::Target {
            column: target.to_owned(),
            reason: "holds neither classes nor numbers and cannot be evaluated; name another target",
        }
        .into());
    }
    let known: Vec<usize> = (0..given.rows)
        .filter(|row| is_class || truth.is_valid(*row))
        .collect();
    if known.is_empty() {
        return Err(InferenceError::NoTruth {
            table: origin.table.to_owned(),
            column: target.to_owned(),
        }
        .into());
    }
    let mut evaluation = Evaluation {
        target: target.to_owned(),
        rows: known.len(),
        classes: None,
        numbers: None,
        log_likelihood: Compared {
            model: likelihood.rows,
            baseline: likelihood.columns.iter().map(|c| c.baseline).sum(),
        },
        columns: likelihood.columns,
    };
    if is_class {
        evaluation.classes = Some(classes(model, &given, &cells, place, &asked)?);
    } else {
        let truth = as_type(truth, target, &DataType::Float64)?;
        let truth: Vec<f64> = known
            .iter()
            .map(|row| truth.as_primitive::<Float64Type>().value(*row))
            .collect();
        evaluation.numbers = Some(numbers(model, &cells, &known, place, (&truth, &asked))?);
    }
    Ok(evaluation)
}

fn classes(
    model: &InferenceModel,
    given: &ConditioningRows,
    cells: &Cells,
    place: usize,
    asked: &ProbabilityOptions,
) -> Result<Compared<ClassScores>, EngineError> {
    let query = model.joint(&[place], asked)?;
    let (width, sub) = (query.combinations(), model.columns[place].sub_columns.start);
    let mut probs = Vec::with_capacity(given.rows * width);
    for first in (0..given.rows).step_by(ROWS) {
        let part = cells.slice(first..(first + ROWS).min(given.rows));
        probs.extend(query.run(&model.loaded, &part)?.probs);
    }
    let truth: Vec<usize> = (0..given.rows).map(|row| given.code(row, sub) as usize).collect();
    let nothing = Cells::masked(1, model.loaded.sub_columns());
    let marginal = query.run(&model.loaded, &nothing)?.probs;
    let baseline: Vec<f64> = marginal.iter().copied().cycle().take(probs.len()).collect();
    Ok(Compared {
        model: ClassScores::of(&probs, width, &truth),
        baseline: ClassScores::of(&baseline, width, &truth),
    })
}

fn numbers(
    model: &InferenceModel,
    cells: &Cells,
    known: &[usize],
    place: usize,
    (truth, asked): (&[f64], &ProbabilityOptions),
) -> Result<Compared<NumberScores>, EngineError> {
    let query = model.distribution(place, asked)?;
    let (mut means, mut medians) = (Vec::new(), Vec::new());
    for first in (0..cells.rows()).step_by(ROWS) {
        let part = cells.slice(first..(first + ROWS).min(cells.rows()));
        let atoms = query.run(&model.loaded, &part)?;
        means.extend(points(model, place, &atoms, Point::Mean)?);
        medians.extend(points(model, place, &atoms, Point::Median)?);
    }
    let of_known = |all: &[f64]| known.iter().map(|row| all[*row]).collect::<Vec<_>>();
    let nothing = query.run(&model.loaded, &Cells::masked(1, model.loaded.sub_columns()))?;
    let constant = |point| Ok::<_, EngineError>(vec![points(model, place, &nothing, point)?[0]; truth.len()]);
    Ok(Compared {
        model: NumberScores::of(&of_known(&means), &of_known(&medians), truth),
        baseline: NumberScores::of(&constant(Point::Mean)?, &constant(Point::Median)?, truth),
    })
}

/// Predicted numbers; 0 where nothing but null is possible.
fn points(
    model: &InferenceModel,
    place: usize,
    atoms: &[SparseDistribution],
    point: Point,
) -> Result<Vec<f64>, EngineError> {
    let column = point_predictions(&model.stats, model.columns[place].model_column, atoms, point)?;
    Ok(match column.values {
        DecodedValues::Float(values) => values,
        _ => vec![0.0; atoms.len()],
    })
}

struct Likelihood {
    rows: f64,
    columns: Vec<ColumnLikelihood>,
}

fn log_likelihood(
    model: &InferenceModel,
    given: &ConditioningRows,
    asked: &ProbabilityOptions,
) -> Result<Likelihood, EngineError> {
    let rows = given.rows.max(1) as f64;
    let cells = given.cells(model, Cell::Masked);
    let all = model.likelihood(asked)?.run(&model.loaded, &cells)?;
    let one_order = ProbabilityOptions {
        orders: 1,
        ..asked.clone()
    };
    let alone = model.likelihood(&one_order)?;
    let width = model.columns.len();
    let mut columns = Vec::with_capacity(width);
    for (at, column) in model.columns.iter().enumerate() {
        if given.arrays[at].is_none() {
            continue;
        }
        let known = (0..given.rows).filter(|row| given.is_observed(column, at, *row));
        columns.push(ColumnLikelihood {
            column: column.name.clone(),
            model: all.columns.iter().skip(at).step_by(width).sum::<f64>() / rows,
            baseline: alone_in_rows(model, &alone, &cells, (column, known))? / rows,
        });
    }
    Ok(Likelihood {
        rows: all.rows.iter().sum::<f64>() / rows,
        columns,
    })
}

/// Sum of the log-likelihoods of the values of one column by themselves. Each value is scored once: a fixed-order model has to sum
/// over all columns before it.
fn alone_in_rows(
    model: &InferenceModel,
    query: &LogProbQuery,
    cells: &Cells,
    (column, known): (&Column, impl Iterator<Item = usize>),
) -> Result<f64, EngineError> {
    let mut counts: BTreeMap<Vec<u32>, f64> = BTreeMap::new();
    for row in known {
        let words = column.sub_columns.clone().map(|s| cells.get(row, s).to_bits());
        *counts.entry(words.collect()).or_default() += 1.0;
    }
    let mut only = Cells::masked(counts.len(), model.loaded.sub_columns());
    for (row, words) in counts.keys().enumerate() {
        let cells = column.sub_columns.clone().zip(words);
        cells.for_each(|(s, word)| only.set(row, s, Cell::from_bits(*word)));
    }
    let found = query.run(&model.loaded, &only)?.rows;
    Ok(found
        .iter()
        .zip(counts.values())
        .map(|(log, count)| log * count)
        .sum())
}
