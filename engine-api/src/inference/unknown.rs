//! Given values that a model does not know, counted over all batches of a table.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use engine_core::encode::UnknownValues;

/// Counts of a table that is read in batches; they go to the log when it is dropped, in one line a column.
#[derive(Debug, Default)]
pub(crate) struct UnknownCounts(Mutex<BTreeMap<String, UnknownValues>>);

impl UnknownCounts {
    /// Adds those of a batch.
    pub(crate) fn add(&self, found: Vec<(String, UnknownValues)>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (column, unknown) in found {
            let sum = counts.entry(column).or_default();
            sum.unseen += unknown.unseen;
            sum.outside += unknown.outside;
        }
    }
}

impl Drop for UnknownCounts {
    fn drop(&mut self) {
        let counts = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (column, unknown) in counts {
            tracing::warn!(column, "{}", sentence(*unknown));
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
