//! Command-line arguments: commands and flags as they stand on the command line, each defined once for parser, help
//! and completions. They are translated into options of the engine in [`crate::options`].

mod commands;
mod common;
mod inference;
mod sample;
mod table;
mod train;
mod values;

use clap::Parser;

pub(crate) use commands::*;
pub(crate) use common::CommonArgs;
pub(crate) use inference::*;
pub(crate) use sample::{Rare, SampleArgs};
pub(crate) use table::{AnalyzeArgs, Rules, TableArgs};
pub(crate) use train::{Model, State, StateArgs, TrainArgs};
pub(crate) use values::{ColumnDomain, RebalanceShare};

const EXAMPLES: &str = "\
Examples:
  argn synthesize customers.csv -o synthetic.csv           a synthetic table in one go
  argn fit customers.parquet -w customers.ws --seed 7      learn a table, keep the model
  argn sample -w customers.ws -n 100000 -o new.parquet     draw rows from it, as often as you like
  argn fit t.csv -w t.ws --primary-key id --exclude notes --encoding zip=categorical
  argn sample -w customers.ws --seed-data some.csv -o new.csv   fix some columns, generate the rest
  argn impute holes.csv -w customers.ws -o whole.csv       fill in what is missing, leave the rest as it is
  argn proba new.csv -w customers.ws --target churn -o p.csv   how probable each value is, row by row
  argn export -w customers.ws -o customers.argn            the model in one file, without the table
  gunzip -c t.csv.gz | argn synthesize - -o - | head       through pipes

Exit codes:
  0  done            1  failed (files, disk, device)   2  wrong arguments
  3  unusable table  4  unusable workspace or model    130  stopped with Ctrl-C";

/// Learn a table and draw synthetic rows that behave like it.
#[derive(Debug, Parser)]
#[command(name = "argn", version, after_help = EXAMPLES, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_of_all_flags_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_a_help_of_one_line() {
        let mut seen = 0;
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let name = format!("{} {}", command.get_name(), argument.get_id());
                assert!(!help.is_empty() && help.len() <= 100, "{name}: {help:?}");
                assert!(!help.contains('\n'), "{name}: {help:?}");
                seen += 1;
            }
        }
        assert!(seen > 40, "{seen} arguments");
    }
}
