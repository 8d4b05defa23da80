//! Log-likelihoods of rows.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch};
use engine_core::encode::RareReplacement;
use engine_core::generate::LogProbs;
use engine_core::ir::ops::sampling::Cell;

use super::InferenceError;
use super::conditioning::TableOrigin;
use super::model::InferenceModel;
use super::proba::features;
use crate::EngineError;
use crate::data::{DataError, list_names};

/// How log-likelihoods are computed.
#[derive(Debug, Clone, PartialEq)]
pub struct LogProbOptions {
    /// Column orders whose probabilities are averaged, at least 1. Fixed-order models have one only.
    pub orders: usize,
    /// Seed of the orders, and of draws where a fixed-order model needs them.
    pub seed: u64,
    /// Whether columns of the model may be missing, which are left out then, and values that do not fit are read as null.
    pub lenient: bool,
}

impl Default for LogProbOptions {
    fn default() -> Self {
        Self {
            orders: 1,
            seed: 0,
            lenient: false,
        }
    }
}

/// Log-likelihoods of rows, in nats.
#[derive(Debug, Clone, PartialEq)]
pub struct RowLogProbs {
    /// One per row, finite and at most 0. A binned number counts with the mass of its bin, a null with the mass of null, a value that
    /// the model does not know with that of rare values, or of the nearest one it knows.
    pub rows: Vec<f64>,
    /// Names of the columns of the model.
    pub columns: Vec<String>,
    /// `[rows, columns]`: what each column adds to its row, given those before it; averaged over the orders. 0 for what is left out.
    pub by_column: Vec<f64>,
    /// Standard errors of `rows`, where a fixed-order model had to draw what is left out.
    pub standard_errors: Option<Vec<f64>>,
}

impl RowLogProbs {
    /// As columns: `log_prob`, `log_prob|NAME` for each column of the model, and `log_prob|standard_error` where there are any.
    ///
    /// # Errors
    /// [`EngineError::Data`] when Arrow refuses the columns.
    pub fn to_record_batch(&self) -> Result<RecordBatch, EngineError> {
        let column = |values: &mut dyn Iterator<Item = f64>| -> ArrayRef {
            // NaN stands where a sum over what is left out has no parts.
            Arc::new(
                values
                    .map(|v| (!v.is_nan()).then_some(v))
                    .collect::<Float64Array>(),
            )
        };
        let mut columns = vec![("log_prob".to_owned(), column(&mut self.rows.iter().copied()))];
        for (at, name) in self.columns.iter().enumerate() {
            let mut values = self
                .by_column
                .iter()
                .skip(at)
                .step_by(self.columns.len())
                .copied();
            columns.push((format!("log_prob|{name}"), column(&mut values)));
        }
        if let Some(errors) = &self.standard_errors {
            columns.push((
                "log_prob|standard_error".to_owned(),
                column(&mut errors.iter().copied()),
            ));
        }
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        let convert = |source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "a table of log-likelihoods".to_owned(),
            source,
        };
        Ok(RecordBatch::try_from_iter_with_nullable(columns).map_err(convert)?)
    }
}

/// Log-likelihood of rows.
pub(crate) fn log_prob(
    model: &InferenceModel,
    batch: &RecordBatch,
    origin: TableOrigin<'_>,
    options: &LogProbOptions,
) -> Result<RowLogProbs, EngineError> {
    let given = features(model, batch, origin, &[])?.counting_nulls();
    let missing: Vec<&str> = model
        .columns
        .iter()
        .zip(&given.arrays)
        .filter(|(_, array)| array.is_none())
        .map(|(column, _)| column.name.as_str())
        .collect();
    if !missing.is_empty() && !options.lenient {
        return Err(InferenceError::Missing {
            table: origin.table.to_owned(),
            columns: list_names(missing.into_iter()),
            why: "the likelihood of a row needs all columns of the model",
            may_be_missing: true,
        }
        .into());
    }
    let asked = model.probability(options.orders, options.seed, RareReplacement::default());
    let LogProbs {
        rows,
        columns,
        standard_errors,
    } = model
        .likelihood(&asked)?
        .run(&model.loaded, &given.cells(model, Cell::Masked))?;
    Ok(RowLogProbs {
        rows,
        columns: model.columns.iter().map(|c| c.name.clone()).collect(),
        by_column: columns,
        standard_errors,
    })
}
