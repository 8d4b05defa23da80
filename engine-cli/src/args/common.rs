//! Flags of every command.

use std::num::NonZeroUsize;

use clap::Args;

use super::values::threads;

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct CommonArgs {
    /// Seed of everything random, same seed, same result [default: drawn, printed and stored]
    #[arg(long, global = true, value_name = "SEED")]
    pub(crate) seed: Option<u64>,
    /// Threads to use; the result does not depend on it [default: one per core]
    #[arg(long, global = true, value_name = "T", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Device to compute on, one of those that `argn devices` lists
    #[arg(long, global = true, value_name = "DEVICE", default_value = "cpu")]
    pub(crate) device: String,
    /// Multiply on tensor cores where the device has them (cuda): faster for wide models, with factors rounded to TF32
    #[arg(long, global = true)]
    pub(crate) tensor_cores: bool,
    /// Keep the tables that rows are drawn from in half precision, on wgpu: half the memory, probabilities off by about a thousandth
    #[arg(long, global = true)]
    pub(crate) half_tables: bool,
    /// Print nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print what is being done, step by step
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}
