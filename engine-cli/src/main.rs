//! `argn`: learns a table and draws synthetic rows, from the command line.
mod args;
fn main() { use clap::Parser; let _ = args::Cli::parse(); }
