//! `argn`: synthetic tables from the command line, a thin skin over [`engine_api`].

mod args;
mod commands;
mod explain;
mod failure;
mod interrupt;
mod meaning;
mod messages;
mod progress;
mod questions;
mod report;
mod screen;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use screen::Screen;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen::open(&cli.common);
    interrupt::listen(&screen);
    match commands::run(&cli, &screen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&screen),
    }
}
