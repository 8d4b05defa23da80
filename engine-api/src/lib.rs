//! What users import: fit a generative model to a private table once, then sample synthetic rows, impute missing cells, predict columns or
//! score rows with it as often as you like. The crate adds to [`engine_core`] what a whole job needs: readers and writers of CSV, Parquet
//! and Arrow record batches, a workspace on disk that survives interruptions, devices by name, progress and cancellation, and errors that
//! say what to do. [`TabularArgn`] has the options of a fit and gives a [`FittedTabularArgn`], which is shared by all threads.
//!
//! ```
//! use std::sync::Arc;
//!
//! use arrow_array::{Int64Array, RecordBatch, StringArray};
//! use engine_api::{SampleOptions, TabularArgn, silent};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let ages = Int64Array::from_iter_values((0..200).map(|i| 20 + i % 40));
//! let jobs = StringArray::from_iter_values((0..200).map(|i| ["clerk", "nurse", "cook"][i % 3]));
//! let table = RecordBatch::try_from_iter([("age", Arc::new(ages) as _), ("job", Arc::new(jobs) as _)])?;
//!
//! let model = TabularArgn::builder().seed(7).max_epochs(2.0).build().fit(&table, &mut silent)?;
//! let rows = model.sample(&SampleOptions { seed: Some(1), ..SampleOptions::rows(50) })?;
//! assert_eq!((rows.num_rows(), rows.schema().field(1).name().as_str()), (50, "job"));
//! # Ok(())
//! # }
//! ```
//!
//! The files of a job are in a [`Workspace`], a folder in the layout of mostlyai-engine; the [`stages`] of a job (split, analyze, encode,
//! train, generate) can be run one by one. Sampling needs only its folder `ModelStore/`, which [`Workspace::export`] packs into one file.

pub mod data;
mod device;
mod error;
mod event;
pub mod files;
mod identity;
mod inference;
mod metrics;
pub mod model_store;
mod options;
mod seed;
pub mod stages;
mod tabular;
mod workspace;

pub use device::{Device, devices, limit_threads};
pub use engine_core::argn::ModelSize;
pub use engine_core::backend::DeviceInfo;
pub use engine_core::encode::{
    Compat, EncodeError, EncodingType, EncodingTypes, Explanation, Protection, RareReplacement, Reason,
    StatsBudget,
};
pub use engine_core::generate::{GenerateError, Level};
pub use engine_core::ir::FoldError;
pub use engine_core::privacy::{LedgerEntry, Mechanism, NeighbouringRelation, PrivacyLedger};
pub use engine_core::remedy::{Job, OptionKey, Remedy, with_remedies};
pub use engine_core::train::{Progress, ProgressMessage, StopReason, TrainError, TrainReport};
pub use error::{Artefact, EngineError};
pub use event::{Event, ProgressCallback, Stage, silent};
pub use identity::{Identity, TableDigest};
pub use inference::{
    Aggregate, ColumnLikelihood, ColumnOrder, Compared, EvaluateOptions, Evaluation, ImputeOptions,
    InferenceError, LogProbOptions, Parity, PredictOptions, Predictor, ProbaOptions, ProbaTable, Rebalance,
    RowLogProbs, SampleBatches, SampleOptions, SampleOptionsBuilder, Target,
};
pub use metrics::{ClassScores, NumberScores};
pub use model_store::{ColumnSummary, ModelSummary, StoredModel};
pub use options::{AnalyzeOptions, EncodeOptions, FitOptions, ModelState, SplitOptions, TrainOptions};
pub use seed::draw_seed;
pub use tabular::{FitReport, FittedTabularArgn, TabularArgn, TabularArgnBuilder, fit};
pub use workspace::{Marker, WORKSPACE_VERSION, Workspace, WorkspaceLayout};
