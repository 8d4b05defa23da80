//! Initial weights of the predictors: the smoothed shares of the codes.

use engine_core::argn::empirical_biases;
use engine_core::encode::empirical_probabilities;

use super::loaded::sub_columns;
use super::recorded::stats;
use super::training::encoded_table;
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report, within};
use crate::discover::Case;
use crate::files::{self, Tensors};

/// Adds the comparisons.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    let files = ["orders.json", "encoded-trn.parquet", "predictor-init.safetensors"];
    tests.compare("predictor-init", &files, predictor_init);
}

fn predictor_init(case: &Case) -> Outcome {
    let subs = sub_columns(&files::json(&case.path("orders.json"))?)?;
    let table = encoded_table(&case.path("encoded-trn.parquet"), &subs)?;
    let probabilities = empirical_probabilities(&stats(case)?, &[&table]).map_err(|e| e.to_string())?;
    let biases = empirical_biases(&probabilities);
    let recorded = Tensors::open(&case.path("predictor-init.safetensors"))?;
    let mut report = Report::default();
    for (s, (name, _)) in subs.iter().enumerate() {
        let (probs, bias) = (format!("probs.{name}"), format!("bias.{name}"));
        report.close(
            &probs,
            &probabilities[s],
            &recorded.get(&probs)?.data,
            within(1e-12, 0.0),
        );
        let ours: Vec<f64> = biases[s].iter().map(|b| f64::from(*b)).collect();
        report.close(&bias, &ours, &recorded.get(&bias)?.data, within(1e-6, 1e-7));
    }
    report.finish()
}
