//! Given values that a model does not know or that do not fit it, counted over all batches of a table.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use engine_core::encode::UnknownValues;

/// Counts of a table that is read in batches; they go to the log when it is dropped, in one line a column.
#[derive(Debug, Default)]
pub(crate) struct UnknownCounts(Mutex<BTreeMap<String, Counts>>);

/// Counts of a column.
#[derive(Debug, Default)]
struct Counts {
    unknown: UnknownValues,
    /// Values that the model's type does not hold.
    lost: u64,
    /// Whether the column is of another kind than the model's.
    is_ignored: bool,
}

impl UnknownCounts {
    /// Adds those of a batch.
    pub(crate) fn add(&self, found: Vec<(String, UnknownValues)>) {
        for (column, unknown) in found {
            self.with(&column, |counts| {
                counts.unknown.unseen += unknown.unseen;
                counts.unknown.outside += unknown.outside;
            });
        }
    }

    /// Adds values of a column that do not fit the model's type and are read as null.
    pub(crate) fn add_lost(&self, column: &str, count: u64) {
        self.with(column, |counts| counts.lost += count);
    }

    /// Notes that a column is ignored, for it is of another type than the model's.
    pub(crate) fn add_ignored(&self, column: &str) {
        self.with(column, |counts| counts.is_ignored = true);
    }

    fn with(&self, column: &str, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(counts.entry(column.to_owned()).or_default());
    }
}

impl Drop for UnknownCounts {
    fn drop(&mut self) {
        let counts = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (column, counts) in counts {
            if counts.is_ignored {
                tracing::warn!(column, "a column of another type than the model's is ignored");
            }
            if counts.lost > 0 {
                let count = counts.lost;
                tracing::warn!(
                    column,
                    count,
                    "values that do not fit the model's type are read as null"
                );
            }
            if counts.unknown != UnknownValues::default() {
                tracing::warn!(column, "{}", sentence(counts.unknown));
            }
        }
    }
}

fn sentence(unknown: UnknownValues) -> String {
    let UnknownValues { unseen, outside } = unknown;
    let values = |count: u64| if count == 1 { "value" } else { "values" };
    let unseen_are = format!(
        "{unseen} {} that the model does not know, unseen or rare in training",
        values(unseen)
    );
    let outside_are = format!(
        "{outside} {} beyond the range of the model, taken for its nearest",
        values(outside)
    );
    match (unseen, outside) {
        (_, 0) => unseen_are,
        (0, _) => outside_are,
        _ => format!("{unseen_are}; {outside_are}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_sentences() {
        let say = |unseen, outside| sentence(UnknownValues { unseen, outside });
        assert_eq!(
            say(1, 0),
            "1 value that the model does not know, unseen or rare in training"
        );
        assert_eq!(
            say(0, 2),
            "2 values beyond the range of the model, taken for its nearest"
        );
        assert!(say(3, 1).contains("3 values that") && say(3, 1).contains("; 1 value beyond"));
    }
}
