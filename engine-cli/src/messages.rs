//! What the engine says, in the words of the command line: its errors and notes carry what can be done as data, and here that
//! becomes flags and commands.

use std::error::Error;

use engine_api::data::ColumnNote;
use engine_api::{EncodingType, EngineError, Job, OptionKey, Remedy, with_remedies};

/// An error with its causes and what can be done about it, in one sentence.
pub(crate) fn error(error: &EngineError) -> String {
    let remedies = match error {
        EngineError::WorkspaceMissing { path } => {
            vec![format!("make one with `argn fit TABLE -w {}`", path.display())]
        }
        error => words(&error.remedies()),
    };
    with_remedies(&with_causes(error), &remedies)
}

/// A note with what can be done if it shall be otherwise, in one sentence.
pub(crate) fn note(note: &ColumnNote) -> String {
    with_remedies(&note.to_string(), &words(&note.remedies()))
}

/// The text of an error, with those of its causes that it does not hold already.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let fact = error.to_string();
        if !text.contains(&fact) {
            text += &format!(": {fact}");
        }
        cause = error.source();
    }
    text
}

fn words(remedies: &[Remedy]) -> Vec<String> {
    remedies.iter().map(remedy).collect()
}

fn remedy(remedy: &Remedy) -> String {
    match remedy {
        Remedy::SetOption { option, value } => set(*option, value.as_deref()),
        Remedy::LowerOption(option) => format!("use a smaller {}", flag(*option)),
        Remedy::TrainWithout(option) => format!("train again without {}", flag(*option)),
        Remedy::SetEncoding { column, encoding } => {
            let flag = encoding_flag(column, *encoding);
            match *encoding {
                EncodingType::NUMERIC_AUTO => format!("learn the numbers with {flag}"),
                EncodingType::DATETIME => format!("learn the dates with {flag}"),
                EncodingType::CATEGORICAL => format!("learn categories with {flag}"),
                _ => format!("use {flag}"),
            }
        }
        Remedy::Run { job, again } => {
            let when = if *again { "again" } else { "first" };
            format!("run `argn {}` {when}", command(*job))
        }
        other => other.to_string(),
    }
}

fn set(option: OptionKey, value: Option<&str>) -> String {
    let flag = flag(option);
    match (option, value) {
        (OptionKey::Replace, _) => format!("replace it with {flag}"),
        (OptionKey::State, Some("reuse")) => format!("let `argn fit` train it further with {flag} reuse"),
        (OptionKey::State, Some("resume")) => format!("continue with {flag} resume"),
        (OptionKey::Seed, None) => format!("give one with {flag}"),
        (OptionKey::NullText, None) => {
            format!("give its text with {flag} if it stands for a missing value")
        }
        (OptionKey::KeepNullWords, None) => format!("keep them as values with {flag}"),
        (OptionKey::Lenient, None) => format!("leave out what is missing with {flag}"),
        (_, Some(value)) => format!("use {flag} {value}"),
        (_, None) => format!("use {flag}"),
    }
}

/// The flag of an option.
fn flag(option: OptionKey) -> &'static str {
    match option {
        OptionKey::Device => "--device",
        OptionKey::Seed => "--seed",
        OptionKey::BatchSize => "--batch-size",
        OptionKey::ModelSize => "--model",
        OptionKey::FixedOrder => "--fixed-order",
        OptionKey::State => "--state",
        OptionKey::Replace => "--force",
        OptionKey::Lenient => "--lenient",
        OptionKey::NullText => "--null",
        OptionKey::KeepNullWords => "--keep-null-words",
        // The test below holds every key to a flag of its own.
        _ => option.name(),
    }
}

/// The command that does a job, with the flags that make it do just that.
fn command(job: Job) -> &'static str {
    match job {
        Job::TrainAnew => "train --state reset",
        job => job.name(),
    }
}

/// The flag that gives a column an encoding, ready for a shell.
pub(crate) fn encoding_flag(column: &str, encoding: EncodingType) -> String {
    format!("--encoding {}", quoted(&format!("{column}={encoding}")))
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-=.:/".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_option_of_a_remedy_is_a_flag_of_some_command() {
        let cli = Cli::command();
        let commands = std::iter::once(&cli).chain(cli.get_subcommands());
        let flags: Vec<String> = commands
            .flat_map(|command| command.get_arguments())
            .filter_map(|argument| argument.get_long().map(|long| format!("--{long}")))
            .collect();
        for option in OptionKey::ALL {
            assert!(
                flags.iter().any(|f| f == flag(option)),
                "{option:?}: {}",
                flag(option)
            );
        }
    }

    #[test]
    fn every_job_is_a_command() {
        let cli = Cli::command();
        for job in Job::ALL {
            let name = command(job).split(' ').next().unwrap();
            assert!(cli.find_subcommand(name).is_some(), "{job:?}");
        }
    }

    #[test]
    fn remedies_are_shown_as_flags_and_commands() {
        let error = |e| super::error(&e);
        let path = || "ws".into();
        assert_eq!(
            error(EngineError::WorkspaceMissing { path: path() }),
            "ws: there is no workspace; make one with `argn fit TABLE -w ws`"
        );
        assert_eq!(
            error(EngineError::Corrupt {
                path: path(),
                reason: "it is cut".to_owned(),
                made_by: Job::TrainAnew
            }),
            "ws: it is cut; run `argn train --state reset` again"
        );
        assert_eq!(
            error(EngineError::Device {
                device: "cuda:0".to_owned(),
                reason: "no NVIDIA driver was found".to_owned(),
                remedies: vec![
                    Remedy::outside("install it"),
                    Remedy::LowerOption(OptionKey::BatchSize),
                    Remedy::device("cpu")
                ]
            }),
            "the device cuda:0 cannot be used: no NVIDIA driver was found; install it, or use a smaller --batch-size, or use \
             --device cpu"
        );
        assert_eq!(
            encoding_flag("odd 'un", EncodingType::LAT_LONG),
            "--encoding 'odd '\\''un=lat-long'"
        );
    }
}
