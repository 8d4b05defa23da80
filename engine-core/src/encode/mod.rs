//! Encodings: from values to codes and back.
//!
//! A table is analysed part by part ([`analyze_partition`]), the parts are put together under value
//! protection ([`reduce`]), and with the resulting [`TableStats`] any table of the same columns is turned
//! into codes ([`encode`]) and codes into values ([`decode`]). All of them are pure functions: random choices
//! depend on a seed, the row and the column only.
//!
//! ```
//! use engine_core::encode::{self, Compat, Part, Positions, Protection, TableKeys, default_encoding};
//! use engine_core::schema::{Column, Table, Values};
//!
//! let ages = Column { name: "age", values: Values::Int64(&[31, 47, 31]), validity: None };
//! let table = Table::new(vec![ages], 3)?;
//! let types = table.columns().iter().map(|c| (c.name.to_owned(), default_encoding(&c.values))).collect();
//!
//! let part = encode::analyze_partition(&table, &types, Part::Training, 0, Compat::Native)?;
//! let stats = encode::reduce(&[part], &types, Protection::Off, Compat::Native, TableKeys::default(), 1)?;
//! let codes = encode::encode(&table, &stats, 1, 0)?;
//! assert_eq!(codes.columns()[0].to_vec(), [1, 2, 1]);
//!
//! let decoded = encode::decode(&codes, &stats, Positions::Random { seed: 1, first_row: 0 })?;
//! assert_eq!(decoded[0].values, engine_core::schema::DecodedValues::Int(vec![31, 47, 31]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calendar;
mod categorical;
mod character;
mod column;
mod dates;
mod datetime;
mod datetime_relative;
mod draws;
mod encoding_type;
mod error;
mod explain;
mod impute;
mod instants;
mod json;
mod lat_long;
pub mod log_histogram;
mod numeric;
mod partial;
mod private;
mod probabilities;
mod protection;
mod stats;
mod strings;
mod support;
mod table;

pub use categorical::CategoricalStats;
pub use character::CharacterStats;
pub use datetime::{DateParts, DatetimeStats};
pub use datetime_relative::{RelativeParts, RelativeStats};
pub use draws::{Positions, RareReplacement};
pub use encoding_type::{EncodingType, default_encoding};
pub use error::EncodeError;
pub use explain::{Explanation, Reason, explain};
pub use json::to_json;
pub use lat_long::{LatLongStats, TileCharacters};
pub use numeric::{BinnedStats, DigitStats, Digits, DiscreteStats, WithinBins};
pub use partial::{ColumnPartial, Part, PartialStats};
pub use private::{StatsBudget, reduce_private};
pub use probabilities::{empirical_probabilities, rare_codes};
pub use protection::{Compat, Protection};
pub use stats::{
    Cardinalities, Codes, ColumnStats, EncodingStats, ModelColumn, Place, SequenceLengths, SubColumn,
    TableKeys, TableStats,
};
pub use table::{EncodingTypes, analyze_partition, analyze_private, decode, decode_subjects, encode, reduce};

#[cfg(test)]
mod tests;
