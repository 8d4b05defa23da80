//! What the codes of a column stand for, as labels of probabilities.

use std::fmt;

use crate::encode::{BinnedStats, EncodingStats};
use crate::schema::names::{MAX_TOKEN, MIN_TOKEN, NULL_TOKEN, RARE_TOKEN};

/// What a code stands for. It shows as the label of mostlyai-engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Level {
    /// Rare and unknown values, `_RARE_`.
    Rare,
    /// Null, `<<NULL>>`.
    Null,
    /// A category, as it is stored (texts that could be taken for a token have a U+0001 before them), or a number as text.
    Value(String),
    /// Numbers below an edge and at least the edge before, `<22.0`.
    Below(f64),
    /// Numbers from an edge on, `>=22.0`.
    AtLeast(f64),
    /// A single number: the end of the range.
    Exact(f64),
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rare => f.write_str(RARE_TOKEN),
            Self::Null => f.write_str(NULL_TOKEN),
            Self::Value(text) => f.write_str(text),
            Self::Below(edge) => write!(f, "<{edge:?}"),
            Self::AtLeast(edge) => write!(f, ">={edge:?}"),
            Self::Exact(number) => write!(f, "{number:?}"),
        }
    }
}

/// The codes that a probability of a column distinguishes, with what they stand for, in the order of the result; `None` for columns of
/// several sub-columns.
pub fn levels(values: &EncodingStats) -> Option<Vec<(u32, Level)>> {
    match values.get::<BinnedStats>() {
        Some(bins) => bin_levels(bins),
        None => values.tokens().map(|codes| tokens(codes.keys())),
    }
}

fn bin_levels(stats: &BinnedStats) -> Option<Vec<(u32, Level)>> {
    let code = |token: &str| stats.codes.get_index_of(token).map(|code| code as u32);
    let (first, last) = (stats.bins.first()?, stats.bins.last()?);
    let mut levels = Vec::new();
    levels.extend(code(NULL_TOKEN).map(|code| (code, Level::Null)));
    levels.extend(code(MIN_TOKEN).map(|code| (code, Level::Exact(*first))));
    let start = stats.codes.len() as u32;
    for (code, ends) in (start..).zip(stats.bins.windows(2)) {
        let is_last = code as usize == stats.codes.len() + stats.bins.len() - 2;
        let level = if is_last {
            Level::AtLeast(ends[0])
        } else {
            Level::Below(ends[1])
        };
        levels.push((code, level));
    }
    levels.extend(code(MAX_TOKEN).map(|code| (code, Level::Exact(*last))));
    Some(levels)
}

fn tokens<'a>(tokens: impl Iterator<Item = &'a String>) -> Vec<(u32, Level)> {
    let level = |token: &String| match token.as_str() {
        RARE_TOKEN => Level::Rare,
        NULL_TOKEN => Level::Null,
        text => Level::Value(text.to_owned()),
    };
    (0..).zip(tokens.map(level)).collect()
}
