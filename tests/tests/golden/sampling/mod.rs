//! Kind `sampling`: each rule between logits and a decoded value, alone.

mod batches;
mod decode;
mod rules;

use crate::plan::Plan;

/// Adds all comparisons of a case.
pub(crate) fn plan(plan: &mut Plan) {
    rules::plan(plan);
    decode::plan(plan);
    batches::plan(plan);
    for group in [
        "imputation",
        "rebalancing",
        "merged",
        "seed_codes",
        "probability_labels",
        "column_order",
    ] {
        plan.ignored(group, "the questions come later");
    }
    plan.ignored("positions", "sequences come later");
}
