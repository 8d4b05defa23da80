//! Statistical parity: whose it is, and the estimate of the transform that makes it.

use std::sync::Arc;

use super::GenerateError;
use super::cells::Cells;
use super::loaded::LoadedModel;
use super::plan::DrawSite;
use crate::encode::{CategoricalStats, TableStats};
use crate::ir::ops::sampling::{Cell, Parity, Quantiles, RequestedOutputs, SamplingRules, interpolate};

/// Rows that are drawn of the whole model, and of each group.
const ROWS: usize = 15_000;
const ROWS_OF_GROUP: usize = 5_000;
/// Most draws of the whole model, and rows of a group among them that are enough. What is observed of a group's rows when the target is drawn
/// is what generation observes then; a smaller group is drawn given its codes, which the order of the columns makes a little different.
const MAX_DRAWS: usize = 8;
const ENOUGH: usize = 1_000;
/// Most rounds in which the shares of a group are brought closer to those of all rows, and the distance that is close enough.
const ROUNDS: usize = 6;
const CLOSE: f64 = 1e-3;
/// Halvings of the interval of a factor's logarithm, and its largest absolute value.
const BISECTIONS: usize = 28;
const MAX_LOG_FACTOR: f64 = 23.0;
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
            let Some(values) = categorical[column].get::<CategoricalStats>() else {
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

    /// What mostlyai-engine draws for its estimate: rows, and the codes that they are given; first of the whole model, then of each group.
    pub fn samples(&self) -> Vec<(usize, Option<&[u32]>)> {
        let of_groups = self.groups.iter().map(|g| (ROWS_OF_GROUP, Some(&g[..])));
        [(ROWS, None)].into_iter().chain(of_groups).collect()
    }
}

/// Estimates the transform: draws rows of the whole model, and of groups that are rare among them, in `order`, under the rules of the generation, and
/// compares how the probabilities of the target are distributed; then brings the shares of its codes in each group close to those of all
/// rows.
///
/// # Errors
/// [`GenerateError::ColumnOrder`] when the model has one order only and this is another; otherwise the device fails.
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
    let requested = RequestedOutputs {
        probs: vec![target],
        ..RequestedOutputs::default()
    };
    let plan = model.plan(&order, rules.clone(), requested)?;
    let mut site = DrawSite {
        seed,
        first_row: FIRST_ROW,
    };
    let (width, cardinality) = (model.sub_columns(), model.cardinality(target));
    let (mut all, mut by_group) = (Vec::new(), vec![Vec::new(); fairness.groups.len()]);
    for _ in 0..MAX_DRAWS {
        let drawn = model.run(&plan, &Cells::sampled(ROWS, width), site)?;
        site.first_row += ROWS as u64;
        let rows = drawn
            .codes
            .chunks_exact(width)
            .zip(drawn.probs.chunks_exact(cardinality));
        for (codes, probs) in rows {
            let is_of = |group: &Vec<u32>| sensitive.iter().zip(group).all(|(s, code)| codes[*s] == *code);
            if let Some(group) = fairness.groups.iter().position(is_of) {
                by_group[group].extend_from_slice(probs);
            }
        }
        all.extend(drawn.probs);
        if by_group
            .iter()
            .all(|probs| probs.len() >= ROWS_OF_GROUP * cardinality)
        {
            break;
        }
    }
    for (probs, codes) in by_group.iter_mut().zip(&fairness.groups) {
        if probs.len() >= ENOUGH * cardinality {
            continue;
        }
        let mut cells = Cells::sampled(ROWS_OF_GROUP, width);
        for row in 0..ROWS_OF_GROUP {
            for (s, code) in sensitive.iter().zip(codes) {
                cells.set(row, *s, Cell::Observed(*code));
            }
        }
        *probs = model.run(&plan, &cells, site)?.probs;
        site.first_row += ROWS_OF_GROUP as u64;
    }
    let groups = fairness.groups.clone();
    let mut parity = Parity {
        marginal: Quantiles::of_codes(&all, cardinality),
        by_group: by_group
            .iter()
            .map(|probs| Quantiles::of_codes(probs, cardinality))
            .collect(),
        target,
        sensitive,
        groups,
    };
    let shares = means(all.chunks_exact(cardinality), cardinality);
    for (group, probs) in by_group.iter().enumerate() {
        match_shares(&mut parity, group, probs, &shares);
    }
    Ok(Arc::new(parity))
}

/// Changes the knots of a group until its rows, of which `probs` are the probabilities, have the target's codes in these shares.
///
/// Matching quantiles alone misses them where most rows of a group have much the same probability, as with a target that nearly
/// follows from the groups: a step has no quantiles to match. There each code's knots are scaled until its mean is right; as the
/// probabilities of a row are normalised afterwards, that is repeated for goals that make up for it.
fn match_shares(parity: &mut Parity, group: usize, probs: &[f32], shares: &[f64]) {
    let plain = parity.by_group[group].clone();
    let (mut goals, mut best) = (shares.to_vec(), (f64::INFINITY, plain.clone()));
    for round in 0..ROUNDS {
        let reached = reached(parity, group, probs);
        let far = reached.iter().zip(shares).map(|(r, s)| (r - s).abs());
        let gap = far.fold(0.0, f64::max);
        if gap < best.0 {
            best = (gap, parity.by_group[group].clone());
        }
        if gap < CLOSE {
            break;
        }
        if round > 0 {
            for ((goal, share), reached) in goals
                .iter_mut()
                .zip(shares)
                .zip(reached)
                .filter(|(_, r)| *r > 0.0)
            {
                *goal = (*goal * share / reached).clamp(0.0, 1.0);
            }
        }
        let scaled = |(code, goal): (usize, &f64)| {
            let of_code = probs.iter().skip(code).step_by(shares.len());
            let of_code: Vec<f64> = of_code.map(|p| f64::from(*p)).collect();
            scaled_to_mean(&plain[code], &parity.marginal[code], &of_code, *goal)
        };
        parity.by_group[group] = goals.iter().enumerate().map(scaled).collect();
    }
    parity.by_group[group] = best.1;
}

/// Mean probability of each code in a group, after the transform.
fn reached(parity: &Parity, group: usize, probs: &[f32]) -> Vec<f64> {
    let (codes, cardinality) = (&parity.groups[group], parity.marginal.len());
    let changed = probs.chunks_exact(cardinality).map(|row| {
        let mut row = row.to_vec();
        parity.apply(&mut row, |s| {
            codes[parity.sensitive.iter().position(|other| *other == s).unwrap_or(0)]
        });
        row
    });
    means(changed, cardinality)
}

/// Quantiles, scaled so that these probabilities have the mean `goal` before they are normalised; by bisection of the factor's logarithm.
fn scaled_to_mean(from: &Quantiles, to: &Quantiles, probs: &[f64], goal: f64) -> Quantiles {
    let mean = |factor: f64| {
        let scaled = from.scaled(to, factor);
        let made = probs
            .iter()
            .map(|p| interpolate(*p, scaled.values(), to.values()).max(0.0));
        made.sum::<f64>() / probs.len().max(1) as f64
    };
    let (mut low, mut high) = (-MAX_LOG_FACTOR, MAX_LOG_FACTOR);
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        let end = if mean(middle.exp()) < goal {
            &mut low
        } else {
            &mut high
        };
        *end = middle;
    }
    from.scaled(to, high.exp())
}

/// Mean probability of each code.
fn means(rows: impl Iterator<Item = impl AsRef<[f32]>>, cardinality: usize) -> Vec<f64> {
    let (mut sums, mut count) = (vec![0.0; cardinality], 0.0f64);
    for row in rows {
        sums.iter_mut()
            .zip(row.as_ref())
            .for_each(|(sum, p)| *sum += f64::from(*p));
        count += 1.0;
    }
    sums.iter_mut().for_each(|sum| *sum /= count.max(1.0));
    sums
}
