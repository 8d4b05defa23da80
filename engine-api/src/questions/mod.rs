//! Questions to a model: what is probable, what is missing, how likely rows are, how good the answers are.
//!
//! [`FittedTabularArgn`] answers them for record batches, and for files of any size batch by batch. The weights are put on the device
//! once, at the first question; after that a model can be asked from many threads at once.

mod answers;
mod conditions;
mod decoded;
mod draws;
mod error;
mod evaluate;
mod files;
mod impute;
mod predict;
mod probabilities;
mod scores;
mod table;
#[cfg(test)]
mod tests;

use arrow::array::RecordBatch;
use engine_core::generate::GenerateError;

pub(crate) use answers::Answers;
pub(crate) use conditions::{Given, Origin, check_names, fitted};
pub use draws::Aggregate;
pub use error::QuestionError;
pub use evaluate::{ColumnLikelihood, Compared, EvaluateOptions, Evaluation};
pub use impute::ImputeOptions;
pub use predict::{PredictOptions, Predictor};
pub use probabilities::{LogProbOptions, ProbaOptions, RowLogProbs};
pub use scores::{ClassScores, NumberScores};
pub use table::{ProbaTable, Target};

use crate::{EngineError, FittedTabularArgn};

/// How messages call a record batch.
const BATCH: &str = "the record batch";

fn batch_origin(lenient: bool) -> Origin<'static> {
    Origin {
        table: BATCH,
        first_row: 0,
        lenient,
    }
}

/// Errors of a model of one order, with what was asked of it.
pub(crate) fn fixed_order(error: GenerateError, what: &'static str) -> EngineError {
    match error {
        GenerateError::Gap { .. } | GenerateError::ColumnOrder => QuestionError::FixedOrder { what }.into(),
        other => other.into(),
    }
}

impl FittedTabularArgn {
    /// Probabilities of the values of `targets`, together when they are several, in each row, given all other columns of `rows`: one
    /// row for each, in order. Nulls are given values too; columns that are not given are left out, so that a batch of no column gives
    /// the marginal distribution. What the batch says of the targets themselves is ignored with a warning.
    ///
    /// A column with a code for each of its parts (numbers by digits, dates) can be asked for alone: its most probable values, of all
    /// rows together, get a level each, all others are in the first level.
    ///
    /// # Errors
    /// [`EngineError::Question`] and [`EngineError::Data`] say which target, column or value is at fault; [`EngineError::Generate`] when
    /// there are too many combinations.
    pub fn predict_proba(
        &self,
        rows: &RecordBatch,
        targets: &[&str],
        options: &ProbaOptions,
    ) -> Result<ProbaTable, EngineError> {
        probabilities::proba(
            &*self.answers()?,
            rows,
            batch_origin(options.lenient),
            targets,
            options,
        )
    }

    /// One value of each of `targets` in each row, given all other columns of `rows`, in order; one column for each target. Means and
    /// medians come from the distribution over values, not from draws.
    ///
    /// # Errors
    /// As [`Self::predict_proba`]; [`EngineError::Generate`] when a mean or a median is asked of texts.
    pub fn predict(
        &self,
        rows: &RecordBatch,
        targets: &[&str],
        options: &PredictOptions,
    ) -> Result<RecordBatch, EngineError> {
        predict::predict(
            &*self.answers()?,
            rows,
            batch_origin(options.lenient),
            targets,
            options,
        )
    }

    /// The log-likelihood of each row and what each column adds to it. The same rows always have the same one.
    ///
    /// # Errors
    /// [`EngineError::Question`] when a column of the model is missing or a value does not fit.
    pub fn log_prob(&self, rows: &RecordBatch, options: &LogProbOptions) -> Result<RowLogProbs, EngineError> {
        probabilities::log_prob(&*self.answers()?, rows, batch_origin(options.lenient), options)
    }

    /// Fills in missing cells, each drawn given all that is known of its row. Columns, their order and their types stay; what is known
    /// stays as it is. With [`Aggregate::List`] the columns that are filled in become lists, whose known cells have one element.
    ///
    /// # Errors
    /// [`EngineError::Question`] and [`EngineError::Data`] say which column, value or option is at fault.
    pub fn impute(&self, rows: &RecordBatch, options: &ImputeOptions) -> Result<RecordBatch, EngineError> {
        let origin = batch_origin(options.lenient);
        impute::Imputer::new(self.answers()?, rows.schema_ref(), origin, options)?.filled(rows, origin)
    }

    /// How good the answers for `target` are in rows that the model has not seen, whose target is known.
    ///
    /// # Errors
    /// [`EngineError::Question`] and [`EngineError::Data`] say which column or value is at fault.
    pub fn evaluate(
        &self,
        rows: &RecordBatch,
        target: &str,
        options: &EvaluateOptions,
    ) -> Result<Evaluation, EngineError> {
        evaluate::evaluate(
            &*self.answers()?,
            rows,
            batch_origin(options.lenient),
            target,
            options,
        )
    }
}
