//! Statistical parity: whose it is, and the estimate of the transform that makes it.

use std::sync::Arc;

use super::GenerateError;
use super::cells::Cells;
use super::loaded::LoadedModel;
use super::plan::DrawSite;
use crate::encode::{EncodingStats, TableStats};
use crate::ir::ops::sampling::{Cell, Knots, Parity, Reports, SamplingRules};

/// Rows that are drawn of the whole model, and of each group.
const ROWS: usize = 15_000;
const ROWS_OF_GROUP: usize = 5_000;
/// Number of the first row that is drawn for the estimate, far from those of results.
const FIRST_ROW: u64 = 1 << 60;

/// A request for statistical parity: the target is to be distributed alike in all groups of the sensitive columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fairness {
    /// The target, a column of the model.
    pub target: usize,
    /// The sensitive columns.
    pub sensitive: Vec<usize>,
    /// Codes of the sensitive columns of each group, ascending.
    pub groups: Vec<Vec<u32>>,
}

impl Fairness {
    /// Looks up the columns by their names. The groups are all combinations of the codes of the sensitive columns, without those of
    /// rare categories where there are none.
    ///
    /// # Errors
    /// [`GenerateError::Fairness`] when no sensitive column is named, a column does not exist or is not categorical, the target is
    /// sensitive itself, or a column is named twice.
    pub fn new(stats: &TableStats, target: &str, sensitive: &[&str]) -> Result<Self, GenerateError> {
        let fail = |column: &str, reason| {
            Err(GenerateError::Fairness {
                column: column.to_owned(),
                reason,
            })
        };
        if sensitive.is_empty() {
            return fail(target, "has no sensitive columns beside it; name at least one");
        }
        if sensitive.contains(&target) {
            return fail(
                target,
                "is the target and sensitive at once; leave it out of the sensitive ones",
            );
        }
        let columns = stats.model_columns();
        let categorical: Vec<_> = stats.modelled().map(|(_, _, values, _)| values).collect();
        let mut found = Vec::with_capacity(sensitive.len() + 1);
        for name in sensitive.iter().chain([&target]) {
            let Some(column) = columns.iter().position(|c| c.name == *name) else {
                return fail(name, "is no column of the model; check its spelling");
            };
            let EncodingStats::Categorical(values) = categorical[column] else {
                return fail(
                    name,
                    "is not categorical; only categorical columns can be balanced",
                );
            };
            if found.iter().any(|(other, _)| *other == column) {
                return fail(name, "is named twice");
            }
            found.push((column, values));
        }
        let target = found.pop().map_or(0, |(column, _)| column);
        let mut groups = vec![Vec::new()];
        for (_, values) in &found {
            let first = u32::from(values.no_of_rare_categories == 0);
            let codes = first..values.codes.len() as u32;
            let with = |group: &Vec<u32>, code| group.iter().copied().chain([code]).collect::<Vec<_>>();
            groups = groups
                .iter()
                .flat_map(|group| codes.clone().map(move |code| with(group, code)))
                .collect();
        }
        Ok(Self {
            target,
            sensitive: found.into_iter().map(|(column, _)| column).collect(),
            groups,
        })
    }

    /// What the estimate draws: rows, and the codes that they are given; first of the whole model, then of each group.
    pub fn samples(&self) -> Vec<(usize, Option<&[u32]>)> {
        let of_groups = self.groups.iter().map(|g| (ROWS_OF_GROUP, Some(&g[..])));
        [(ROWS, None)].into_iter().chain(of_groups).collect()
    }
}

/// Estimates the transform: draws rows of the whole model and of each group in `order`, under the rules of the generation, and
/// compares how the probabilities of the target are distributed.
///
/// # Errors
/// [`GenerateError::ColumnOrder`] when the model knows one order only and this is another; otherwise the device fails.
pub fn estimate_parity(
    model: &LoadedModel,
    fairness: &Fairness,
    order: &[usize],
    rules: &SamplingRules,
    seed: u64,
) -> Result<Arc<Parity>, GenerateError> {
    let of_column = |c: usize| model.columns()[c].start;
    let target = of_column(fairness.target);
    let sensitive: Vec<usize> = fairness.sensitive.iter().map(|c| of_column(*c)).collect();
    // Nothing after the target bears on it.
    let asked: Vec<usize> = order
        .iter()
        .copied()
        .take_while(|c| *c != fairness.target)
        .collect();
    let order: Vec<usize> = asked.into_iter().chain([fairness.target]).collect();
    let reports = Reports {
        probs: vec![target],
        ..Reports::default()
    };
    let plan = model.plan(&order, rules.clone(), reports)?;
    let mut site = DrawSite {
        seed,
        first_row: FIRST_ROW,
    };
    let mut samples = Vec::new();
    for (rows, group) in fairness.samples() {
        let drawn = match group {
            None => model.run_free(&plan, rows, site)?,
            Some(codes) => {
                let mut cells = Cells::drawn(rows, model.sub_columns());
                for row in 0..rows {
                    for (s, code) in sensitive.iter().zip(codes) {
                        cells.set(row, *s, Cell::Known(*code));
                    }
                }
                model.run(&plan, &cells, site)?
            }
        };
        site.first_row += rows as u64;
        samples.push(drawn.probs);
    }
    let by_group = samples.split_off(1);
    let groups = fairness.groups.clone();
    let cardinality = model.cardinality(target);
    Ok(Arc::new(Parity {
        marginal: Knots::of_codes(&samples[0], cardinality),
        by_group: by_group
            .iter()
            .map(|probs| Knots::of_codes(probs, cardinality))
            .collect(),
        target,
        sensitive,
        groups,
    }))
}
