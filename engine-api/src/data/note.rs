//! Notes on columns whose values may be read otherwise than expected.

use std::error::Error;

use engine_core::encode::EncodingType;
use engine_core::remedy::{OptionKey, Remedy};

/// A note about a column, whose values are read and learnt as they are all the same. Notes go to the log, at the level of
/// information: as an error value in the field `note`, so that a subscriber gets it whole (`downcast_ref`) and can put its
/// [`remedies`](Self::remedies) into its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ColumnNote {
    /// Name of the column.
    pub column: String,
    /// What was noticed.
    pub kind: NoteKind,
}

/// What was noticed about a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteKind {
    /// Digits that begin with a zero: `007`.
    #[error("digits with leading zeros are codes and stay text, so that no zero is lost")]
    LeadingZeros,
    /// More digits than 64 bits hold.
    #[error("whole numbers of more than 64 bits stay text, for they are rather names than amounts")]
    LongNumbers,
    /// Numbers with a comma, or with points between thousands: `1,234`, `1.234,5`.
    #[error("numbers with commas stay text, for a comma may stand for decimals or thousands")]
    Commas,
    /// Numbers with a currency or a percent sign: `$5`, `5 %`.
    #[error("numbers with a sign of currency or percent stay text")]
    Units,
    /// Numbers with a plus sign.
    #[error("numbers with a plus sign stay text, so that it is kept")]
    PlusSigns,
    /// Dates whose year has two digits: `1/2/23`.
    #[error("dates whose year has two digits stay text, for the century is open")]
    ShortYears,
    /// Dates of several forms, or of one that is not clear.
    #[error(
        "dates of several forms, some with a zone and some without, or whose day and month cannot be distinguished stay text"
    )]
    MixedDates,
    /// Instants within a leap second.
    #[error("leap seconds have no place among instants, so the column stays text")]
    LeapSeconds,
    /// A value that is not of the kind of all those before it.
    #[error("the column is text, because this line holds no {kind} like the {before} values before it")]
    OddValue {
        /// Line of the file, from 1.
        line: u64,
        /// What the values before it are, for instance `number`.
        kind: &'static str,
        /// How many there are.
        before: u64,
    },
    /// A word that is null by itself in a column of numbers or dates.
    #[error("{word:?} is read as a missing value, {count} times, for all other values are numbers or dates")]
    NullWord {
        /// The word; a blank for blanks.
        word: &'static str,
        /// How often it stands in the column.
        count: u64,
    },
    /// A word in a column of texts that often stands for null.
    #[error("{word:?} is learnt as a text, {count} times, and may stand for a missing value")]
    MayBeNull {
        /// The word; a blank for blanks.
        word: &'static str,
        /// How often it stands in the column.
        count: u64,
    },
    /// Whole numbers that are encoded as amounts although they may name things.
    #[error(
        "few different whole numbers far apart, each in many rows, may be codes rather than amounts; they are learnt as amounts"
    )]
    MayBeCodes,
}

impl ColumnNote {
    /// What a user can do if it shall be otherwise.
    pub fn remedies(&self) -> Vec<Remedy> {
        let learn = |encoding| Remedy::SetEncoding {
            column: self.column.clone(),
            encoding,
        };
        let numbers = || learn(EncodingType::NUMERIC_AUTO);
        match self.kind {
            NoteKind::LeadingZeros | NoteKind::PlusSigns => vec![numbers()],
            NoteKind::Commas => vec![Remedy::outside("write them with a point only"), numbers()],
            NoteKind::Units => vec![Remedy::outside("write them without it"), numbers()],
            NoteKind::ShortYears => vec![Remedy::outside("write four digits")],
            NoteKind::MixedDates => vec![Remedy::outside("write YYYY-MM-DD"), learn(EncodingType::DATETIME)],
            NoteKind::LeapSeconds => vec![Remedy::outside("write the second before")],
            NoteKind::OddValue { .. } => vec![
                Remedy::outside("correct the line"),
                Remedy::set(OptionKey::NullText),
            ],
            NoteKind::MayBeCodes => vec![learn(EncodingType::CATEGORICAL)],
            NoteKind::NullWord { .. } => vec![Remedy::set(OptionKey::KeepNullWords)],
            NoteKind::MayBeNull { .. } => vec![Remedy::set(OptionKey::NullText)],
            NoteKind::LongNumbers => Vec::new(),
        }
    }

    /// Writes it to the log.
    pub(crate) fn log(&self) {
        let (column, note) = (self.column.as_str(), self as &(dyn Error + 'static));
        match self.kind {
            NoteKind::OddValue { line, .. } => {
                tracing::info!(target: "engine_api::data", column, line, note);
            }
            _ => tracing::info!(target: "engine_api::data", column, note),
        }
    }
}
