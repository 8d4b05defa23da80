//! The optimiser of every training: AdamW.

use std::sync::Arc;

use crate::ir::ops::optimizer::AdamW;
use crate::ir::{BuildError, Builder, ParamLayout, ResourceKind};

/// Appends an AdamW step: `params` follow `params.grads`, which are cleared. Its numbers are those of mostlyai-engine's trainings; the
/// learning rate comes with each run.
pub(super) fn push_adamw(builder: &mut Builder, layout: &Arc<ParamLayout>) -> Result<(), BuildError> {
    let arena = || ResourceKind::Arena(Arc::clone(layout));
    let op = AdamW {
        params: builder.resource("params", arena())?,
        grads: builder.resource("params.grads", arena())?,
        first_moments: builder.resource("first_moments", arena())?,
        second_moments: builder.resource("second_moments", arena())?,
        beta1: 0.9,
        beta2: 0.999,
        adam_eps: 1e-8,
        weight_decay: 0.01,
    };
    builder.push(Arc::new(op), &[]).map(|_| ())
}
