//! The runs of a case: how mostlyai-engine analysed the table.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use engine_core::encode::{
    self, Compat, EncodingTypes, PartialStats, Protection, SplitPart, TableKeys, TableStats,
};

use crate::compare::Outcome;
use crate::discover::Case;
use crate::files;
use crate::tables::table;

/// The files that every comparison of statistics reads.
pub(crate) const INPUT: [&str; 3] = ["input.parquet", "encoding-types.json", "reference-failures.json"];

/// Nulls that are imputed are not compared, and thresholds are fixed, so the seed decides nothing.
pub(crate) const SEED: u64 = 1;

/// One analysis of the table.
pub(crate) struct Run {
    /// The folder of its files.
    pub(crate) folder: &'static str,
    partitions: usize,
    protection: Protection,
}

/// All runs.
pub(crate) const RUNS: [Run; 3] = [
    Run {
        folder: "plain",
        partitions: 2,
        protection: Protection::Off,
    },
    Run {
        folder: "protected-5",
        partitions: 1,
        protection: Protection::Fixed(0),
    },
    Run {
        folder: "protected-7",
        partitions: 1,
        protection: Protection::Fixed(2),
    },
];

impl Run {
    /// The path of a file of the run below the folder of the case.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// The statistics that mostlyai-engine recorded.
    pub(crate) fn recorded_stats(&self, case: &Case) -> Outcome<TableStats> {
        let stats = files::json(&case.path(&self.file("tgt-stats.json")))?;
        Ok(TableStats::from_json(&stats.to_string())?)
    }

    /// Our statistics of the columns in `types`. The k-th training row stands in partition k mod partitions, and so do
    /// validation rows: those whose number leaves 3 when divided by 4.
    pub(crate) fn analysed(&self, input: &RecordBatch, types: &EncodingTypes) -> Outcome<TableStats> {
        let mut partials: Vec<PartialStats> = Vec::new();
        for partition in 0..self.partitions {
            for part in [SplitPart::Training, SplitPart::Validation] {
                let mut counts = [0; 2];
                let mask = (0..input.num_rows()).map(|row| {
                    let of_row = if row % 4 == 3 {
                        SplitPart::Validation
                    } else {
                        SplitPart::Training
                    };
                    let count = &mut counts[usize::from(of_row == SplitPart::Validation)];
                    *count += 1;
                    of_row == part && (*count - 1) % self.partitions == partition
                });
                let mask: Vec<bool> = mask.collect();
                let rows = filter_record_batch(input, &BooleanArray::from(mask))?;
                partials.push(encode::analyze_partition(
                    &table(&rows)?,
                    types,
                    part,
                    0,
                    Compat::MostlyAi,
                )?);
            }
        }
        Ok(encode::reduce(
            &partials,
            types,
            self.protection,
            Compat::MostlyAi,
            TableKeys::default(),
            SEED,
        )?)
    }
}

/// The requested encodings: of the columns that mostlyai-engine could deal with, and of the others.
pub(crate) fn types(case: &Case) -> Outcome<(EncodingTypes, EncodingTypes)> {
    let types: EncodingTypes = serde_json::from_value(files::json(&case.path("encoding-types.json"))?)?;
    let failures = files::json(&case.path("reference-failures.json"))?;
    let (failed, done) = types
        .into_iter()
        .partition(|(name, _)| failures.get(name).is_some());
    Ok((done, failed))
}
