//! Kind `sampling`: each rule between logits and a decoded value, alone.

mod batches;
mod conditions;
mod decode;
mod rules;

use crate::plan::Plan;

/// Adds all comparisons of a case.
pub(crate) fn plan(plan: &mut Plan) {
    rules::plan(plan);
    decode::plan(plan);
    batches::plan(plan);
    conditions::plan(plan);
    plan.ignored("positions", "sequences come later");
}
