//! Kind `dp`: noisy statistics from recorded noise. The accountants come with private training.

mod value_protection;

use crate::plan::Plan;

/// Adds all comparisons of a case.
pub(crate) fn plan(plan: &mut Plan) {
    value_protection::plan(plan);
    plan.ignored(
        "analysis",
        "exception, our statistics are other releases: the reference spends its budget more than once",
    );
    for group in ["epsilon", "training-runs"] {
        plan.ignored(group, "private training comes later");
    }
}
