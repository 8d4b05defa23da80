//! Encodings: from values to codes and back.

mod calendar;
mod categorical;
mod datetime;
mod draws;
mod encoding_type;
mod error;
mod json;
mod numeric;
mod stats;
mod strings;

pub use categorical::CategoricalStats;
pub use datetime::{DateParts, DatetimeStats};
pub use draws::{Positions, RareReplacement};
pub use encoding_type::{EncodingType, default_encoding};
pub use error::EncodeError;
pub use json::to_json;
pub use numeric::{BinnedStats, DigitStats, Digits, DiscreteStats};
pub use stats::{
    Cardinalities, Codes, ColumnStats, EncodingStats, ModelColumn, Place, SequenceLengths, SubColumn,
    TableKeys, TableStats,
};
