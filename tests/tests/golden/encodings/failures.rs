//! Columns on which mostlyai-engine fails: ours come back.

use engine_core::encode::{self, BinOffsets, EncodingTypes};

use super::runs::{INPUT, RUNS, SEED, types};
use crate::case_tests::CaseTests;
use crate::compare::{Outcome, Report};
use crate::discover::Case;
use crate::files;
use crate::tables::{as_json, table};

/// Adds the comparison.
pub(crate) fn add_tests(tests: &mut CaseTests) {
    tests.compare("reference-failures", &INPUT, failures);
}

fn failures(case: &Case) -> Outcome {
    let input = files::parquet(&case.path("input.parquet"))?;
    let (_, failed) = types(case)?;
    let mut report = Report::default();
    for (name, encoding) in failed {
        let types = EncodingTypes::from([(name.clone(), encoding)]);
        for run in &RUNS {
            let stats = run.analysed(&input, &types)?;
            let codes = encode::encode(&table(&input)?, &stats, SEED, 0)?;
            let decoded = encode::decode(&codes, &stats, BinOffsets::Constant(0.5))?;
            let values = as_json(&decoded[0])?;
            let what = format!("{}: {name}", run.folder);
            report.equal(&format!("{what}: rows"), &values.len(), &input.num_rows());
            let column = input.column_by_name(&name).ok_or("the column is missing")?;
            let nulls = values.iter().filter(|value| value.is_null()).count();
            report.equal(&format!("{what}: nulls"), &nulls, &column.null_count());
        }
    }
    report.finish()
}
