//! The chain rule over sub-columns: each is conditioned on the codes of those before it, code by code.

use std::ops::Range;

use super::super::loaded::LoadedModel;
use super::super::plan::{DrawSite, SamplePlan};
use super::super::{Cells, GenerateError};
use crate::ir::ops::sampling::{Cell, RequestedOutputs, SamplingRules};

/// Rows that are scored at once.
const CHUNK: usize = 8_192;

/// Codes of some sub-columns with their probabilities, in one row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseDistribution {
    /// `[atoms, sub-columns]`, row-major: codes.
    pub codes: Vec<u32>,
    /// Probability of each.
    pub probs: Vec<f64>,
    /// Mass of the codes that were dropped: no probability, of whatever set of codes, is off by more.
    pub dropped: f64,
    /// Effective number of draws behind the probabilities, where they were drawn: each has the standard error of a share of so many.
    pub draws: Option<f64>,
}

/// The plans that score sub-column after sub-column.
#[derive(Debug)]
pub(super) struct ChainRule {
    sub_columns: Vec<usize>,
    plans: Vec<SamplePlan>,
    /// Whether a sub-column has codes with set probabilities, so that weights are requested in place of probabilities.
    ruled: Vec<bool>,
}

/// How many atoms are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct BeamLimits {
    pub(super) tolerance: f64,
    pub(super) max_values: usize,
}

impl ChainRule {
    /// A chain over `sub_columns`, siblings ascending.
    pub(super) fn new(
        model: &LoadedModel,
        sub_columns: Vec<usize>,
        rules: &SamplingRules,
    ) -> Result<Self, GenerateError> {
        let ruled: Vec<bool> = sub_columns
            .iter()
            .map(|s| !rules.fixed_of(*s).is_empty())
            .collect();
        let plan = |(s, ruled): (&usize, &bool)| {
            let mut requested = RequestedOutputs::default();
            let reported = if *ruled {
                &mut requested.weights
            } else {
                &mut requested.probs
            };
            reported.push(*s);
            model.plan_parts(vec![*s], rules.clone(), requested)
        };
        Ok(Self {
            plans: sub_columns
                .iter()
                .zip(&ruled)
                .map(plan)
                .collect::<Result<_, _>>()?,
            sub_columns,
            ruled,
        })
    }

    pub(super) fn sub_columns(&self) -> &[usize] {
        &self.sub_columns
    }

    /// The support of the rows `rows` of `known`. Unobserved cells are marginalised; what is observed of the chain's own sub-columns is
    /// ignored.
    pub(super) fn run(
        &self,
        model: &LoadedModel,
        known: &Cells,
        rows: Range<usize>,
        limits: BeamLimits,
    ) -> Result<Vec<SparseDistribution>, GenerateError> {
        let start = SparseDistribution {
            codes: Vec::new(),
            probs: vec![1.0],
            dropped: 0.0,
            draws: None,
        };
        let mut atoms = vec![start; rows.len()];
        for step in 0..self.sub_columns.len() {
            let probs = self.step(model, known, &rows, step, &atoms)?;
            let (v, mut taken) = (model.cardinality(self.sub_columns[step]), 0);
            // What may be dropped by now, so that the last steps have as much to spare as the first.
            let share = (step + 1) as f64 / self.sub_columns.len() as f64;
            for atoms in &mut atoms {
                let count = atoms.probs.len();
                atoms.split(step, &probs[taken * v..(taken + count) * v], v);
                taken += count;
                atoms.limit_beam(step + 1, limits.tolerance * share, limits.max_values);
            }
        }
        Ok(atoms)
    }

    /// Probabilities of the codes of one sub-column, `[all atoms, codes]`.
    fn step(
        &self,
        model: &LoadedModel,
        known: &Cells,
        rows: &Range<usize>,
        step: usize,
        atoms: &[SparseDistribution],
    ) -> Result<Vec<f64>, GenerateError> {
        let (s, v) = (self.sub_columns[step], model.cardinality(self.sub_columns[step]));
        let total: usize = atoms.iter().map(|a| a.probs.len()).sum();
        let mut probs = Vec::with_capacity(total * v);
        let flag = self.null_flag(model, step);
        let of_atoms = rows.clone().zip(atoms);
        let mut all = of_atoms.flat_map(|(row, atoms)| (0..atoms.probs.len()).map(move |i| (row, atoms, i)));
        loop {
            let chunk: Vec<(usize, &SparseDistribution, usize)> = all.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return Ok(probs);
            }
            let mut words = Vec::with_capacity(chunk.len() * model.sub_columns());
            for (row, atoms, i) in &chunk {
                let prefix = &atoms.codes[i * step..(i + 1) * step];
                self.push_words(known.row(*row), prefix, &mut words);
            }
            let cells = Cells::from_words(model.sub_columns(), words);
            let drawn = model.run(&self.plans[step], &cells, DrawSite::default())?;
            let reported = if self.ruled[step] {
                drawn.weights
            } else {
                drawn.probs
            };
            for ((_, atoms, i), reported) in chunk.iter().zip(reported.chunks_exact(v)) {
                let is_null = flag.is_some_and(|f| atoms.codes[i * step + f] == 1);
                let null_fill = model.null_fill(s) as usize;
                let sum: f64 = reported.iter().map(|p| f64::from(*p)).sum();
                probs.extend(reported.iter().enumerate().map(|(code, p)| match is_null {
                    true => f64::from(u8::from(code == null_fill)),
                    false => f64::from(*p) / sum,
                }));
            }
        }
    }

    /// Where in the chain the null flag of a later sibling stands.
    fn null_flag(&self, model: &LoadedModel, step: usize) -> Option<usize> {
        let s = self.sub_columns[step];
        let column = model.columns().iter().position(|c| c.contains(&s))?;
        let flag = model.null_flag(column).filter(|flag| *flag != s)?;
        self.sub_columns[..step].iter().position(|other| *other == flag)
    }

    /// What is observed of a row and of the chain before; the sub-columns from there on are drawn, everything else is masked.
    fn push_words(&self, known: &[u32], prefix: &[u32], words: &mut Vec<u32>) {
        let first = words.len();
        words.extend(known.iter().map(|word| match Cell::from_bits(*word) {
            Cell::Observed(_) => *word,
            _ => Cell::Masked.to_bits(),
        }));
        for (step, s) in self.sub_columns.iter().enumerate() {
            words[first + s] = match prefix.get(step) {
                Some(code) => Cell::Observed(*code).to_bits(),
                None if step == prefix.len() => Cell::Sampled.to_bits(),
                None => Cell::Masked.to_bits(),
            };
        }
    }
}

impl SparseDistribution {
    /// Splits every atom by the codes of the next sub-column; what has no mass goes.
    fn split(&mut self, step: usize, probs: &[f64], cardinality: usize) {
        let (mut codes, mut masses) = (Vec::new(), Vec::new());
        for (i, mass) in self.probs.iter().enumerate() {
            for (code, p) in probs[i * cardinality..(i + 1) * cardinality].iter().enumerate() {
                if mass * p > 0.0 {
                    codes.extend_from_slice(&self.codes[i * step..(i + 1) * step]);
                    codes.push(code as u32);
                    masses.push(mass * p);
                }
            }
        }
        (self.codes, self.probs) = (codes, masses);
    }

    /// Drops the least probable atoms: as many as `tolerance` allows, and all but `most`.
    fn limit_beam(&mut self, width: usize, tolerance: f64, max: usize) {
        if tolerance == 0.0 && self.probs.len() <= max {
            return;
        }
        let mut by_mass: Vec<usize> = (0..self.probs.len()).collect();
        by_mass.sort_by(|a, b| self.probs[*a].total_cmp(&self.probs[*b]).then(b.cmp(a)));
        let mut gone = 0;
        for i in &by_mass {
            let too_many = self.probs.len() - gone > max.max(1);
            if !too_many && self.dropped + self.probs[*i] > tolerance {
                break;
            }
            self.dropped += self.probs[*i];
            gone += 1;
        }
        let mut kept = by_mass.split_off(gone);
        if gone == 0 {
            return;
        }
        kept.sort_unstable();
        self.probs = kept.iter().map(|i| self.probs[*i]).collect();
        self.codes = kept
            .iter()
            .flat_map(|i| self.codes[i * width..(i + 1) * width].to_vec())
            .collect();
    }
}
