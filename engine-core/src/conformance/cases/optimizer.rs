//! AdamW over arenas of several lengths, steps and learning rates.

use std::sync::Arc;

use crate::backend::Run;
use crate::conformance::case::{Case, CaseError, Setup, rows};
use crate::conformance::random_data::RandomData;
use crate::ir::ops::optimizer::AdamW;
use crate::ir::{Initialisation, ParamLayoutBuilder};

pub(super) fn cases() -> Result<Vec<Case>, CaseError> {
    let random = &mut RandomData::new(51);
    let mut cases = Vec::new();
    for (len, first_step, steps, learning_rate, weight_decay, fresh) in [
        (1, 0, 1, 1e-3, 0.01, true),
        (31, 0, 1, 1e-3, 0.01, true),
        (33, 0, 3, 1e-3, 0.01, false),
        (100, 0, 3, 0.05, 0.0, true),
        (1027, 7, 1, 1e-3, 0.01, false),
        (257, 1_000_000, 2, 3e-4, 0.1, false),
        (64, 2, 1, 0.0, 0.01, false),
    ] {
        let mut params = ParamLayoutBuilder::new();
        params.bias("w".to_owned(), len, Initialisation::StandardNormal);
        let layout = Arc::new(params.finish());
        let mut gradients = random.uniform(len, 1.0);
        for (i, g) in gradients.iter_mut().enumerate() {
            *g *= [1.0, 0.0, 1e-6, 100.0, 1e-12][i % 5];
        }
        let moments = if fresh { 0.0 } else { 0.1 };
        let mut setup = Setup::new("adamw");
        let op = AdamW {
            params: setup.arena("params", &layout, random.uniform(len, 1.0))?,
            grads: setup.arena("params.grads", &layout, gradients)?,
            first_moments: setup.arena("first_moments", &layout, random.uniform(len, moments))?,
            second_moments: setup.arena(
                "second_moments",
                &layout,
                random.uniform(len, moments).iter().map(|v| v * v).collect(),
            )?,
            beta1: 0.9,
            beta2: 0.999,
            adam_eps: 1e-8,
            weight_decay,
        };
        let run = Run {
            first_step,
            steps,
            learning_rate,
            ..rows(4)
        };
        let label = format!(
            "{len} parameters, steps {first_step} to {}, learning rate {learning_rate}, seed {}",
            first_step + steps,
            random.seed
        );
        cases.push(setup.finish(op, &[], run, label)?);
    }
    Ok(cases)
}
