//! One draw of many rows: seed data, imputation, rebalancing and fairness as one plan. Rows without observed cells are a plan too.

use std::sync::Arc;

use arrow_array::RecordBatch;
use engine_core::encode::CategoricalStats;
use engine_core::generate::{
    Cells, DrawSite, ExactQuotas, Fairness, GenerateError, GenerationOrder, OrderRequest, SamplePlan,
    estimate_parity, imputed_codes, merge_rules, rare_codes, rebalanced_codes, sampling_rules,
};
use engine_core::ir::ops::sampling::{Cell, FixedProbability, RequestedOutputs};
use engine_core::schema::CodeTable;
use engine_core::schema::names::unescaped;

use super::options::{ColumnOrder, Parity, Rebalance, SampleOptions};
use crate::EngineError;
use crate::data::{DataError, list_names, shorten};
use crate::inference::conditioning::{ConditioningRows, TableOrigin, check_names};
use crate::inference::model::InferenceModel;
use crate::inference::{InferenceError, fixed_order};

/// How messages call the seed data.
pub(super) const SEED_DATA: &str = "the seed data";

/// Fixed probabilities by sub-column.
type Fixed = Vec<Vec<FixedProbability>>;

/// Draws any rows of a result, each by itself.
#[derive(Debug)]
pub(super) struct RowSampler {
    model: Arc<InferenceModel>,
    plan: SamplePlan,
    seed: u64,
    given: Option<ConditioningRows>,
    imputed: Vec<bool>,
    /// Sub-columns whose codes are assigned.
    assigned: Vec<(usize, ExactQuotas)>,
}

impl RowSampler {
    /// Plans a draw of `rows` rows.
    pub(super) fn new(
        model: Arc<InferenceModel>,
        options: &SampleOptions,
        (seed, rows): (u64, u64),
    ) -> Result<Self, EngineError> {
        let origin = TableOrigin {
            table: SEED_DATA,
            first_row: 0,
            lenient: options.lenient,
            unknown: None,
        };
        let given = match &options.seed_data {
            Some(batch) => Some(conditioning_rows(&model, batch, origin)?),
            None => None,
        };
        let imputed = imputed(&model, options)?;
        let mut rebalanced = Vec::new();
        for asked in &options.rebalance {
            let rule = rebalanced_column(&model, asked, options.lenient)?;
            rebalanced.extend(rule.map(|(place, rule)| (place, rule, asked.exact)));
        }
        let fairness = options.fairness.as_ref().map(|f| parity(&model, f)).transpose()?;
        let order = order(
            &model,
            options,
            &imputed,
            (
                rebalanced.iter().map(|(place, ..)| *place).collect(),
                fairness.as_ref(),
            ),
            seed,
        )?;
        let names = model
            .columns
            .iter()
            .zip(&imputed)
            .filter(|(_, imputed)| **imputed);
        let names: Vec<&str> = names.map(|(c, _)| c.name.as_str()).collect();
        let mut fixed = vec![
            rare_codes(&model.stats, options.rare),
            imputed_codes(&model.stats, &names),
        ];
        let mut assigned = Vec::new();
        for (place, mut rule, exact) in rebalanced {
            let sub = model.columns[place].sub_columns.start;
            if exact {
                let codes = (sub, model.loaded.cardinality(sub));
                assigned.push((sub, ExactQuotas::new(&rule[sub], codes, rows, seed)));
                rule[sub] = ExactQuotas::rest(&rule[sub]);
            }
            fixed.push(rule);
        }
        let mut rules = sampling_rules(options.temperature, options.top_p, merge_rules(&fixed))?;
        if let Some(fairness) = fairness {
            rules.parity = Some(estimate_parity(&model.loaded, &fairness, &order, &rules, seed)?);
        }
        Ok(Self {
            plan: model.loaded.plan(&order, rules, RequestedOutputs::default())?,
            model,
            seed,
            given,
            imputed,
            assigned,
        })
    }

    /// The seed data, if there are any.
    pub(super) fn given(&self) -> Option<&ConditioningRows> {
        self.given.as_ref()
    }

    /// Draws rows `first_row ..`.
    pub(super) fn batch(&self, first_row: u64, rows: usize) -> Result<CodeTable, GenerateError> {
        let loaded = &self.model.loaded;
        let site = DrawSite {
            seed: self.seed,
            first_row,
        };
        let mut cells = Cells::sampled(rows, loaded.sub_columns());
        for (sub, shares) in &self.assigned {
            for row in 0..rows {
                if let Some(code) = shares.code(first_row + row as u64) {
                    cells.set(row, *sub, Cell::Observed(code));
                }
            }
        }
        if let Some(given) = &self.given {
            given.observe(&self.model, &mut cells, first_row as usize, &self.imputed);
            self.mask_unknown(given, &mut cells, first_row as usize);
        }
        loaded.sample(&self.plan, &cells, site)
    }

    /// Nulls of columns that had none in training are ignored: their cells are neither observed nor sampled.
    fn mask_unknown(&self, given: &ConditioningRows, cells: &mut Cells, first_row: usize) {
        if !self.model.loaded.is_any_order() {
            return;
        }
        for (at, column) in self.model.columns.iter().enumerate() {
            if given.arrays[at].is_none() || self.imputed[at] || column.knows_null {
                continue;
            }
            for row in (0..cells.rows()).filter(|row| !given.is_observed(column, at, first_row + row)) {
                column
                    .sub_columns
                    .clone()
                    .for_each(|s| cells.set(row, s, Cell::Masked));
            }
        }
    }
}

fn conditioning_rows(
    model: &InferenceModel,
    batch: &RecordBatch,
    origin: TableOrigin<'_>,
) -> Result<ConditioningRows, EngineError> {
    let schema = batch.schema();
    check_names(model, schema.fields().iter().map(|f| f.name().as_str()), origin)?;
    ConditioningRows::of(model, batch, origin, &[])
}

fn imputed(model: &InferenceModel, options: &SampleOptions) -> Result<Vec<bool>, EngineError> {
    let mut marks = vec![false; model.columns.len()];
    for name in &options.impute {
        match model.place(name) {
            Ok(place) => marks[place] = true,
            Err(error) if !options.lenient => return Err(error),
            Err(_) => tracing::warn!(
                column = name,
                "a column to impute that the model does not have is ignored"
            ),
        }
    }
    Ok(marks)
}

/// A column that is rebalanced, and the rule for it; `None` when a lenient call requests what cannot be.
fn rebalanced_column(
    model: &InferenceModel,
    rebalance: &Rebalance,
    lenient: bool,
) -> Result<Option<(usize, Fixed)>, EngineError> {
    let place = match model.place(&rebalance.column) {
        Ok(place) => place,
        Err(_) if lenient => {
            tracing::warn!(column = rebalance.column, "an unknown column is not rebalanced");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let Some(values) = model
        .values(place)
        .and_then(|values| values.get::<CategoricalStats>())
    else {
        if lenient {
            tracing::warn!(
                column = rebalance.column,
                "a column that is not categorical is not rebalanced"
            );
            return Ok(None);
        }
        return Err(InferenceError::Rebalance {
            column: rebalance.column.clone(),
            reason: "is not categorical; only categorical columns can be rebalanced",
        }
        .into());
    };
    let mut shares = Vec::with_capacity(rebalance.shares.len());
    for (value, share) in &rebalance.shares {
        let is_it = |token: &&String| token.as_str() == value || unescaped(token) == value;
        let of_boolean = |token: &&String| token.eq_ignore_ascii_case(value);
        let tokens = || values.codes.keys();
        let is_boolean = model.columns[place].data_type == arrow_schema::DataType::Boolean;
        let found = tokens()
            .find(is_it)
            .or_else(|| tokens().find(of_boolean).filter(|_| is_boolean));
        match found {
            Some(token) => shares.push((token.as_str(), *share)),
            None if lenient => {
                tracing::warn!(
                    column = rebalance.column,
                    "a value that the model does not know is not rebalanced"
                );
            }
            None => {
                let known: Vec<&str> = values.codes.keys().map(String::as_str).collect();
                return Err(InferenceError::RebalanceValue {
                    column: rebalance.column.clone(),
                    value: shorten(value.as_bytes()),
                    known: list_names(known.into_iter()),
                }
                .into());
            }
        }
    }
    let rule = rebalanced_codes(&model.stats, &rebalance.column, &shares);
    Ok(Some((place, rule)))
}

fn parity(model: &InferenceModel, asked: &Parity) -> Result<Fairness, EngineError> {
    let sensitive: Vec<&str> = asked.sensitive.iter().map(String::as_str).collect();
    let mut fairness = Fairness::new(&model.stats, &asked.target, &sensitive)?;
    // Columns without sub-columns count for statistics, but not for the model.
    fairness.target = model.place(&asked.target)?;
    fairness.sensitive = sensitive
        .into_iter()
        .map(|s| model.place(s))
        .collect::<Result<_, _>>()?;
    Ok(fairness)
}

/// The order of the columns: the requested one, or the one that suits the request; a fixed-order model refuses what needs
/// another.
fn order(
    model: &InferenceModel,
    options: &SampleOptions,
    imputed: &[bool],
    (mut rebalanced, fairness): (Vec<usize>, Option<&Fairness>),
    seed: u64,
) -> Result<Vec<usize>, EngineError> {
    if options.order != ColumnOrder::Model {
        // It excludes all that would need an order of its own.
        return Ok(asked_order(model, &options.order)?.of(&model.loaded, seed)?);
    }
    let place = |name: &str| model.columns.iter().position(|c| c.name == name);
    let names = options
        .seed_data
        .iter()
        .flat_map(|b| b.schema_ref().fields().iter());
    let mut known: Vec<usize> = names
        .filter_map(|f| place(f.name()))
        .filter(|c| !imputed[*c])
        .collect();
    let any_order = model.loaded.is_any_order();
    if !any_order {
        known.sort_unstable();
        rebalanced.sort_unstable();
    }
    let rebalances = !rebalanced.is_empty();
    let request = OrderRequest {
        known,
        rebalanced,
        imputed: options.impute.iter().filter_map(|name| place(name)).collect(),
        // An any-order model draws sensitive columns where they stand, before the target in any case: all columns but the target then
        // keep the draws that they have without fairness. A fixed-order model can only be conditioned on groups that come first.
        sensitive: fairness.map_or_else(Vec::new, |f| {
            if any_order {
                Vec::new()
            } else {
                f.sensitive.clone()
            }
        }),
        target: fairness.map(|f| f.target),
    };
    let order = request.order(model.columns.len());
    if any_order || order.is_sorted() {
        return Ok(order);
    }
    let what = match (rebalances, fairness) {
        (true, _) => "rebalance columns but its first ones",
        (_, Some(_)) => "be fair unless the sensitive columns come first and the target last",
        _ if options.impute.is_empty() => "take seed data but for its first columns",
        _ => "impute columns but for its last ones",
    };
    Err(fixed_order(GenerateError::ColumnOrder, what))
}

fn asked_order(model: &InferenceModel, order: &ColumnOrder) -> Result<GenerationOrder, EngineError> {
    let names = match order {
        ColumnOrder::Model => return Ok(GenerationOrder::Trained),
        ColumnOrder::Random => return Ok(GenerationOrder::Random),
        ColumnOrder::Given(names) => names,
    };
    let columns = model.stats.model_columns();
    // A column of empty texts has no sub-column: there is nothing to draw for it.
    let drawn: Vec<usize> = columns
        .iter()
        .filter(|c| !c.sub_columns.is_empty())
        .map(|c| c.index)
        .collect();
    let place = |name: &String| match columns.iter().find(|c| &c.name == name) {
        Some(column) => Ok(drawn.iter().position(|&index| index == column.index)),
        None => Err(DataError::UnknownColumn {
            table: "the model".to_owned(),
            column: name.clone(),
            known: list_names(columns.iter().map(|c| c.name.as_str())),
        }),
    };
    let places = names.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    Ok(GenerationOrder::Given(places.into_iter().flatten().collect()))
}
