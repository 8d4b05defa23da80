//! Why a command ended without success: one sentence, and a number for scripts.

use std::io;
use std::process::ExitCode;

use engine_api::data::DataError;
use engine_api::{EncodeError, EngineError, FoldError, GenerateError, InferenceError, TrainError};

use crate::messages;
use crate::terminal::Terminal;

/// How the program ends. The numbers are documented in `--help` and docs/cli.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// Files, disk or device failed.
    Failed = 1,
    /// An argument makes no sense, by itself or for this table.
    Arguments = 2,
    /// The table cannot be used.
    Table = 3,
    /// The workspace or its model cannot be used.
    Workspace = 4,
    /// The user asked to stop: 128 plus the number of the signal, as shells have it.
    Stopped = 130,
}

/// Why a command ended without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The engine says why.
    Engine(EngineError),
    /// Standard output cannot be written to.
    Output(io::Error),
    /// The user asked to stop; the text says what there is now.
    Stopped(String),
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        Self::Engine(error.into())
    }
}

impl Failure {
    /// Says why, and gives the exit code. That the reader of a pipe has gone away is success.
    pub(crate) fn report(&self, terminal: &Terminal) -> ExitCode {
        let (text, status) = match self {
            Self::Engine(error) if error.is_closed_pipe() => return ExitCode::SUCCESS,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Engine(error) => (messages::error(error), status(error)),
            Self::Output(error) => (
                format!("standard output: cannot write it: {error}"),
                ExitStatus::Failed,
            ),
            Self::Stopped(what) => {
                terminal.report(what);
                return ExitCode::from(ExitStatus::Stopped as u8);
            }
        };
        terminal.print(&format!("error: {text}"));
        ExitCode::from(status as u8)
    }
}

fn status(error: &EngineError) -> ExitStatus {
    use EngineError as E;
    match error {
        E::Data(error) => status_of_data(error),
        E::Encode { source, .. } | E::Codes(source) => status_of_encoding(source),
        E::Train(TrainError::State(_) | TrainError::ParameterCount { .. }) => ExitStatus::Workspace,
        E::Train(TrainError::Limit { .. }) => ExitStatus::Arguments,
        E::Generate(GenerateError::ParameterCount { .. }) => ExitStatus::Workspace,
        E::Generate(GenerateError::Backend(_) | GenerateError::Fold(FoldError::TooLarge { .. })) => {
            ExitStatus::Failed
        }
        E::Generate(_) => ExitStatus::Arguments,
        E::Inference(error) => status_of_inference(error),
        E::UnknownDevice { .. }
        | E::DeviceNotBuilt { .. }
        | E::EncodingOfKey { .. }
        | E::EncodingOfType { .. }
        | E::KeysExhausted { .. }
        | E::OutOfRange { .. } => ExitStatus::Arguments,
        E::TooFewRows { .. } | E::NoModelColumns { .. } | E::DuplicateKey { .. } | E::KeyType { .. } => {
            ExitStatus::Table
        }
        E::Model(_)
        | E::Sizes(_)
        | E::State(_)
        | E::WorkspaceMissing { .. }
        | E::NotAWorkspace { .. }
        | E::NotAPackedModel { .. }
        | E::Packed { .. }
        | E::NewerVersion { .. }
        | E::Lacks { .. }
        | E::ModelExists { .. }
        | E::DoesNotBelong { .. }
        | E::OtherTable { .. }
        | E::UnknownTable { .. }
        | E::OtherCodes { .. }
        | E::Corrupt { .. }
        | E::WeightsDoNotFit { .. }
        | E::CodesDoNotFit { .. } => ExitStatus::Workspace,
        E::Cancelled { .. } => ExitStatus::Stopped,
        _ => ExitStatus::Failed,
    }
}

fn status_of_data(error: &DataError) -> ExitStatus {
    match error {
        DataError::File(_) | DataError::ParquetWrite { .. } => ExitStatus::Failed,
        DataError::UnknownFormat { .. }
        | DataError::Delimiter { .. }
        | DataError::AllExcluded { .. }
        | DataError::UnknownColumn { .. } => ExitStatus::Arguments,
        DataError::FormatJson { .. } | DataError::FormatVersion { .. } => ExitStatus::Workspace,
        _ => ExitStatus::Table,
    }
}

fn status_of_inference(error: &InferenceError) -> ExitStatus {
    match error {
        InferenceError::NoModelColumn { .. }
        | InferenceError::Type { .. }
        | InferenceError::Value { .. }
        | InferenceError::Missing { .. }
        | InferenceError::NoTruth { .. } => ExitStatus::Table,
        _ => ExitStatus::Arguments,
    }
}

fn status_of_encoding(error: &EncodeError) -> ExitStatus {
    match error {
        EncodeError::UnknownEncoding { .. }
        | EncodeError::Unsupported { .. }
        | EncodeError::NoSubjects { .. }
        | EncodeError::MissingColumn { .. }
        | EncodeError::Budget { .. }
        | EncodeError::BudgetLacksDelta { .. }
        | EncodeError::EncodingWithoutBudget { .. }
        | EncodeError::NeedlessDomain { .. }
        | EncodeError::DomainValue { .. } => ExitStatus::Arguments,
        EncodeError::NoRandomness(_) => ExitStatus::Failed,
        EncodeError::Infinite { .. }
        | EncodeError::ParseFailures { .. }
        | EncodeError::ShortYear { .. }
        | EncodeError::WrongValues { .. } => ExitStatus::Table,
        _ => ExitStatus::Workspace,
    }
}
