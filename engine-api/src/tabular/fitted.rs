//! A fitted model.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;

use super::fit::{FitReport, fit};
use crate::data::{DataError, TableSink, TableSource};
use crate::event::ProgressCallback;
use crate::files::TemporaryFolder;
use crate::inference::InferenceModel;
use crate::inference::sample::{SampleBatches, SampleOptions, write_batches};
use crate::model_store::{ModelSummary, StoredModel};
use crate::options::FitOptions;
use crate::workspace::Workspace;
use crate::{Device, EngineError};

/// A model that has learnt a table.
#[derive(Debug, Clone)]
pub struct FittedTabularArgn {
    model: StoredModel,
    workspace: Workspace,
    report: Option<FitReport>,
    /// Where its queries run.
    device: Device,
    /// The model on that device, from the first query on.
    inference: Arc<Mutex<Option<Arc<InferenceModel>>>>,
    /// Keeps a temporary workspace alive.
    _temporary: Option<Arc<TemporaryFolder>>,
}

impl FittedTabularArgn {
    pub(super) fn fit(
        folder: Option<&Path>,
        table: &TableSource,
        options: &FitOptions,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<Self, EngineError> {
        let temporary = match folder {
            Some(_) => None,
            None => Some(TemporaryFolder::create()?),
        };
        let folder = folder
            .or(temporary.as_ref().map(TemporaryFolder::path))
            .unwrap_or(Path::new("engine-ws"));
        let workspace = Workspace::create(folder)?;
        let report = fit(&workspace, table, options, on_progress)?;
        let model = StoredModel::load(&workspace)?;
        Ok(Self {
            model,
            workspace,
            report: Some(report),
            device: options.train.device.clone(),
            inference: Arc::default(),
            _temporary: temporary.map(Arc::new),
        })
    }

    /// Loads a model from a workspace folder or a packed file; only `ModelStore/` is needed.
    ///
    /// # Errors
    /// [`EngineError`] says what is missing or damaged.
    pub fn load(path: &Path) -> Result<Self, EngineError> {
        let workspace = Workspace::open(path)?;
        let model = StoredModel::load(&workspace)?;
        Ok(Self {
            model,
            workspace,
            report: None,
            device: Device::default(),
            inference: Arc::default(),
            _temporary: None,
        })
    }

    /// The same model on another device, for all its queries: rows, probabilities and the like. A model that was fitted runs them on
    /// the device that it was fitted on, a loaded one on the best unless this says otherwise.
    #[must_use]
    pub fn on_device(self, device: Device) -> Self {
        Self {
            device,
            inference: Arc::default(),
            ..self
        }
    }

    /// The model on its device; it is put there once.
    pub(crate) fn inference(&self) -> Result<Arc<InferenceModel>, EngineError> {
        let mut inference = self.inference.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inference) = &*inference {
            return Ok(Arc::clone(inference));
        }
        let new = Arc::new(InferenceModel::new(&self.model, &self.device)?);
        *inference = Some(Arc::clone(&new));
        Ok(new)
    }

    /// Draws rows into memory.
    ///
    /// # Errors
    /// [`EngineError::Generate`] for unusable options.
    pub fn sample(&self, options: &SampleOptions) -> Result<RecordBatch, EngineError> {
        let batches = self.sample_batches(options)?.collect::<Result<Vec<_>, _>>()?;
        let schema = self.schema();
        let all = concat_batches(&schema, &batches).map_err(|source| DataError::Convert {
            column: "*".to_owned(),
            data_type: "one record batch".to_owned(),
            source,
        })?;
        Ok(all)
    }

    /// Draws rows batch by batch; memory does not grow with their number.
    ///
    /// # Errors
    /// [`EngineError::Generate`] for unusable options.
    pub fn sample_batches(&self, options: &SampleOptions) -> Result<SampleBatches, EngineError> {
        SampleBatches::of(options, || self.inference())
    }

    /// Draws rows into a file, `.csv`, `.csv.gz` or `.parquet`, or `-` for CSV on standard output; returns how many. The file
    /// appears whole or not at all.
    ///
    /// # Errors
    /// [`EngineError::Generate`] for unusable options, [`EngineError::Data`] when the file cannot be written,
    /// [`EngineError::Cancelled`].
    pub fn sample_to(
        &self,
        file: &Path,
        options: &SampleOptions,
        on_progress: &mut ProgressCallback<'_>,
    ) -> Result<u64, EngineError> {
        let batches = self.sample_batches(options)?;
        write_batches(
            batches,
            TableSink::create(file, self.model.format())?,
            on_progress,
        )
    }

    /// Columns and types of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.model.format().output_schema()
    }

    /// Statistics, layers and weights.
    pub fn model(&self) -> &StoredModel {
        &self.model
    }

    /// What a person wants to know of it.
    pub fn summary(&self) -> ModelSummary {
        ModelSummary::of(&self.model)
    }

    /// What the fit has done; `None` when the model was loaded.
    pub fn report(&self) -> Option<&FitReport> {
        self.report.as_ref()
    }

    /// Where it is stored.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }
}
