//! Probabilities of the values of columns.

use std::collections::BTreeMap;

use arrow_array::{RecordBatch, StringArray};
use engine_core::encode::{BinOffsets, RareReplacement, decode};
use engine_core::generate::{Level, SparseDistribution, levels};
use engine_core::ir::ops::sampling::Cell;
use engine_core::schema::{CodeColumn, CodeTable};

use super::InferenceError;
use super::conditioning::{ConditioningRows, TableOrigin, check_names};
use super::decoded::{texts, written};
use super::model::InferenceModel;
use super::proba_table::{ProbaTable, Target};
use crate::EngineError;
use crate::data::{DataError, WrittenForm, from_texts, written_values};

/// Probabilities that are worked out at once.
const CHUNK_NUMBERS: usize = 1 << 22;
/// Most values of a target of several sub-columns that get a column of their own.
const MAX_VALUES: usize = 1_000;

/// How probabilities are computed.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbaOptions {
    /// Column orders whose results are averaged, at least 1. Fixed-order models have one only.
    pub orders: usize,
    /// Seed of the orders, and of draws where a fixed-order model needs them.
    pub seed: u64,
    /// What becomes of the mass of rare categories: with `Sample` it goes to the others.
    pub rare: RareReplacement,
    /// Whether columns and values that do not fit are ignored with a warning rather than refused.
    pub lenient: bool,
}

impl Default for ProbaOptions {
    fn default() -> Self {
        Self {
            orders: 1,
            seed: 0,
            rare: RareReplacement::default(),
            lenient: false,
        }
    }
}

/// Looks up targets by name: at least one, each once.
pub(crate) fn places(model: &InferenceModel, targets: &[&str]) -> Result<Vec<usize>, EngineError> {
    if targets.is_empty() {
        return Err(InferenceError::NoTarget.into());
    }
    let mut places: Vec<usize> = Vec::with_capacity(targets.len());
    for name in targets {
        let at = model.place(name)?;
        if places.contains(&at) {
            let column = (*name).to_owned();
            return Err(InferenceError::TargetTwice { column }.into());
        }
        places.push(at);
    }
    Ok(places)
}

/// What is observed of rows beside the targets, which are ignored with a warning.
pub(crate) fn features(
    model: &InferenceModel,
    batch: &RecordBatch,
    origin: TableOrigin<'_>,
    targets: &[usize],
) -> Result<ConditioningRows, EngineError> {
    let schema = batch.schema();
    if origin.first_row == 0 {
        check_names(model, schema.fields().iter().map(|f| f.name().as_str()), origin)?;
        for target in targets.iter().map(|t| &model.columns[*t].name) {
            if schema.column_with_name(target).is_some() {
                tracing::warn!(
                    column = target,
                    "the target is in the table too and is ignored there"
                );
            }
        }
    }
    ConditioningRows::of(model, batch, origin, targets)
}

/// Probabilities of `targets` in each row, given all other columns of the batch.
pub(crate) fn proba(
    model: &InferenceModel,
    batch: &RecordBatch,
    origin: TableOrigin<'_>,
    targets: &[&str],
    options: &ProbaOptions,
) -> Result<ProbaTable, EngineError> {
    let places = places(model, targets)?;
    let given = features(model, batch, origin, &places)?;
    let mut levels_by_target = Vec::with_capacity(places.len());
    for (place, name) in places.iter().zip(targets) {
        match model.values(*place).and_then(levels) {
            Some(levels) => levels_by_target.push(levels),
            None if places.len() == 1 => return values(model, &given, *place, options),
            None => {
                return Err(InferenceError::Target {
                    column: (*name).to_owned(),
                    reason: "has a code for each of its parts (digits, parts of a date) and cannot be one of several targets; \
                             request it alone",
                }
                .into());
            }
        }
    }
    let asked = model.probability(options.orders, options.seed, options.rare);
    let query = model.joint(&places, &asked)?;
    let mut table = ProbaTable {
        targets: Vec::new(),
        rows: given.rows,
        probs: Vec::new(),
        standard_errors: None,
    };
    let cells = given.cells(model, Cell::Masked);
    let chunk = (CHUNK_NUMBERS / query.combinations().max(1)).max(1);
    for first in (0..given.rows).step_by(chunk) {
        let rows = chunk.min(given.rows - first);
        let joint = query.run(&model.loaded, &cells.slice(first..first + rows))?;
        let picks = picks(&levels_by_target, &joint.cardinalities);
        let width = joint.cardinalities.iter().product::<usize>();
        let pick = |from: &[f64], to: &mut Vec<f64>| {
            for row in from.chunks_exact(width) {
                to.extend(picks.iter().map(|at| row[*at]));
            }
        };
        pick(&joint.probs, &mut table.probs);
        if joint.standard_errors.is_some() || table.standard_errors.is_some() {
            let errors = table.standard_errors.get_or_insert_with(Vec::new);
            errors.resize(first * picks.len(), 0.0);
            match &joint.standard_errors {
                Some(of_chunk) => pick(of_chunk, errors),
                None => errors.resize(table.probs.len(), 0.0),
            }
        }
    }
    table.targets = levels_by_target
        .into_iter()
        .zip(targets)
        .map(|(levels, name)| {
            let levels = levels.into_iter().map(|(_, level)| level).collect();
            Ok(Target {
                name: (*name).to_owned(),
                levels: written_levels(model, name, levels)?,
            })
        })
        .collect::<Result<_, EngineError>>()?;
    Ok(table)
}

/// Where the combinations of levels stand among those of codes.
fn picks(levels_by_target: &[Vec<(u32, Level)>], cardinalities: &[usize]) -> Vec<usize> {
    let mut picks = vec![0];
    for (levels, cardinality) in levels_by_target.iter().zip(cardinalities) {
        let mut longer = Vec::with_capacity(picks.len() * levels.len());
        for at in picks {
            longer.extend(levels.iter().map(|(code, _)| at * cardinality + *code as usize));
        }
        picks = longer;
    }
    picks
}

/// Probabilities of the values of a column of several sub-columns: of those that some row may have, the most probable ones in all
/// rows together; the first level is all other values.
fn values(
    model: &InferenceModel,
    given: &ConditioningRows,
    place: usize,
    options: &ProbaOptions,
) -> Result<ProbaTable, EngineError> {
    let asked = model.probability(options.orders, options.seed, options.rare);
    let query = model.distribution(place, &asked)?;
    let rows = query.run(&model.loaded, &given.cells(model, Cell::Masked))?;
    let mut by_row: Vec<BTreeMap<Option<String>, f64>> = Vec::with_capacity(rows.len());
    let mut totals: BTreeMap<Option<String>, f64> = BTreeMap::new();
    for atoms in &rows {
        let mut of_row = BTreeMap::new();
        for (text, p) in value_texts(model, place, atoms)?.into_iter().zip(&atoms.probs) {
            *totals.entry(text.clone()).or_insert(0.0) += p;
            *of_row.entry(text).or_insert(0.0) += p;
        }
        by_row.push(of_row);
    }
    let mut kept: Vec<(Option<String>, f64)> = totals.into_iter().collect();
    // Stable: values of equal mass stay in the order of their texts.
    kept.sort_by(|a, b| b.1.total_cmp(&a.1));
    kept.truncate(MAX_VALUES);
    let mut kept: Vec<Option<String>> = kept.into_iter().map(|(text, _)| text).collect();
    kept.sort_by(|a, b| {
        order_of(a.as_ref())
            .total_cmp(&order_of(b.as_ref()))
            .then(a.cmp(b))
    });
    let mut probs = Vec::with_capacity(rows.len() * (kept.len() + 1));
    for of_row in &by_row {
        let known: Vec<f64> = kept
            .iter()
            .map(|text| of_row.get(text).copied().unwrap_or(0.0))
            .collect();
        probs.push((1.0 - known.iter().sum::<f64>()).max(0.0));
        probs.extend(known);
    }
    let values = kept
        .into_iter()
        .map(|text| text.map_or(Level::Null, Level::Value));
    let name = &model.columns[place].name;
    let levels = [Level::Rare].into_iter().chain(values).collect();
    Ok(ProbaTable {
        targets: vec![Target {
            name: name.clone(),
            levels: written_levels(model, name, levels)?,
        }],
        rows: rows.len(),
        probs,
        standard_errors: None,
    })
}

/// The values among the levels of a column in the form that the model's table writes them in.
fn written_levels(model: &InferenceModel, name: &str, levels: Vec<Level>) -> Result<Vec<Level>, EngineError> {
    let column = written(model, name);
    if column.written == WrittenForm::Plain || column.data_type.is_string() {
        return Ok(levels);
    }
    let text = |level: &Level| match level {
        Level::Value(text) => Some(text.clone()),
        _ => None,
    };
    let texts: StringArray = levels.iter().map(text).collect();
    let values = from_texts(&texts, &column.data_type).map_err(|source| DataError::Convert {
        column: name.to_owned(),
        data_type: column.data_type.to_string(),
        source,
    })?;
    let texts = written_values(&values, &column)?;
    let shown = levels.into_iter().zip(texts);
    Ok(shown
        .map(|(level, text)| match (level, text) {
            (Level::Value(_), Some(text)) => Level::Value(text),
            (level, _) => level,
        })
        .collect())
}

/// Numbers by their size, all else by text.
fn order_of(text: Option<&String>) -> f64 {
    text.map_or(f64::NEG_INFINITY, |t| t.parse().unwrap_or(0.0))
}

fn value_texts(
    model: &InferenceModel,
    place: usize,
    atoms: &SparseDistribution,
) -> Result<Vec<Option<String>>, EngineError> {
    let column = &model.columns[place];
    let width = column.sub_columns.len().max(1);
    let rows = atoms.probs.len();
    let code = |s: usize| match column.sub_columns.contains(&s) {
        true => CodeColumn::from_codes(
            model.loaded.cardinality(s),
            atoms
                .codes
                .iter()
                .skip(s - column.sub_columns.start)
                .step_by(width)
                .copied(),
        ),
        false => CodeColumn::zeros(model.loaded.cardinality(s), rows),
    };
    let codes = CodeTable::new((0..model.loaded.sub_columns()).map(code).collect(), rows);
    let codes = codes.ok_or(engine_core::generate::GenerateError::Targets)?;
    let decoded = decode(&codes, &model.stats, BinOffsets::Constant(0.5))?;
    texts(model, decoded, &column.name)
}
