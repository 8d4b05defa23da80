//! Queries to a fitted model besides sampling: probabilities, predictions, likelihoods, missing cells, scores.

use std::path::Path;

use arrow_array::RecordBatch;

use super::FittedTabularArgn;
use crate::EngineError;
use crate::data::{ReadOptions, TableSource};
use crate::event::ProgressCallback;
use crate::inference::{
    EvaluateOptions, Evaluation, ImputeOptions, LogProbOptions, PredictOptions, ProbaOptions, ProbaTable,
    RowLogProbs, TableOrigin, evaluate, files, impute, log_prob, predict, proba,
};

/// How messages call a record batch.
const BATCH: &str = "the record batch";

fn batch_origin(lenient: bool) -> TableOrigin<'static> {
    TableOrigin {
        table: BATCH,
        first_row: 0,
        lenient,
        unknown: None,
    }
}

impl FittedTabularArgn {
    /// Probabilities of the values of `targets`, together when they are several, in each row, given all other columns of `rows`: one
    /// row for each, in order. Nulls are given values too; columns that are not given are left out, so that a batch of no column gives
    /// the marginal distribution. What the batch says of the targets themselves is ignored with a warning.
    ///
    /// A column with a code for each of its parts (numbers by digits, dates) can be a target alone: its most probable values, of all
    /// rows together, get a level each, all others are in the first level.
    ///
    /// # Errors
    /// [`EngineError::Inference`] and [`EngineError::Data`] say which target, column or value is at fault; [`EngineError::Generate`] when
    /// there are too many combinations.
    pub fn predict_proba(
        &self,
        rows: &RecordBatch,
        targets: &[&str],
        options: &ProbaOptions,
    ) -> Result<ProbaTable, EngineError> {
        proba::proba(
            &*self.inference()?,
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
    /// As [`Self::predict_proba`]; [`EngineError::Generate`] when a mean or a median is requested of texts.
    pub fn predict(
        &self,
        rows: &RecordBatch,
        targets: &[&str],
        options: &PredictOptions,
    ) -> Result<RecordBatch, EngineError> {
        predict::predict(
            &*self.inference()?,
            rows,
            batch_origin(options.lenient),
            targets,
            options,
        )
    }

    /// The log-likelihood of each row and what each column adds to it. The same rows always have the same one.
    ///
    /// # Errors
    /// [`EngineError::Inference`] when a column of the model is missing or a value does not fit.
    pub fn log_prob(&self, rows: &RecordBatch, options: &LogProbOptions) -> Result<RowLogProbs, EngineError> {
        log_prob::log_prob(&*self.inference()?, rows, batch_origin(options.lenient), options)
    }

    /// Fills in missing cells, each drawn given the observed cells of its row. Columns, their order and their types stay; observed cells
    /// stay as they are. With [`Aggregate::List`](crate::Aggregate::List) the columns that are filled in become lists, whose observed cells have one element.
    ///
    /// # Errors
    /// [`EngineError::Inference`] and [`EngineError::Data`] say which column, value or option is at fault.
    pub fn impute(&self, rows: &RecordBatch, options: &ImputeOptions) -> Result<RecordBatch, EngineError> {
        let origin = batch_origin(options.lenient);
        impute::Imputer::new(self.inference()?, rows.schema_ref(), origin, options)?.filled(rows, origin)
    }

    /// How good the predictions of `target` are in rows that the model has not seen, whose target is known.
    ///
    /// # Errors
    /// [`EngineError::Inference`] and [`EngineError::Data`] say which column or value is at fault.
    pub fn evaluate(
        &self,
        rows: &RecordBatch,
        target: &str,
        options: &EvaluateOptions,
    ) -> Result<Evaluation, EngineError> {
        evaluate::evaluate(
            &*self.inference()?,
            rows,
            batch_origin(options.lenient),
            target,
            options,
        )
    }

    /// Opens a table of rows for a query: columns of which the model knows texts are read as texts, and there may be no row; a file of no
    /// byte is a table of all columns without a row.
    ///
    /// # Errors
    /// [`EngineError::Data`] as [`TableSource::open`].
    pub fn open_rows(&self, path: &Path, reading: &ReadOptions) -> Result<TableSource, EngineError> {
        files::open_rows(self.model().format(), path, reading)
    }

    /// [`Self::predict_proba`] for a table, into a file; returns the number of rows.
    ///
    /// # Errors
    /// As there, and [`EngineError::Data`] when the file cannot be written; [`EngineError::Cancelled`].
    pub fn predict_proba_to(
        &self,
        rows: &TableSource,
        output: &Path,
        targets: &[&str],
        options: &ProbaOptions,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<u64, EngineError> {
        files::proba_to(&*self.inference()?, rows, output, (targets, options), on_progress)
    }

    /// [`Self::predict`] for a table, into a file; returns the number of rows. Lists of draws are JSON arrays in CSV.
    ///
    /// # Errors
    /// As there, and [`EngineError::Data`] when the file cannot be written; [`EngineError::Cancelled`].
    pub fn predict_to(
        &self,
        rows: &TableSource,
        output: &Path,
        targets: &[&str],
        options: &PredictOptions,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<u64, EngineError> {
        files::predict_to(&*self.inference()?, rows, output, (targets, options), on_progress)
    }

    /// [`Self::log_prob`] for a table, into a file of the column `log_prob` and one column `log_prob|NAME` for each column of the model;
    /// returns the number of rows.
    ///
    /// # Errors
    /// As there, and [`EngineError::Data`] when the file cannot be written; [`EngineError::Cancelled`].
    pub fn log_prob_to(
        &self,
        rows: &TableSource,
        output: &Path,
        options: &LogProbOptions,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<u64, EngineError> {
        files::log_prob_to(&*self.inference()?, rows, output, options, on_progress)
    }

    /// [`Self::evaluate`] for a table.
    ///
    /// # Errors
    /// As there, and [`EngineError::Data`] when the table cannot be read.
    pub fn evaluate_table(
        &self,
        rows: &TableSource,
        target: &str,
        options: &EvaluateOptions,
    ) -> Result<Evaluation, EngineError> {
        files::evaluate_table(&*self.inference()?, rows, target, options)
    }

    /// [`Self::impute`] for a table, into a file; returns the number of rows. From CSV to CSV every byte of the observed cells, of
    /// columns that are not filled in and of the header stays.
    ///
    /// # Errors
    /// As there, and [`EngineError::Data`] when the file cannot be written; [`EngineError::Cancelled`].
    pub fn impute_to(
        &self,
        rows: &TableSource,
        output: &Path,
        options: &ImputeOptions,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<u64, EngineError> {
        files::impute_to(self.inference()?, rows, output, options, on_progress)
    }
}
