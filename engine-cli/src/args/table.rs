//! Flags that say how a table is read and analysed.

use std::path::PathBuf;

use clap::Args;

use super::values::{ColumnEncoding, column_encoding, delimiter};

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
    /// Character between the fields of a CSV, \t for tab [default: found out]
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub(crate) delimiter: Option<char>,
}

/// How the table is analysed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Table")]
pub(crate) struct AnalyzeArgs {
    /// Keep rare categories and extreme values as they are: they may reveal individuals
    #[arg(long)]
    pub(crate) no_value_protection: bool,
}
