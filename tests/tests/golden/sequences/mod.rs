//! Kind `sequences`: tables with several rows per subject. What is built so far is the encodings of their rows.

mod rows;

use crate::plan::Plan;

/// Adds all comparisons of a case.
pub(crate) fn plan(plan: &mut Plan) {
    rows::plan(plan);
    plan.ignored("the model", "sequences are not built yet");
}
