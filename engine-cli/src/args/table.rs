//! Flags that say how a table is read and analysed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::{
    ColumnDomain, ColumnEncoding, column_domain, column_encoding, delimiter, delta, epsilon,
};

/// The table and its columns.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Table")]
pub(crate) struct TableArgs {
    /// The table: .csv, .csv.gz or .parquet, or - for CSV on standard input
    #[arg(value_name = "TABLE")]
    pub(crate) table: PathBuf,
    /// Column whose values name the rows; it is not learnt, and synthetic rows get new ones
    #[arg(long, value_name = "COL")]
    pub(crate) primary_key: Option<String>,
    /// Columns to leave out of model and output, separated by commas; may be repeated
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    pub(crate) exclude: Vec<String>,
    /// How to encode a column, for instance zip=categorical; may be repeated (types: docs/cli.md)
    #[arg(long, value_name = "COL=TYPE", value_parser = column_encoding)]
    pub(crate) encoding: Vec<ColumnEncoding>,
    /// Text of a CSV that stands for a missing value, besides the empty field; may be repeated
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) null: Vec<String>,
    /// Take NA, null, ? and other words for a missing value as values in columns of numbers and dates too
    #[arg(long)]
    pub(crate) keep_null_words: bool,
    /// Character between the fields of a CSV, \t for tab [default: detected]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub(crate) delimiter: Option<char>,
}

/// How the table is analysed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Table")]
pub(crate) struct AnalyzeArgs {
    /// Keep rare categories and extreme values as they are: they may reveal individuals
    #[arg(long, conflicts_with = "stats_epsilon")]
    pub(crate) no_value_protection: bool,
    /// Whose rules of value protection hold: ours, or those of mostlyai-engine, which protect less
    #[arg(long, value_enum, value_name = "WHOSE", default_value = "native")]
    pub(crate) compat: Rules,
    /// Make the statistics differentially private, with this epsilon for all of them together
    #[arg(long, value_name = "E", value_parser = epsilon, allow_negative_numbers = true)]
    pub(crate) stats_epsilon: Option<f64>,
    /// Delta for all statistics together; columns of unknown categories need one [default: 0]
    #[arg(
        long,
        value_name = "D",
        value_parser = delta,
        requires = "stats_epsilon",
        allow_negative_numbers = true
    )]
    pub(crate) stats_delta: Option<f64>,
    /// File with the public values of a column, one a line, which then cost no delta; may be repeated
    #[arg(long, value_name = "COL=FILE", value_parser = column_domain, requires = "stats_epsilon")]
    pub(crate) domain: Vec<ColumnDomain>,
}

/// Whose rules of value protection hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rules {
    /// All statistics of a column are protected
    Native,
    /// As mostlyai-engine does it, to compare with it
    Reference,
}
