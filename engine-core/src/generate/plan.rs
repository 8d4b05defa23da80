//! Plans: what is drawn, and what is told of it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::BackendError;
use crate::device_buffers::Compiled;
use crate::ir::SampleSpec;
use crate::ir::ops::sampling::{RequestedOutputs, SampleInputs, SamplingRules};

/// Numbers plans, so that compiled programs find their plan again.
static NEXT_PLAN: AtomicU64 = AtomicU64::new(0);

/// What is drawn in which order, by which rules, and what is told of it. Made by [`super::LoadedModel::plan`]; a plan that is kept is
/// compiled once.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) id: u64,
    pub(super) draws: Vec<usize>,
    rules: SamplingRules,
    pub(super) reports: RequestedOutputs,
}

/// Where random numbers come from: row number i of the call is row `first_row + i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrawSite {
    /// Seed of all draws.
    pub seed: u64,
    /// Global number of the first row.
    pub first_row: u64,
}

/// The answer to a plan. Matrices are row-major; those that the plan does not ask for are empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drawn {
    /// `[rows, sub-columns]`: codes, known, given and drawn; 0 where there is none.
    pub codes: Vec<u32>,
    /// `[rows, cardinalities of the reported sub-columns]`: probabilities by the model.
    pub probs: Vec<f32>,
    /// `[rows, cardinalities of the reported sub-columns]`: weights of the draw, not normalised.
    pub weights: Vec<f32>,
    /// `[rows, sub-columns]`: logarithms of the model's probabilities of drawn and given codes; 0 elsewhere.
    pub log_probs: Vec<f32>,
}

impl Plan {
    pub(super) fn new(draws: Vec<usize>, rules: SamplingRules, reports: RequestedOutputs) -> Self {
        Self {
            id: NEXT_PLAN.fetch_add(1, Ordering::Relaxed),
            draws,
            rules,
            reports,
        }
    }

    /// Whether it draws by these rules and tells this.
    pub(super) fn is_by(&self, rules: &SamplingRules, reports: &RequestedOutputs) -> bool {
        self.rules == *rules && self.reports == *reports
    }

    /// What the program of this plan does.
    pub(super) fn spec(&self, inputs: SampleInputs) -> SampleSpec {
        SampleSpec {
            draws: self.draws.clone(),
            rules: self.rules.clone(),
            inputs,
            requested: self.reports.clone(),
        }
    }
}

impl Drawn {
    pub(super) fn append(&mut self, more: Self) {
        if self.codes.is_empty() {
            *self = more;
            return;
        }
        self.codes.extend_from_slice(&more.codes);
        self.probs.extend_from_slice(&more.probs);
        self.weights.extend_from_slice(&more.weights);
        self.log_probs.extend_from_slice(&more.log_probs);
    }

    /// The results of a program that has just run.
    pub(super) fn of(program: &Compiled, reports: &RequestedOutputs) -> Result<Self, BackendError> {
        let names = reports.names();
        let numbers = |name: &str| {
            let asked = names.contains(&name);
            if asked {
                program.read_f32(name)
            } else {
                Ok(Vec::new())
            }
        };
        Ok(Self {
            codes: program.read_u32("codes")?,
            probs: numbers("probs")?,
            weights: numbers("weights")?,
            log_probs: numbers("log_probs")?,
        })
    }
}
