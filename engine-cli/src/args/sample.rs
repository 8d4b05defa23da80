//! Flags of drawing rows.

use clap::{Args, ValueEnum};

use super::values::{temperature, top_p};

/// How rows are drawn.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SampleArgs {
    /// Below 1: more typical rows, above 1: more unusual ones
    #[arg(
        long,
        value_name = "T",
        value_parser = temperature,
        default_value = "1",
        allow_negative_numbers = true
    )]
    pub(crate) temperature: f64,
    /// Draw from the most probable values that have this share together, 0 to 1
    #[arg(long, value_name = "P", value_parser = top_p, default_value = "1", allow_negative_numbers = true)]
    pub(crate) top_p: f64,
    /// What stands for rare categories: the text _RARE_, or one of the other categories
    #[arg(long, value_enum, value_name = "HOW", default_value = "constant")]
    pub(crate) rare: Rare,
    /// Draw the columns in a random order instead of their own
    #[arg(long)]
    pub(crate) random_order: bool,
}

/// What stands for rare categories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rare {
    /// The text _RARE_
    Constant,
    /// One of the categories that are not rare
    Sample,
}
