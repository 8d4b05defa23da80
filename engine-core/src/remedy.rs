//! What a user can do about an error or a note, as data.
//!
//! An error says what is wrong; what to do about it depends on where options are set: by flags of a command, by fields of a
//! struct, by arguments of a function. So errors return [`Remedy`] values, and the program that shows them puts them into its own words.
//! The `Display` of a remedy serves where none does.

use std::borrow::Cow;
use std::fmt;

use crate::encode::EncodingType;

/// An option that a user may set, whatever it is called in the place where it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptionKey {
    /// The device to compute on.
    Device,
    /// The seed of everything random.
    Seed,
    /// Rows of a training step.
    BatchSize,
    /// The size of the model.
    ModelSize,
    /// Whether the model learns the columns in their own order only.
    FixedOrder,
    /// What happens to a model that is already there: `reset`, `reuse` or `resume`.
    State,
    /// Whether a finished model may be replaced.
    Replace,
    /// Whether what does not fit the model is ignored.
    Lenient,
    /// A text that stands for a missing value.
    NullText,
    /// Whether the usual words for a missing value are values like any other.
    KeepNullWords,
}

impl OptionKey {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Device,
        Self::Seed,
        Self::BatchSize,
        Self::ModelSize,
        Self::FixedOrder,
        Self::State,
        Self::Replace,
        Self::Lenient,
        Self::NullText,
        Self::KeepNullWords,
    ];

    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Seed => "seed",
            Self::BatchSize => "batch size",
            Self::ModelSize => "model size",
            Self::FixedOrder => "fixed order",
            Self::State => "model state",
            Self::Replace => "replacing",
            Self::Lenient => "leniency",
            Self::NullText => "null text",
            Self::KeepNullWords => "keeping null words",
        }
    }
}

/// A piece of work that a user may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Job {
    /// All stages from a table to a model.
    Fit,
    /// The stage that assigns rows to training and validation.
    Split,
    /// The stage that collects statistics.
    Analyze,
    /// The stage that makes codes of values.
    Encode,
    /// The stage that trains.
    Train,
    /// The same from the start, whatever training is stored.
    TrainAnew,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Fit,
        Self::Split,
        Self::Analyze,
        Self::Encode,
        Self::Train,
        Self::TrainAnew,
    ];

    /// What it is, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Split => "split",
            Self::Analyze => "analyze",
            Self::Encode => "encode",
            Self::Train => "train",
            Self::TrainAnew => "train from the start",
        }
    }
}

/// Something that a user can do about an error or a note. Where an error has several, one of them is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Give an option a value, or switch it on.
    SetOption {
        /// The option.
        option: OptionKey,
        /// Its value, as the engine calls it; `None` for a switch, and where the user knows the value.
        value: Option<String>,
    },
    /// Give an option a smaller value.
    LowerOption(OptionKey),
    /// Leave an option out, and train again.
    TrainWithout(OptionKey),
    /// Encode a column in another way.
    SetEncoding {
        /// Name of the column.
        column: String,
        /// The encoding.
        encoding: EncodingType,
    },
    /// Run a job.
    Run {
        /// The job.
        job: Job,
        /// Whether it has run before.
        again: bool,
    },
    /// Do something that is no option of the engine, such as installing a driver: an imperative without a full stop.
    Outside(Cow<'static, str>),
}

impl Remedy {
    /// Computing on another device, for instance `cpu`.
    pub fn device(device: impl Into<String>) -> Self {
        Self::SetOption {
            option: OptionKey::Device,
            value: Some(device.into()),
        }
    }

    /// Giving an option a value that the user knows, or switching it on.
    pub fn set(option: OptionKey) -> Self {
        Self::SetOption { option, value: None }
    }

    /// Running a job that has not run yet.
    pub fn run(job: Job) -> Self {
        Self::Run { job, again: false }
    }

    /// Running a job once more.
    pub fn run_again(job: Job) -> Self {
        Self::Run { job, again: true }
    }

    /// Doing something that is no option of the engine.
    pub fn outside(action: impl Into<Cow<'static, str>>) -> Self {
        Self::Outside(action.into())
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetOption {
                option: OptionKey::Device,
                value: Some(device),
            } => write!(f, "use the device {device}"),
            Self::SetOption { option, value: None } => write!(f, "set the option `{}`", option.name()),
            Self::SetOption {
                option,
                value: Some(value),
            } => write!(f, "set the option `{}` to {value}", option.name()),
            Self::LowerOption(option) => write!(f, "use a smaller {}", option.name()),
            Self::TrainWithout(option) => write!(f, "train again without the option `{}`", option.name()),
            Self::SetEncoding { column, encoding } => {
                write!(f, "give the column {column:?} the encoding {encoding}")
            }
            Self::Run { job, again: false } => write!(f, "{} first", job.name()),
            Self::Run { job, again: true } => write!(f, "{} again", job.name()),
            Self::Outside(action) => f.write_str(action),
        }
    }
}

/// One sentence of what is wrong and what can be done about it, which may be nothing.
pub fn with_remedies(problem: &str, remedies: &[impl fmt::Display]) -> String {
    let mut sentence = problem.to_owned();
    for (at, remedy) in remedies.iter().enumerate() {
        sentence += if at == 0 { "; " } else { ", or " };
        sentence += &remedy.to_string();
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_follow_the_problem_in_one_sentence() {
        let remedies = [
            Remedy::outside("install it"),
            Remedy::device("cpu"),
            Remedy::LowerOption(OptionKey::BatchSize),
        ];
        assert_eq!(
            with_remedies("there is no driver", &remedies),
            "there is no driver; install it, or use the device cpu, or use a smaller batch size"
        );
        assert_eq!(with_remedies("it failed", &[] as &[Remedy]), "it failed");
    }
}
