//! Plans: what is drawn, and what is reported of it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::backend::BackendError;
use crate::device_buffers::Compiled;
use crate::ir::SampleSpec;
use crate::ir::ops::sampling::{RequestedOutputs, SampleInputs, SamplingRules};

/// Numbers plans, so that compiled programs find their plan again.
static NEXT_PLAN: AtomicU64 = AtomicU64::new(0);

/// What is drawn in which order, by which rules, and what is reported of it. Made by [`super::LoadedModel::plan`]; a plan that is kept is
/// compiled once.
#[derive(Debug, Clone)]
pub struct SamplePlan {
    pub(super) id: u64,
    pub(super) draws: Vec<usize>,
    rules: SamplingRules,
    pub(super) requested: RequestedOutputs,
}

/// Where random numbers come from: row number i of the call is row `first_row + i`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrawSite {
    /// Seed of all draws.
    pub seed: u64,
    /// Global number of the first row.
    pub first_row: u64,
}

/// The results of a plan. Matrices are row-major; those that the plan does not request are empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drawn {
    /// `[rows, sub-columns]`: codes: observed, teacher-forced and sampled; 0 where there is none.
    pub codes: Vec<u32>,
    /// `[rows, cardinalities of the reported sub-columns]`: probabilities by the model.
    pub probs: Vec<f32>,
    /// `[rows, cardinalities of the reported sub-columns]`: weights of the draw, not normalised.
    pub weights: Vec<f32>,
    /// `[rows, sub-columns]`: logarithms of the model's probabilities of sampled and teacher-forced codes; 0 elsewhere.
    pub log_probs: Vec<f32>,
}

impl SamplePlan {
    pub(super) fn new(draws: Vec<usize>, rules: SamplingRules, requested: RequestedOutputs) -> Self {
        Self {
            id: NEXT_PLAN.fetch_add(1, Ordering::Relaxed),
            draws,
            rules,
            requested,
        }
    }

    /// Whether it draws by these rules and reports this.
    pub(super) fn is_by(&self, rules: &SamplingRules, requested: &RequestedOutputs) -> bool {
        self.rules == *rules && self.requested == *requested
    }

    /// What the program of this plan does.
    pub(super) fn spec(&self, inputs: SampleInputs) -> SampleSpec {
        SampleSpec {
            draws: self.draws.clone(),
            rules: self.rules.clone(),
            inputs,
            requested: self.requested.clone(),
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
    pub(super) fn of(program: &Compiled, requested: &RequestedOutputs) -> Result<Self, BackendError> {
        let names = requested.names();
        let read = |name: &str| match names.contains(&name) {
            true => program.read_f32(name),
            false => Ok(Vec::new()),
        };
        Ok(Self {
            codes: program.read_u32("codes")?,
            probs: read("probs")?,
            weights: read("weights")?,
            log_probs: read("log_probs")?,
        })
    }
}
