//! `argn`, the command line: it parses flags into options of [`engine_api`], shows progress, and turns errors into one sentence, with the flags
//! that would help, and an exit code. All work is done by the library, so that a program that embeds it can do whatever the command line does.

mod args;
mod commands;
mod explain;
mod failure;
mod inference;
mod interrupt;
mod messages;
mod options;
mod progress;
mod report;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use terminal::Terminal;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::open(&cli.common);
    interrupt::listen(&terminal);
    match commands::run(&cli, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&terminal),
    }
}
