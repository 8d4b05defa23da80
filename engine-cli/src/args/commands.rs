//! The commands.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

use super::values::rows;
use super::{
    AnalyzeArgs, ConditioningArgs, Evaluate, Impute, LogProb, Predict, Proba, SampleArgs, StateArgs,
    TableArgs, TrainArgs,
};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Learn a table and write a synthetic one, in one go
    Synthesize(Synthesize),
    /// Learn a table: split, analyze, encode and train
    Fit(Fit),
    /// Draw synthetic rows from a model
    Sample(Sample),
    /// Impute the missing cells of a table, each given the other cells of its row
    Impute(Impute),
    /// Predict a column, row by row
    Predict(Predict),
    /// Print the probability of each value of a column, row by row
    Proba(Proba),
    /// Print the log-likelihood of each row
    LogProb(LogProb),
    /// Measure predictions and likelihood on rows that the model has not seen
    Evaluate(Evaluate),
    /// First stage: cut a table into training and validation rows
    Split(Split),
    /// Second stage: gather the statistics of the columns
    Analyze(Analyze),
    /// Third stage: turn values into codes
    Encode(Encode),
    /// Fourth stage: train the model
    Train(Train),
    /// Fifth stage: draw rows into the workspace, or into a file
    Generate(Generate),
    /// Show what a workspace holds: columns, encodings, model, training
    Info(Info),
    /// Pack a model into one file that holds no row of the table
    Export(Export),
    /// List the devices that can compute
    Devices(Devices),
    /// Print the completions for a shell
    Completions(Completions),
}

/// `argn synthesize`
#[derive(Debug, Args)]
pub(crate) struct Synthesize {
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) analyze: AnalyzeArgs,
    /// Where to write: .csv, .csv.gz or .parquet, or - for CSV on standard output
    #[arg(short, long, value_name = "OUT", help_heading = "Output")]
    pub(crate) output: PathBuf,
    /// Rows to draw [default: as many as the table has]
    #[arg(
        short = 'n',
        long,
        value_name = "ROWS",
        help_heading = "Output",
        value_parser = rows,
        allow_negative_numbers = true
    )]
    pub(crate) rows: Option<u64>,
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    #[command(flatten)]
    pub(crate) sample: SampleArgs,
}

/// `argn fit`
#[derive(Debug, Args)]
pub(crate) struct Fit {
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) analyze: AnalyzeArgs,
    #[command(flatten)]
    pub(crate) workspace: WorkspaceArgs,
    /// Delete all rows of the table from the workspace once the model is trained
    #[arg(long, help_heading = "Workspace")]
    pub(crate) discard_data: bool,
    /// Replace a finished model that is in the workspace
    #[arg(long, help_heading = "Workspace", conflicts_with = "state")]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

/// `argn sample`
#[derive(Debug, Args)]
pub(crate) struct Sample {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Rows to draw; as many as the seed data have, if there are any
    #[arg(
        short = 'n',
        long,
        value_name = "ROWS",
        help_heading = "Output",
        value_parser = rows,
        required_unless_present = "seed_data",
        allow_negative_numbers = true
    )]
    pub(crate) rows: Option<u64>,
    /// Where to write: .csv, .csv.gz or .parquet, or - for CSV on standard output
    #[arg(short, long, value_name = "OUT", help_heading = "Output")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) conditioning: ConditioningArgs,
    #[command(flatten)]
    pub(crate) sample: SampleArgs,
}

/// `argn split`
#[derive(Debug, Args)]
pub(crate) struct Split {
    #[command(flatten)]
    pub(crate) table: TableArgs,
    #[command(flatten)]
    pub(crate) workspace: WorkspaceArgs,
    /// Replace a model that is in the workspace
    #[arg(long, help_heading = "Workspace")]
    pub(crate) force: bool,
}

/// `argn analyze`
#[derive(Debug, Args)]
pub(crate) struct Analyze {
    #[command(flatten)]
    pub(crate) workspace: WorkspaceArgs,
    #[command(flatten)]
    pub(crate) analyze: AnalyzeArgs,
    /// Print why columns are encoded as they are; statistics that are there already are only read
    #[arg(long, help_heading = "Output")]
    pub(crate) explain: bool,
    /// Replace statistics, codes and a model that are in the workspace
    #[arg(long, help_heading = "Workspace")]
    pub(crate) force: bool,
}

/// `argn encode`
#[derive(Debug, Args)]
pub(crate) struct Encode {
    #[command(flatten)]
    pub(crate) workspace: WorkspaceArgs,
}

/// `argn train`
#[derive(Debug, Args)]
pub(crate) struct Train {
    #[command(flatten)]
    pub(crate) workspace: WorkspaceArgs,
    /// Replace a finished model that is in the workspace
    #[arg(long, help_heading = "Workspace", conflicts_with = "state")]
    pub(crate) force: bool,
    /// Delete all rows of the table from the workspace once the model is trained
    #[arg(long, help_heading = "Workspace")]
    pub(crate) discard_data: bool,
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    #[command(flatten)]
    pub(crate) state: StateArgs,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

/// `argn generate`
#[derive(Debug, Args)]
pub(crate) struct Generate {
    #[command(flatten)]
    pub(crate) workspace: WorkspaceArgs,
    /// Rows to draw [default: as many as the table had]
    #[arg(
        short = 'n',
        long,
        value_name = "ROWS",
        help_heading = "Output",
        value_parser = rows,
        allow_negative_numbers = true
    )]
    pub(crate) rows: Option<u64>,
    /// Where to write: .csv, .csv.gz, .parquet or - [default: the workspace's folder SyntheticData]
    #[arg(short, long, value_name = "OUT", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sample: SampleArgs,
}

/// `argn info`
#[derive(Debug, Args)]
pub(crate) struct Info {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Print the training step as the program that the device runs
    #[arg(long, conflicts_with = "json")]
    pub(crate) graph: bool,
    /// Print why each column is encoded as it is, how much of it is protected, and how to change that
    #[arg(long, conflicts_with_all = ["json", "graph"])]
    pub(crate) explain: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

/// `argn export`
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) workspace: WorkspaceArgs,
    /// The file to write, which every command that draws rows opens with -w
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// `argn devices`
#[derive(Debug, Args)]
pub(crate) struct Devices {
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

/// `argn completions`
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// The folder of a model.
#[derive(Debug, Clone, Args)]
pub(crate) struct WorkspaceArgs {
    /// Folder of the workspace, which holds table, statistics and model
    #[arg(short = 'w', long, value_name = "WS", help_heading = "Workspace")]
    pub(crate) workspace: PathBuf,
}

/// A model to look at or to draw from.
#[derive(Debug, Clone, Args)]
pub(crate) struct ModelArgs {
    /// Folder of the workspace, or a file that `argn export` has made
    #[arg(short = 'w', long, value_name = "WS", help_heading = "Workspace")]
    pub(crate) workspace: PathBuf,
}

/// For scripts.
#[derive(Debug, Clone, Args)]
pub(crate) struct JsonArgs {
    /// Print the result as JSON on standard output, for scripts
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
}
