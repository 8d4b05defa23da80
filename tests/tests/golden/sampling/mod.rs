//! Kind `sampling`: each rule between logits and a decoded value, alone.

mod rules;

use crate::plan::Plan;

/// Adds all comparisons of a case.
pub(crate) fn plan(plan: &mut Plan) {
    rules::plan(plan);
    for group in [
        "imputation",
        "rebalancing",
        "merged",
        "seed_codes",
        "probability_labels",
    ] {
        plan.ignored(group, "the questions come later");
    }
    plan.ignored("positions", "sequences come later");
}
