//! Sampling with conditions: seed data, imputation, rebalancing and fairness as one plan.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::is_null;
use arrow::compute::kernels::zip::zip;
use engine_core::encode::CategoricalStats;
use engine_core::generate::{
    Cells, DrawSite, ExactShares, Fairness, GenerateError, GenerateOptions, OrderRequest, Plan,
    estimate_parity, imputed_codes, merge_rules, rare_codes, rebalanced_codes,
};
use engine_core::ir::ops::sampling::{Cell, FixedProbability, Reports};
use engine_core::schema::CodeTable;
use engine_core::schema::names::unescaped;

use crate::EngineError;
use crate::data::{DataError, Role, list_names, shorten};
use crate::options::{Parity, Rebalance, SampleOptions};
use crate::questions::{Answers, Given, Origin, QuestionError, check_names, fitted, fixed_order};

/// How messages call conditions.
const SEED_DATA: &str = "the seed data";

/// Fixed probabilities by sub-column.
type Fixed = Vec<Vec<FixedProbability>>;

/// A draw that is more than free rows.
#[derive(Debug)]
pub(super) struct Planned {
    answers: Arc<Answers>,
    plan: Plan,
    seed: u64,
    given: Option<Given>,
    imputed: Vec<bool>,
    /// Sub-columns whose codes are dealt.
    dealt: Vec<(usize, ExactShares)>,
}

/// Values of conditions, which come out as they are.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    columns: Vec<(String, ArrayRef, bool)>,
}

impl Planned {
    /// Plans a draw of `rows` rows.
    pub(super) fn new(
        answers: Arc<Answers>,
        options: &SampleOptions,
        (seed, rows): (u64, u64),
    ) -> Result<Self, EngineError> {
        let origin = Origin {
            table: SEED_DATA,
            first_row: 0,
            lenient: options.lenient,
        };
        let given = match &options.conditions {
            Some(batch) => Some(conditions(&answers, batch, origin)?),
            None => None,
        };
        let imputed = imputed(&answers, options)?;
        let mut rebalanced = Vec::new();
        for asked in &options.rebalance {
            let rule = rebalanced_column(&answers, asked, options.lenient)?;
            rebalanced.extend(rule.map(|(place, rule)| (place, rule, asked.exact)));
        }
        let fairness = options
            .fairness
            .as_ref()
            .map(|f| parity(&answers, f))
            .transpose()?;
        let order = order(
            &answers,
            options,
            &imputed,
            (
                rebalanced.iter().map(|(place, ..)| *place).collect(),
                fairness.as_ref(),
            ),
        )?;
        let names = answers
            .columns
            .iter()
            .zip(&imputed)
            .filter(|(_, imputed)| **imputed);
        let names: Vec<&str> = names.map(|(c, _)| c.name.as_str()).collect();
        let mut fixed = vec![
            rare_codes(&answers.stats, options.rare),
            imputed_codes(&answers.stats, &names),
        ];
        let mut dealt = Vec::new();
        for (place, mut rule, exact) in rebalanced {
            let sub = answers.columns[place].sub_columns.start;
            if exact {
                let codes = (sub, answers.loaded.cardinality(sub));
                dealt.push((sub, ExactShares::new(&rule[sub], codes, rows, seed)));
                rule[sub] = ExactShares::rest(&rule[sub]);
            }
            fixed.push(rule);
        }
        let generate = GenerateOptions {
            temperature: options.temperature,
            top_p: options.top_p,
            fixed: merge_rules(&fixed),
            ..GenerateOptions::new(seed)
        };
        let mut rules = generate.rules()?;
        if let Some(fairness) = fairness {
            rules.parity = Some(estimate_parity(&answers.loaded, &fairness, &order, &rules, seed)?);
        }
        Ok(Self {
            plan: answers.loaded.plan(&order, rules, Reports::default())?,
            answers,
            seed,
            given,
            imputed,
            dealt,
        })
    }

    /// Draws rows `first_row ..`.
    pub(super) fn batch(&self, first_row: u64, rows: usize) -> Result<CodeTable, GenerateError> {
        let loaded = &self.answers.loaded;
        let site = DrawSite {
            seed: self.seed,
            first_row,
        };
        if self.given.is_none() && self.dealt.is_empty() {
            let drawn = loaded.run_free(&self.plan, rows, site)?;
            return loaded.table(&drawn.codes, rows);
        }
        let mut cells = Cells::drawn(rows, loaded.sub_columns());
        for (sub, shares) in &self.dealt {
            for row in 0..rows {
                if let Some(code) = shares.code(first_row + row as u64) {
                    cells.set(row, *sub, Cell::Known(code));
                }
            }
        }
        if let Some(given) = &self.given {
            given.know(&self.answers, &mut cells, first_row as usize, &self.imputed);
            self.hide_unknown(given, &mut cells, first_row as usize);
        }
        let drawn = loaded.run(&self.plan, &cells, site)?;
        loaded.table(&drawn.codes, rows)
    }

    /// Nulls of columns that had none in training are seen by nobody: their cells are neither known nor drawn.
    fn hide_unknown(&self, given: &Given, cells: &mut Cells, first_row: usize) {
        if !self.answers.loaded.flexible() {
            return;
        }
        for (at, column) in self.answers.columns.iter().enumerate() {
            if given.arrays[at].is_none() || self.imputed[at] || column.knows_null {
                continue;
            }
            for row in (0..cells.rows()).filter(|row| !given.is_known(column, at, first_row + row)) {
                column
                    .sub_columns
                    .clone()
                    .for_each(|s| cells.set(row, s, Cell::Hidden));
            }
        }
    }
}

impl Overlay {
    /// Takes the conditions in the types of the output.
    pub(super) fn new(answers: &Answers, options: &SampleOptions) -> Result<Self, EngineError> {
        let Some(batch) = &options.conditions else {
            return Ok(Self::default());
        };
        let origin = Origin {
            table: SEED_DATA,
            first_row: 0,
            lenient: options.lenient,
        };
        let mut columns = Vec::new();
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let Some(column) = answers
                .format
                .column(field.name())
                .filter(|c| c.role != Role::Excluded)
            else {
                continue;
            };
            if let Some(array) = fitted(array, &column.name, &column.data_type, origin)? {
                columns.push((column.name.clone(), array, options.impute.contains(&column.name)));
            }
        }
        Ok(Self { columns })
    }

    /// Puts the conditions of rows `first_row ..` in place of what was drawn.
    pub(super) fn lay(&self, batch: RecordBatch, first_row: usize) -> Result<RecordBatch, EngineError> {
        let mut arrays = batch.columns().to_vec();
        for (name, given, imputed) in &self.columns {
            let Ok(at) = batch.schema_ref().index_of(name) else {
                continue;
            };
            let convert = |source| DataError::Convert {
                column: name.clone(),
                data_type: "a column of seed data and draws".to_owned(),
                source,
            };
            let given = given.slice(first_row, batch.num_rows());
            arrays[at] = match imputed {
                true => {
                    let missing = is_null(&given).map_err(convert)?;
                    zip(&missing, &arrays[at], &given).map_err(convert)?
                }
                false => given,
            };
        }
        let schema = batch.schema();
        let convert = |source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "the schema of the table".to_owned(),
            source,
        };
        Ok(RecordBatch::try_new(schema, arrays).map_err(convert)?)
    }
}

fn conditions(answers: &Answers, batch: &RecordBatch, origin: Origin<'_>) -> Result<Given, EngineError> {
    let schema = batch.schema();
    check_names(answers, schema.fields().iter().map(|f| f.name().as_str()), origin)?;
    Given::of(answers, batch, origin, &[])
}

fn imputed(answers: &Answers, options: &SampleOptions) -> Result<Vec<bool>, EngineError> {
    let mut marks = vec![false; answers.columns.len()];
    for name in &options.impute {
        match answers.place(name) {
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

/// A column that is rebalanced, and the rule for it; `None` when a lenient call asks for what cannot be.
fn rebalanced_column(
    answers: &Answers,
    rebalance: &Rebalance,
    lenient: bool,
) -> Result<Option<(usize, Fixed)>, EngineError> {
    let place = match answers.place(&rebalance.column) {
        Ok(place) => place,
        Err(_) if lenient => {
            tracing::warn!(column = rebalance.column, "an unknown column is not rebalanced");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let Some(values) = answers
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
        return Err(QuestionError::Rebalance {
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
        let is_boolean = answers.columns[place].data_type == arrow::datatypes::DataType::Boolean;
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
                return Err(QuestionError::RebalanceValue {
                    column: rebalance.column.clone(),
                    value: shorten(value.as_bytes()),
                    known: list_names(known.into_iter()),
                }
                .into());
            }
        }
    }
    let rule = rebalanced_codes(&answers.stats, &rebalance.column, &shares);
    Ok(Some((place, rule)))
}

fn parity(answers: &Answers, asked: &Parity) -> Result<Fairness, EngineError> {
    let sensitive: Vec<&str> = asked.sensitive.iter().map(String::as_str).collect();
    let mut fairness = Fairness::new(&answers.stats, &asked.target, &sensitive)?;
    // Columns without sub-columns count for statistics, but not for the model.
    fairness.target = answers.place(&asked.target)?;
    fairness.sensitive = sensitive
        .into_iter()
        .map(|s| answers.place(s))
        .collect::<Result<_, _>>()?;
    Ok(fairness)
}

/// The order of the columns; a model of one order refuses what needs another.
fn order(
    answers: &Answers,
    options: &SampleOptions,
    imputed: &[bool],
    (mut rebalanced, fairness): (Vec<usize>, Option<&Fairness>),
) -> Result<Vec<usize>, EngineError> {
    let place = |name: &str| answers.columns.iter().position(|c| c.name == name);
    let names = options
        .conditions
        .iter()
        .flat_map(|b| b.schema_ref().fields().iter());
    let mut known: Vec<usize> = names
        .filter_map(|f| place(f.name()))
        .filter(|c| !imputed[*c])
        .collect();
    let flexible = answers.loaded.flexible();
    if !flexible {
        known.sort_unstable();
        rebalanced.sort_unstable();
    }
    let rebalances = !rebalanced.is_empty();
    let request = OrderRequest {
        known,
        rebalanced,
        imputed: options.impute.iter().filter_map(|name| place(name)).collect(),
        // A model of any order draws sensitive columns where they stand, before the target in any case: all columns but the target then
        // keep the draws that they have without fairness. A model of one order can only be asked for groups that come first.
        sensitive: fairness.map_or_else(
            Vec::new,
            |f| if flexible { Vec::new() } else { f.sensitive.clone() },
        ),
        target: fairness.map(|f| f.target),
    };
    let order = request.order(answers.columns.len());
    if flexible || order.is_sorted() {
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
