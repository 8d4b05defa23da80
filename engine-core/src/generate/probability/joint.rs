//! Joint probabilities of the codes of some columns, given the observed cells of each row.

use super::super::loaded::LoadedModel;
use super::super::plan::SamplePlan;
use super::super::{Cells, GenerateError};
use super::ProbabilityOptions;
use super::chain::{BeamLimits, ChainRule};
use super::enumerate::{JointSupport, Scorer, draw_uniforms, given_row, log_sum};
use crate::ir::ops::sampling::{Cell, RequestedOutputs, SamplingRules};

/// Rows whose results are computed at once.
pub(super) const ROWS: usize = 4_096;
/// Scores of combinations that are held at once.
const SCORES: usize = 1 << 20;
/// f32 values that a result may hold (2 GiB).
const MAX_NUMBERS: usize = 1 << 28;

/// The joint distribution of the codes of some columns, by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Joint {
    /// Sub-columns of the targets, in the order of the query.
    pub sub_columns: Vec<usize>,
    /// Number of codes of each.
    pub cardinalities: Vec<usize>,
    /// `[rows, product of cardinalities]`, the last sub-column fastest: probabilities that sum to 1 in each row.
    pub probs: Vec<f64>,
    /// Standard errors of `probs`, where some row had to be estimated by sampling; 0 for rows that were computed exactly.
    pub standard_errors: Option<Vec<f64>>,
}

/// A query for the joint distribution of some columns. It is prepared once, and run any number of times from any thread.
#[derive(Debug)]
pub struct JointQuery {
    targets: Vec<usize>,
    chain: ChainRule,
    combinations: JointSupport,
    /// Plans over all columns in the orders that are averaged; the first is the trained one.
    orders: Vec<SamplePlan>,
    options: ProbabilityOptions,
}

/// How a row is computed by a fixed-order model.
pub(super) enum Strategy {
    /// All columns before the last target are observed, and nothing else is.
    Direct,
    /// By sums over these sub-columns.
    Exact(JointSupport),
    /// By draws of what is left out.
    MonteCarlo,
}

impl Strategy {
    /// The strategy for a row of which some columns are observed, for these targets with `combinations` combinations of codes; at most `most`
    /// combinations are summed.
    pub(super) fn of(
        model: &LoadedModel,
        (known, row): (&Cells, usize),
        targets: &[usize],
        (combinations, max): (usize, usize),
    ) -> Self {
        let columns = model.columns();
        let is_target = |c: &usize| targets.contains(c);
        let is_observed = |c: usize| {
            columns[c]
                .clone()
                .all(|s| matches!(known.get(row, s), Cell::Observed(_)))
        };
        let (first_target, last_target) = (targets.iter().min(), targets.iter().max());
        let (first_target, last_target) = (
            first_target.copied().unwrap_or(0),
            last_target.copied().unwrap_or(0),
        );
        let last = (0..columns.len())
            .rev()
            .find(|c| is_observed(*c) || is_target(c))
            .unwrap_or(0);
        let hidden = (0..last).filter(|c| !is_target(c) && !is_observed(*c));
        let hidden: Vec<usize> = hidden.flat_map(|c| columns[c].clone()).collect();
        let together = last_target - first_target + 1 == targets.len();
        if hidden.is_empty() && last == last_target && together {
            return Self::Direct;
        }
        let hidden = JointSupport::new(model, hidden);
        if hidden.count().saturating_mul(combinations) <= max {
            Self::Exact(hidden)
        } else {
            Self::MonteCarlo
        }
    }
}

impl JointQuery {
    /// Prepares the query for `targets`, columns in the order of the result.
    ///
    /// # Errors
    /// [`GenerateError::Targets`] when there is none or one twice; [`GenerateError::Combinations`] when their codes have more
    /// combinations than `options` allow; [`GenerateError::TooFew`].
    pub fn new(
        model: &LoadedModel,
        targets: &[usize],
        options: &ProbabilityOptions,
    ) -> Result<Self, GenerateError> {
        options.check()?;
        let mut once = targets.to_vec();
        once.sort_unstable();
        once.dedup();
        if once.is_empty() || once.len() < targets.len() || once.last() >= Some(&model.columns().len()) {
            return Err(GenerateError::Targets);
        }
        let rules = SamplingRules {
            fixed: options.fixed.clone(),
            ..SamplingRules::default()
        };
        // The trained order is the only one that a fixed-order model knows.
        let in_order = if model.is_any_order() { targets } else { &once };
        let sub_columns =
            |columns: &[usize]| columns.iter().flat_map(|c| model.columns()[*c].clone()).collect();
        let combinations = JointSupport::new(model, sub_columns(targets));
        let (got, max) = (combinations.count(), options.max_combinations);
        if got > max {
            return Err(GenerateError::Combinations { got, max });
        }
        let logs = || RequestedOutputs {
            log_probs: true,
            ..RequestedOutputs::default()
        };
        let orders = options.column_orders(model);
        let plans = orders
            .iter()
            .map(|o| model.plan(o, SamplingRules::default(), logs()));
        Ok(Self {
            targets: targets.to_vec(),
            chain: ChainRule::new(model, sub_columns(in_order), &rules)?,
            combinations,
            orders: plans.collect::<Result<_, _>>()?,
            options: options.clone(),
        })
    }

    /// The target columns.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// Number of combinations of codes.
    pub fn combinations(&self) -> usize {
        self.combinations.count()
    }

    /// Runs the query for each row of `known`; what is observed of the targets themselves is ignored.
    ///
    /// An any-order model leaves out what is not observed. A fixed-order model sums over it: exactly when there are few
    /// combinations, else by draws with their standard errors.
    ///
    /// # Errors
    /// [`GenerateError::Combinations`] when the result would not fit into memory; [`GenerateError::Backend`] when a code is out of
    /// range or the device fails.
    pub fn run(&self, model: &LoadedModel, known: &Cells) -> Result<Joint, GenerateError> {
        let count = self.combinations.count();
        let got = count.saturating_mul(known.rows());
        if got > MAX_NUMBERS {
            let max = MAX_NUMBERS;
            return Err(GenerateError::Combinations { got, max });
        }
        let mut joint = Joint {
            sub_columns: self.combinations.sub_columns.clone(),
            cardinalities: self
                .combinations
                .sub_columns
                .iter()
                .map(|s| model.cardinality(*s))
                .collect(),
            probs: vec![0.0; got],
            standard_errors: None,
        };
        if model.is_any_order() {
            let all: Vec<usize> = (0..known.rows()).collect();
            self.chained(model, known, &all, &mut joint)?;
            self.average_orders(model, known, &mut joint)?;
        } else {
            self.by_rows(model, known, &mut joint)?;
        }
        Ok(joint)
    }

    /// Answers rows sub-column by sub-column.
    fn chained(
        &self,
        model: &LoadedModel,
        known: &Cells,
        rows: &[usize],
        joint: &mut Joint,
    ) -> Result<(), GenerateError> {
        let limits = BeamLimits {
            tolerance: 0.0,
            max_values: usize::MAX,
        };
        let (count, asked) = (self.combinations.count(), self.chain.sub_columns());
        // The chain may have another order than the result.
        let place: Vec<usize> = joint
            .sub_columns
            .iter()
            .filter_map(|s| asked.iter().position(|other| other == s))
            .collect();
        for chunk in rows.chunks(ROWS) {
            let words = chunk.iter().flat_map(|row| known.row(*row).to_vec()).collect();
            let of_chunk = Cells::from_words(model.sub_columns(), words);
            let atoms = self.chain.run(model, &of_chunk, 0..chunk.len(), limits)?;
            for (row, atoms) in chunk.iter().zip(atoms) {
                let to = &mut joint.probs[row * count..(row + 1) * count];
                let mut codes = vec![0; place.len()];
                for (atom, p) in atoms.codes.chunks_exact(place.len()).zip(&atoms.probs) {
                    codes.iter_mut().zip(&place).for_each(|(to, i)| *to = atom[*i]);
                    to[self.combinations.number(&codes)] += p;
                }
            }
        }
        Ok(())
    }

    /// Averages with the results of the other orders: observed columns and targets are scored together, and the score of each
    /// combination is its share.
    fn average_orders(
        &self,
        model: &LoadedModel,
        known: &Cells,
        joint: &mut Joint,
    ) -> Result<(), GenerateError> {
        let count = self.combinations.count();
        let possible = self.possible(model);
        let all: Vec<usize> = (0..known.rows()).collect();
        for plan in self.orders.iter().skip(1) {
            for rows in all.chunks((SCORES / possible.len().max(1)).max(1)) {
                let mut scorer = Scorer::new(model, plan);
                for row in rows {
                    let base = given_row(known, *row, |_| Cell::Masked);
                    for t in possible.iter().copied() {
                        scorer.push(&base, self.combinations.codes(t), &[])?;
                    }
                }
                let scores = scorer.finish()?;
                for (row, scores) in rows.iter().zip(scores.chunks_exact(possible.len().max(1))) {
                    let total = log_sum(scores.iter().copied());
                    for (t, score) in possible.iter().zip(scores) {
                        joint.probs[row * count + t] += (score - total).exp();
                    }
                }
            }
        }
        let orders = self.orders.len().max(1) as f64;
        joint.probs.iter_mut().for_each(|p| *p /= orders);
        Ok(())
    }

    /// JointSupport that can occur: without forbidden codes, and with one null_fill beside a null.
    fn possible(&self, model: &LoadedModel) -> Vec<usize> {
        let forbidden = |s: usize, code: u32| {
            let fixed = self.options.fixed.get(s).map_or(&[][..], Vec::as_slice);
            fixed.iter().any(|f| f.code == code && f.probability == 0.0)
        };
        let can_occur = |t: &usize| {
            self.combinations.is_valid(model, *t)
                && self
                    .combinations
                    .codes(*t)
                    .into_iter()
                    .all(|(s, code)| !forbidden(s, code))
        };
        (0..self.combinations.count()).filter(can_occur).collect()
    }

    /// A fixed-order model: each row is computed by the strategy that suits its observed cells.
    fn by_rows(&self, model: &LoadedModel, known: &Cells, joint: &mut Joint) -> Result<(), GenerateError> {
        let (mut direct, mut exact, mut drawn) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..known.rows() {
            let sizes = (self.combinations.count(), self.options.max_combinations);
            match Strategy::of(model, (known, row), &self.targets, sizes) {
                Strategy::Direct => direct.push(row),
                Strategy::Exact(hidden) => exact.push((row, hidden)),
                Strategy::MonteCarlo => drawn.push(row),
            }
        }
        self.chained(model, known, &direct, joint)?;
        let per_chunk = (SCORES / self.options.max_combinations.max(1)).max(1);
        for rows in exact.chunks(per_chunk) {
            self.summed(model, known, rows, joint)?;
        }
        if !drawn.is_empty() {
            joint.standard_errors = Some(vec![0.0; joint.probs.len()]);
            for row in drawn {
                self.sampled(model, known, row, joint)?;
            }
        }
        Ok(())
    }

    /// Sums over all combinations of what rows leave out.
    pub(super) fn summed(
        &self,
        model: &LoadedModel,
        known: &Cells,
        rows: &[(usize, JointSupport)],
        joint: &mut Joint,
    ) -> Result<(), GenerateError> {
        let (count, possible) = (self.combinations.count(), self.possible(model));
        let mut scorer = Scorer::new(model, &self.orders[0]);
        let kept = |hidden: &JointSupport| (0..hidden.count()).filter(|h| hidden.is_valid(model, *h)).count();
        for (row, hidden) in rows {
            let base = given_row(known, *row, |_| Cell::Masked);
            for t in possible.iter().copied() {
                for h in (0..hidden.count()).filter(|h| hidden.is_valid(model, *h)) {
                    let codes = self.combinations.codes(t).into_iter().chain(hidden.codes(h));
                    scorer.push(&base, codes, &[])?;
                }
            }
        }
        let scores = scorer.finish()?;
        let mut from = 0;
        for (row, hidden) in rows {
            let inner = kept(hidden);
            let of_row = &scores[from..from + inner * possible.len()];
            from += of_row.len();
            let sums: Vec<f64> = of_row
                .chunks_exact(inner)
                .map(|s| log_sum(s.iter().copied()))
                .collect();
            let total = log_sum(sums.iter().copied());
            for (t, sum) in possible.iter().zip(sums) {
                joint.probs[row * count + t] = (sum - total).exp();
            }
        }
        Ok(())
    }

    /// Averages over draws of what a row does not observe. The draws are weighted by what they make of the observed cells; every combination
    /// of the targets sees the same random numbers, so their errors cancel in part.
    fn sampled(
        &self,
        model: &LoadedModel,
        known: &Cells,
        row: usize,
        joint: &mut Joint,
    ) -> Result<(), GenerateError> {
        let (draws, count, possible) = (
            self.options.draws,
            self.combinations.count(),
            self.possible(model),
        );
        let last = last_of_interest(model, known, row, &self.targets);
        let base = given_row(
            known,
            row,
            |s| if s < last { Cell::Sampled } else { Cell::Masked },
        );
        let mut scorer = Scorer::new(model, &self.orders[0]);
        for draw in 0..draws {
            let uniforms = draw_uniforms(self.options.seed, row as u64, draw as u32, model.sub_columns());
            for t in possible.iter().copied() {
                scorer.push(&base, self.combinations.codes(t), &uniforms)?;
            }
        }
        let scores = scorer.finish()?;
        let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
        let width = possible.len();
        let by_draw: Vec<f64> = weights.chunks_exact(width).map(|w| w.iter().sum()).collect();
        let total: f64 = by_draw.iter().sum();
        for (i, t) in possible.into_iter().enumerate() {
            let of_target = || weights.iter().skip(i).step_by(width);
            let p = of_target().sum::<f64>() / total;
            // The spread of a ratio of two sums over the same draws.
            let residuals = of_target().zip(&by_draw).map(|(w, sum)| (w - p * sum).powi(2));
            let spread = (residuals.sum::<f64>() * draws as f64 / (draws - 1) as f64).sqrt() / total;
            joint.probs[row * count + t] = p;
            if let Some(errors) = &mut joint.standard_errors {
                errors[row * count + t] = spread;
            }
        }
        Ok(())
    }
}

/// The end of the last sub-column that is observed or requested: what comes after it bears on nothing.
pub(super) fn last_of_interest(model: &LoadedModel, known: &Cells, row: usize, targets: &[usize]) -> usize {
    let is_observed = |s: &usize| matches!(known.get(row, *s), Cell::Observed(_));
    let last_known = (0..model.sub_columns())
        .rev()
        .find(is_observed)
        .map_or(0, |s| s + 1);
    let ends = targets.iter().map(|c| model.columns()[*c].end);
    ends.max().unwrap_or(0).max(last_known)
}
