//! Tables of probabilities.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use engine_core::generate::Level;

use crate::EngineError;
use crate::data::DataError;

/// A target column, with the values that its probabilities distinguish.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Name of the column.
    pub name: String,
    /// The distinguished values, in the order of the probabilities. It shows as `_RARE_`, `<<NULL>>`, the value as text, `<22.0` or `>=22.0`.
    pub levels: Vec<Level>,
}

/// Probabilities of the values of one column, or of several together, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbaTable {
    pub(super) targets: Vec<Target>,
    pub(super) rows: usize,
    /// `[rows, combinations]`, the last target fastest.
    pub(super) probs: Vec<f64>,
    pub(super) standard_errors: Option<Vec<f64>>,
}

impl ProbaTable {
    /// The targets, in the order of the request.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of combinations of values: the product of the numbers of levels.
    pub fn combinations(&self) -> usize {
        self.targets.iter().map(|t| t.levels.len()).product()
    }

    /// The probabilities of a row, which sum to 1: of all combinations, the last target fastest. Panics when there is no such row.
    pub fn row(&self, row: usize) -> &[f64] {
        let width = self.combinations();
        &self.probs[row * width..(row + 1) * width]
    }

    /// The standard errors of a row's probabilities, where some row had to be estimated by sampling; 0 in rows that were computed
    /// exactly. Panics when there is no such row.
    pub fn standard_errors(&self, row: usize) -> Option<&[f64]> {
        let width = self.combinations();
        let errors = self.standard_errors.as_ref()?;
        Some(&errors[row * width..(row + 1) * width])
    }

    /// The probability of one level for each target in a row; `None` when there is no such row or level.
    pub fn get(&self, row: usize, levels: &[Level]) -> Option<f64> {
        if levels.len() != self.targets.len() || row >= self.rows {
            return None;
        }
        let mut at = 0;
        for (target, level) in self.targets.iter().zip(levels) {
            at = at * target.levels.len() + target.levels.iter().position(|l| l == level)?;
        }
        self.row(row).get(at).copied()
    }

    /// The most probable combination of each row: its place among all combinations, the first of equals.
    pub fn argmax(&self) -> Vec<usize> {
        let best = |row: usize| {
            let probs = self.row(row);
            (0..probs.len())
                .max_by(|a, b| probs[*a].total_cmp(&probs[*b]).then(b.cmp(a)))
                .unwrap_or(0)
        };
        (0..self.rows).map(best).collect()
    }

    /// The probabilities of one target alone, `[rows, levels]`; `None` when it was not requested.
    pub fn marginal(&self, target: &str) -> Option<Vec<f64>> {
        let at = self.targets.iter().position(|t| t.name == target)?;
        let levels = self.targets[at].levels.len();
        let inner: usize = self.targets[at + 1..].iter().map(|t| t.levels.len()).product();
        let mut sums = vec![0.0; self.rows * levels];
        for row in 0..self.rows {
            for (i, p) in self.row(row).iter().enumerate() {
                sums[row * levels + i / inner % levels] += p;
            }
        }
        Some(sums)
    }

    /// The labels of all combinations: `yes`, or for several targets `yes|Male`.
    pub fn labels(&self) -> Vec<String> {
        (0..self.combinations())
            .map(|at| {
                self.levels_of(at)
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("|")
            })
            .collect()
    }

    fn levels_of(&self, mut at: usize) -> Vec<&Level> {
        let mut levels = Vec::with_capacity(self.targets.len());
        for target in self.targets.iter().rev() {
            levels.push(&target.levels[at % target.levels.len()]);
            at /= target.levels.len();
        }
        levels.reverse();
        levels
    }

    fn schema(&self) -> SchemaRef {
        let label = |at: usize| {
            let levels = self.levels_of(at);
            let metadata = self
                .targets
                .iter()
                .zip(&levels)
                .map(|(t, l)| (t.name.clone(), l.to_string()));
            (metadata.collect::<HashMap<_, _>>(), at)
        };
        let labels = self.labels();
        let field = |(metadata, at): (HashMap<String, String>, usize)| {
            Field::new(&labels[at], DataType::Float64, true).with_metadata(metadata)
        };
        let probs = (0..labels.len()).map(|at| field(label(at)));
        let errors = labels
            .iter()
            .map(|l| Field::new(format!("{l}|standard_error"), DataType::Float64, true));
        let errors = errors.filter(|_| self.standard_errors.is_some());
        Arc::new(Schema::new(probs.chain(errors).collect::<Vec<_>>()))
    }

    /// As columns: one for each combination, called by its label, with the label of each target in the field's metadata; where some
    /// row was estimated by sampling, standard errors follow in columns called `LABEL|standard_error`.
    ///
    /// # Errors
    /// [`EngineError::Data`] when Arrow refuses the columns.
    pub fn to_record_batch(&self) -> Result<RecordBatch, EngineError> {
        let width = self.combinations();
        let column = |values: &[f64], at: usize| -> ArrayRef {
            Arc::new(
                values
                    .iter()
                    .skip(at)
                    .step_by(width)
                    .copied()
                    .collect::<Float64Array>(),
            )
        };
        let mut columns: Vec<ArrayRef> = (0..width).map(|at| column(&self.probs, at)).collect();
        if let Some(errors) = &self.standard_errors {
            columns.extend((0..width).map(|at| column(errors, at)));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let batch = RecordBatch::try_new_with_options(self.schema(), columns, &options);
        let convert = |source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "a table of probabilities".to_owned(),
            source,
        };
        Ok(batch.map_err(convert)?)
    }
}
