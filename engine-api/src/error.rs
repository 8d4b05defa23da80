//! What can go wrong for a user, each in one sentence that says where and what to do.

use std::fmt;
use std::path::PathBuf;

use engine_core::argn::{ModelError, SizeError};
use engine_core::backend::BackendError;
use engine_core::encode::{EncodeError, EncodingType};
use engine_core::generate::GenerateError;
use engine_core::remedy::{Job, OptionKey, Remedy};
use engine_core::train::{StateError, TrainError};
use thiserror::Error;

use crate::data::DataError;
use crate::event::Stage;
use crate::files::FileError;
use crate::inference::InferenceError;

/// Why a job of the engine failed. Rows count from 1 in the texts.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// A table cannot be read or written.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Values of a table do not suit their encoding.
    #[error("{table}: {source}")]
    Encode {
        /// The table, as its source is called.
        table: String,
        /// What is wrong, with rows of the user's table.
        source: EncodeError,
    },
    /// Codes cannot be decoded, or statistics cannot be read.
    #[error(transparent)]
    Codes(#[from] EncodeError),
    /// The layers of a model cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No such model size, or layers that do not belong to the statistics.
    #[error(transparent)]
    Sizes(#[from] SizeError),
    /// The training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A training state cannot be taken up.
    #[error(transparent)]
    State(#[from] StateError),
    /// Rows cannot be generated.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// A query cannot be run.
    #[error(transparent)]
    Inference(#[from] InferenceError),
    /// The device failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The device cannot be opened.
    #[error("the device {device} cannot be used: {reason}")]
    Device {
        /// Name as given.
        device: String,
        /// What the backend says.
        reason: String,
        /// What can be done about it.
        remedies: Vec<Remedy>,
    },
    /// No device has this name.
    #[error("there is no device {device:?}; use {known}")]
    UnknownDevice {
        /// Name as given, shortened.
        device: String,
        /// Devices of this program.
        known: String,
    },
    /// The device is known, but this program was built without it.
    #[error(
        "the device {device:?} is not built into this program; use {known}, or build it with the feature `{device}`"
    )]
    DeviceNotBuilt {
        /// Name of the device and of the feature.
        device: &'static str,
        /// Devices of this program.
        known: String,
    },
    /// A table is too short to train and to validate.
    #[error("{table}: the table has {rows} row; give at least two, one to train on and one to validate on")]
    TooFewRows {
        /// The table.
        table: String,
        /// Its rows.
        rows: u64,
    },
    /// There is no column left to learn.
    #[error(
        "{table}: no column is left for the model; give a table with a column that is neither a key nor excluded"
    )]
    NoModelColumns {
        /// The table.
        table: String,
    },
    /// An encoding is requested for a column that is no part of the model.
    #[error(
        "column {column:?} is the primary key and no part of the model; leave out its encoding, or the primary key"
    )]
    EncodingOfKey {
        /// Name of the column.
        column: String,
    },
    /// What an encoding decodes to is no value of the column's type.
    #[error(
        "column {column:?} of the type {data_type} cannot come back from the encoding {encoding}; use categorical, or leave \
         the encoding out"
    )]
    EncodingOfType {
        /// Name of the column.
        column: String,
        /// The encoding that was requested.
        encoding: EncodingType,
        /// Its Arrow type.
        data_type: String,
    },
    /// Two rows have one primary key.
    #[error(
        "{table}: rows {first} and {second} have the same value in the primary key column {column:?}; choose a column \
         whose values are all different, or exclude this one"
    )]
    DuplicateKey {
        /// The table.
        table: String,
        /// Name of the column.
        column: String,
        /// The earlier row, from 1.
        first: u64,
        /// The later row, from 1.
        second: u64,
    },
    /// No new keys can be made for a column.
    #[error(
        "column {column:?} of the type {data_type} cannot be a primary key; use a column of text or of whole numbers, or \
         exclude it"
    )]
    KeyType {
        /// Name of the column.
        column: String,
        /// Its Arrow type.
        data_type: String,
    },
    /// The type of the key column has fewer values than rows are requested.
    #[error(
        "column {column:?} of the type {data_type} has {max} different keys, {rows} rows are requested; request \
         fewer rows"
    )]
    KeysExhausted {
        /// Name of the column.
        column: String,
        /// Its Arrow type.
        data_type: String,
        /// Keys that the type holds.
        max: u64,
        /// Rows requested.
        rows: u64,
    },
    /// A number is outside its range.
    #[error("{name} is {value}; give {allowed}")]
    OutOfRange {
        /// What it is.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// There is no such workspace.
    #[error("{}: there is no workspace", path.display())]
    WorkspaceMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder holds something else.
    #[error(
        "{}: this folder is not empty and is no workspace; choose an empty or a new folder", path.display()
    )]
    NotAWorkspace {
        /// The folder.
        path: PathBuf,
    },
    /// A file is neither a workspace nor a packed model.
    #[error(
        "{}: this is no packed model, or it is damaged ({reason}); give a workspace folder or a file that was exported from one",
        path.display()
    )]
    NotAPackedModel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A stage needs a folder, a packed model is given.
    #[error(
        "{}: this is a packed model, which only samples; give a workspace folder to {stage}", path.display()
    )]
    Packed {
        /// The file.
        path: PathBuf,
        /// What was to be done.
        stage: Stage,
    },
    /// A workspace was made by a newer version of this program.
    #[error(
        "{}: the workspace has version {found}, this program reads up to {supported}; use a newer version of it",
        path.display()
    )]
    NewerVersion {
        /// The workspace.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that is understood.
        supported: u32,
    },
    /// A workspace lacks what a command needs.
    #[error("{}: there is no {what}", path.display())]
    Lacks {
        /// The workspace.
        path: PathBuf,
        /// What is missing, with its place in the workspace.
        what: &'static str,
        /// The job that makes it.
        made_by: Job,
    },
    /// A workspace already holds a finished model.
    #[error("{}: there is a trained model already", path.display())]
    ModelExists {
        /// The workspace.
        path: PathBuf,
    },
    /// Something in a workspace was made from what has been replaced since.
    #[error("{}: {what}", path.display())]
    DoesNotBelong {
        /// The workspace.
        path: PathBuf,
        /// What does not belong to the rest.
        what: Artefact,
        /// The job that makes it anew.
        made_by: Job,
    },
    /// A fit is to go on with another table than it was begun with.
    #[error(
        "{}: {table} is not the table that this workspace has learnt",
        path.display()
    )]
    OtherTable {
        /// The workspace.
        path: PathBuf,
        /// The table that was given.
        table: String,
    },
    /// A fit is to be resumed, but nothing says whether with the same table.
    #[error(
        "{}: nothing shows whether {table} is the table that this workspace has learnt, for its data were discarded or another \
         engine made it", path.display()
    )]
    UnknownTable {
        /// The workspace.
        path: PathBuf,
        /// The table that was given.
        table: String,
    },
    /// A training is to be resumed on other codes than it was begun with.
    #[error(
        "{}: the training was begun on other codes than are there now",
        path.display()
    )]
    OtherCodes {
        /// The workspace.
        path: PathBuf,
    },
    /// A file of a workspace cannot be understood.
    #[error("{}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The job that makes it.
        made_by: Job,
    },
    /// The weights are those of another model than the statistics describe.
    #[error(
        "{}: tensor {tensor:?} {problem}; the weights do not belong to these statistics",
        path.display()
    )]
    WeightsDoNotFit {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Encoded data do not belong to the statistics.
    #[error(
        "{}: column {column:?} {problem}; the codes do not belong to these statistics",
        path.display()
    )]
    CodesDoNotFit {
        /// The file.
        path: PathBuf,
        /// Name of the sub-column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No random seed can be drawn.
    #[error("the system gives no random seed ({reason})")]
    NoSeed {
        /// What the system says.
        reason: String,
    },
    /// The progress callback asked to stop.
    #[error("stopped on request during {stage}")]
    Cancelled {
        /// What was being done.
        stage: Stage,
    },
    /// A thread of the engine ended unexpectedly.
    #[error("a thread that {task} ended unexpectedly; please report this")]
    Thread {
        /// What it did.
        task: &'static str,
    },
}

impl EngineError {
    /// What a user can do about it, beside what the text says: options to set and jobs to run, which a command line or another
    /// language puts into its own words. One of them is enough.
    pub fn remedies(&self) -> Vec<Remedy> {
        let state = |value: &str| Remedy::SetOption {
            option: OptionKey::State,
            value: Some(value.to_owned()),
        };
        match self {
            Self::Backend(error)
            | Self::Train(TrainError::Backend(error))
            | Self::Generate(GenerateError::Backend(error)) => error.remedies(),
            Self::Device { remedies, .. } => remedies.clone(),
            Self::Inference(error) => error.remedies(),
            Self::WorkspaceMissing { .. } => vec![Remedy::run(Job::Fit)],
            Self::Lacks { made_by, .. } => vec![Remedy::run(*made_by)],
            Self::Corrupt { made_by, .. } => vec![Remedy::run_again(*made_by)],
            Self::WeightsDoNotFit { .. } => vec![Remedy::run_again(Job::Train)],
            Self::CodesDoNotFit { .. } => vec![Remedy::run_again(Job::Encode)],
            Self::ModelExists { .. } => {
                vec![Remedy::set(OptionKey::Replace), state("reuse"), state("resume")]
            }
            Self::DoesNotBelong { made_by, .. } => vec![Remedy::run_again(*made_by)],
            Self::OtherTable { .. } => vec![Remedy::set(OptionKey::Replace)],
            Self::UnknownTable { .. } => vec![Remedy::set(OptionKey::Replace), state("reuse")],
            Self::OtherCodes { .. } => vec![Remedy::run_again(Job::TrainAnew), state("reuse")],
            Self::NoSeed { .. } => vec![Remedy::set(OptionKey::Seed)],
            _ => Vec::new(),
        }
    }

    /// Whether the reader of a pipe has gone away, which for a command is success.
    pub fn is_closed_pipe(&self) -> bool {
        match self {
            Self::Data(error) => error.is_closed_pipe(),
            Self::File(error) => matches!(error, FileError::Closed { .. }),
            _ => false,
        }
    }

    /// Whether the progress callback asked to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

/// What stages make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Artefact {
    /// The rows, split.
    Table,
    /// The statistics.
    Statistics,
    /// The codes.
    Codes,
    /// The weights, and what a training needs to go on.
    Model,
}

impl fmt::Display for Artefact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "the table was to be replaced by another, which was interrupted",
            Self::Statistics => "the statistics are those of an older table or analysis",
            Self::Codes => "the codes are those of an older table or older statistics",
            Self::Model => "the model is that of an older table or older statistics",
        })
    }
}
