//! [`TabularArgn`]: learn a table once, then sample as often as you like.

mod fit;
mod fitted;
mod inference;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use engine_core::argn::ModelSize;
use engine_core::encode::{Compat, EncodingType, Protection, StatsBudget};

pub use fit::{FitReport, fit};
pub use fitted::FittedTabularArgn;

use crate::data::{DataError, ReadOptions, TableSource};
use crate::event::ProgressCallback;
use crate::{Device, EngineError, FitOptions, ModelState, Workspace};

/// How a table is learnt; nothing happens before [`Self::fit`].
#[derive(Debug, Clone, Default)]
pub struct TabularArgn {
    workspace: Option<PathBuf>,
    reading: ReadOptions,
    options: FitOptions,
}

/// Builds a [`TabularArgn`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct TabularArgnBuilder {
    argn: TabularArgn,
}

impl TabularArgn {
    /// Begins with the defaults: a medium any-order model, value protection on, training until early
    /// stopping, in a temporary workspace.
    pub fn builder() -> TabularArgnBuilder {
        TabularArgnBuilder::default()
    }

    /// Learns a record batch.
    ///
    /// # Errors
    /// [`EngineError`], see [`fit`].
    pub fn fit(
        &self,
        table: &RecordBatch,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<FittedTabularArgn, EngineError> {
        let source = TableSource::from_batches("table", &table.schema(), vec![table.clone()], &self.reading);
        self.fit_opened(source, on_progress)
    }

    /// Learns a file: `.csv`, `.csv.gz` or `.parquet`.
    ///
    /// # Errors
    /// [`EngineError`], see [`fit`].
    pub fn fit_file(
        &self,
        table: &Path,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<FittedTabularArgn, EngineError> {
        self.fit_opened(TableSource::open(table, &self.reading), on_progress)
    }

    /// Learns a table from any source; roles of its columns are those of the source.
    ///
    /// # Errors
    /// [`EngineError`], see [`fit`].
    pub fn fit_source(
        &self,
        table: &TableSource,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<FittedTabularArgn, EngineError> {
        let fitted = FittedTabularArgn::fit(self.workspace.as_deref(), table, &self.options, on_progress);
        self.discard_after(fitted)
    }

    fn fit_opened(
        &self,
        table: Result<TableSource, DataError>,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<FittedTabularArgn, EngineError> {
        match table {
            Ok(table) => self.fit_source(&table, on_progress),
            Err(error) => self.discard_after(Err(error.into())),
        }
    }

    /// Data that are to be discarded go also when nothing could be begun.
    fn discard_after<T>(&self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        match &self.workspace {
            Some(workspace) if result.is_err() && self.options.discard_data => {
                Workspace::discard_data_at(workspace)?;
            }
            _ => {}
        }
        result
    }
}

impl TabularArgnBuilder {
    /// Folder of the workspace, which keeps table, statistics and model; without it a temporary folder that
    /// lives as long as the fitted model.
    pub fn workspace(mut self, folder: impl Into<PathBuf>) -> Self {
        self.argn.workspace = Some(folder.into());
        self
    }

    /// Size of the model.
    pub fn model(mut self, size: ModelSize) -> Self {
        self.argn.options.train.model = size;
        self
    }

    /// Epochs at most; fractions are allowed, 0 stores the initial weights.
    pub fn max_epochs(mut self, epochs: f64) -> Self {
        self.argn.options.train.max_epochs = epochs;
        self
    }

    /// Minutes at most.
    pub fn max_minutes(mut self, minutes: f64) -> Self {
        self.argn.options.train.max_minutes = minutes;
        self
    }

    /// Rows of a batch; without it a number that follows from the table and the model.
    pub fn batch_size(mut self, rows: usize) -> Self {
        self.argn.options.train.batch_size = Some(rows);
        self
    }

    /// Learns the order of the columns only, instead of any order.
    pub fn fixed_order(mut self, fixed: bool) -> Self {
        self.argn.options.train.fixed_order = fixed;
        self
    }

    /// Whether the biases of the predictors are calibrated at the end, so that generated rows have the marginals of the table; they are by
    /// default.
    pub fn calibrate(mut self, calibrate: bool) -> Self {
        self.argn.options.train.calibrate = calibrate;
        self
    }

    /// Encoding of a column; the others follow from their types.
    pub fn encoding(mut self, column: impl Into<String>, encoding: EncodingType) -> Self {
        self.argn.options.split.encodings.insert(column.into(), encoding);
        self
    }

    /// Column whose values name the rows: it is not learnt, and synthetic rows get new ones.
    pub fn primary_key(mut self, column: impl Into<String>) -> Self {
        self.argn.reading.primary_key = Some(column.into());
        self
    }

    /// Leaves a column out of model and output.
    pub fn exclude(mut self, column: impl Into<String>) -> Self {
        self.argn.reading.exclude.push(column.into());
        self
    }

    /// Value protection; on by default.
    pub fn protection(mut self, protection: Protection) -> Self {
        self.argn.options.protection = protection;
        self
    }

    /// Whose rules hold where ours are stricter than those of mostlyai-engine; ours by default.
    pub fn compat(mut self, compat: Compat) -> Self {
        self.argn.options.compat = compat;
        self
    }

    /// Makes the statistics differentially private within this budget; without it rare values are protected.
    pub fn stats_budget(mut self, budget: StatsBudget) -> Self {
        self.argn.options.stats_budget = Some(budget);
        self
    }

    /// What happens to a model that is in the workspace already.
    pub fn state(mut self, state: ModelState) -> Self {
        self.argn.options.state = Some(state);
        self
    }

    /// Removes all rows of the table from the workspace in the end.
    pub fn discard_data(mut self, discard: bool) -> Self {
        self.argn.options.discard_data = discard;
        self
    }

    /// Seed of everything random: the same seed gives the same model for any number of threads.
    pub fn seed(mut self, seed: u64) -> Self {
        self.argn.options.split.seed = Some(seed);
        self
    }

    /// Where the training runs.
    pub fn device(mut self, device: Device) -> Self {
        self.argn.options.train.device = device;
        self
    }

    /// The finished description.
    pub fn build(self) -> TabularArgn {
        self.argn
    }
}
