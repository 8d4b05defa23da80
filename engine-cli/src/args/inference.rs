//! Flags of inference: seed data, imputation, probabilities, scores.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::{ParityColumns, RebalanceShare, delimiter, draws, parity, share};
use super::{JsonArgs, ModelArgs};

/// Seed data for the rows to draw, and the distribution that some values are to have.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Conditional sampling")]
pub(crate) struct ConditioningArgs {
    /// Table of fixed values: one row is generated for each of its rows, in order; nulls are values too
    #[arg(long, value_name = "FILE")]
    pub(crate) seed_data: Option<PathBuf>,
    /// Columns that are never drawn null or rare, and whose nulls in the seed data are drawn
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    pub(crate) impute: Vec<String>,
    /// Share that a value of a categorical column is to have; repeat it for more values and columns
    #[arg(long, value_name = "COL:VALUE=P", value_parser = share)]
    pub(crate) rebalance: Vec<RebalanceShare>,
    /// Rebalance to the row instead of in expectation
    #[arg(long, requires = "rebalance")]
    pub(crate) exact: bool,
    /// Distribute a categorical column alike in all groups of rows
    #[arg(long, value_name = "TARGET:SENSITIVE,...", value_parser = parity)]
    pub(crate) fairness: Option<ParityColumns>,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) lenient: LenientArgs,
}

/// What happens to what does not fit.
#[derive(Debug, Clone, Args)]
pub(crate) struct LenientArgs {
    /// Ignore columns, values and options that do not fit the model, with a warning
    #[arg(long, help_heading = "Conditional sampling")]
    pub(crate) lenient: bool,
}

/// The rows of a query.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Table")]
pub(crate) struct RowsArgs {
    /// The rows: .csv, .csv.gz or .parquet, or - for CSV on standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) lenient: LenientArgs,
}

/// How the rows of a query are read where they are not written like the model's table.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReadingArgs {
    /// Text of a CSV for a missing value, besides the empty field; may be repeated [default: the model's]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = "Table")]
    pub(crate) null: Vec<String>,
    /// Character between the fields of a CSV, \t for tab [default: detected]
    #[arg(long, value_name = "CHAR", value_parser = delimiter, help_heading = "Table")]
    pub(crate) delimiter: Option<char>,
}

/// Where results go.
#[derive(Debug, Clone, Args)]
pub(crate) struct OutputArgs {
    /// Where to write: .csv, .csv.gz or .parquet, or - for CSV on standard output
    #[arg(short, long, value_name = "OUT", help_heading = "Output")]
    pub(crate) output: PathBuf,
}

/// `argn impute`
#[derive(Debug, Args)]
pub(crate) struct Impute {
    #[command(flatten)]
    pub(crate) rows: RowsArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Columns to fill in [default: all that the model has]
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// Draws of each missing cell
    #[arg(long, value_name = "K", value_parser = draws, default_value = "1", allow_negative_numbers = true)]
    pub(crate) draws: NonZeroUsize,
    /// What several draws become
    #[arg(long, value_enum, value_name = "HOW", default_value = "mode")]
    pub(crate) aggregate: Aggregates,
}

/// What several draws become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Aggregates {
    /// The most frequent value
    Mode,
    /// The mean of numbers and dates
    Mean,
    /// The median of numbers and dates
    Median,
    /// All draws; in CSV as a JSON array
    List,
}

/// The target columns.
#[derive(Debug, Clone, Args)]
pub(crate) struct TargetArgs {
    /// Target column; may be repeated
    #[arg(long = "target", value_name = "COL", required = true, help_heading = "Query")]
    pub(crate) targets: Vec<String>,
}

/// The column orders.
#[derive(Debug, Clone, Args)]
pub(crate) struct OrdersArgs {
    /// Column orders whose results are averaged
    #[arg(
        long,
        value_name = "K",
        value_parser = draws,
        default_value = "1",
        help_heading = "Query",
        allow_negative_numbers = true
    )]
    pub(crate) orders: NonZeroUsize,
}

/// `argn predict`
#[derive(Debug, Args)]
pub(crate) struct Predict {
    #[command(flatten)]
    pub(crate) rows: RowsArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Which value is predicted
    #[arg(
        long,
        value_enum,
        value_name = "HOW",
        default_value = "auto",
        help_heading = "Query"
    )]
    pub(crate) by: By,
    /// Draw so many values of each row instead; more than one is a list, in CSV a JSON array
    #[arg(
        long,
        value_name = "K",
        value_parser = draws,
        conflicts_with = "by",
        help_heading = "Query",
        allow_negative_numbers = true
    )]
    pub(crate) draws: Option<NonZeroUsize>,
    #[command(flatten)]
    pub(crate) orders: OrdersArgs,
}

/// Which value is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The mean of numbers and dates, the mode of all else
    Auto,
    /// The most probable value
    Mode,
    /// The mean of the distribution
    Mean,
    /// The median of the distribution
    Median,
}

/// `argn proba`
#[derive(Debug, Args)]
pub(crate) struct Proba {
    #[command(flatten)]
    pub(crate) rows: RowsArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    #[command(flatten)]
    pub(crate) orders: OrdersArgs,
}

/// `argn log-prob`
#[derive(Debug, Args)]
pub(crate) struct LogProb {
    #[command(flatten)]
    pub(crate) rows: RowsArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) orders: OrdersArgs,
}

/// `argn evaluate`
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    /// Rows that the model has not seen: .csv, .csv.gz or .parquet, or - for CSV on standard input
    #[arg(long, value_name = "FILE", help_heading = "Query")]
    pub(crate) test: PathBuf,
    /// Column that is predicted from all others
    #[arg(long, value_name = "COL", help_heading = "Query")]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) orders: OrdersArgs,
    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
    #[command(flatten)]
    pub(crate) lenient: LenientArgs,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}
