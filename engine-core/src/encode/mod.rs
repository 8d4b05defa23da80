//! Encodings: from values to integer codes and back. A model predicts discrete codes, so every column is split into sub-columns with a fixed
//! number of codes each: one for a category, one per decimal digit of a number, one per part of a date. A table is analysed part by part
//! ([`analyze_partition`]), so that it need not fit into memory; the partial counts are merged and reduced ([`reduce`]) to [`TableStats`] under
//! value protection, which drops categories that few subjects share and clips ranges at extreme values, or under a privacy budget
//! ([`reduce_private`]). With these statistics any table of the same columns is turned into codes ([`encode()`]), and codes into values
//! ([`decode`]). All of it but privacy noise is pure: random choices, for instance of a position within a bin, depend on the seed, the row and the column only.
//!
//! `encodings` has a file or folder for each encoding and `registry` the one table of them; `values` parses values, `protection`
//! decides which of them may be published, and `table` does the work on whole tables.
//!
//! ```
//! use engine_core::encode::{self, Compat, SplitPart, BinOffsets, Protection, TableKeys, default_encoding};
//! use engine_core::schema::{Column, Table, Values};
//!
//! let ages = Column { name: "age", values: Values::Int64(&[31, 47, 31]), validity: None };
//! let table = Table::new(vec![ages], 3)?;
//! let types = table.columns().iter().map(|c| (c.name.to_owned(), default_encoding(&c.values))).collect();
//!
//! let part = encode::analyze_partition(&table, &types, SplitPart::Training, 0, Compat::Native)?;
//! let stats = encode::reduce(&[part], &types, Protection::Off, Compat::Native, TableKeys::default(), 1)?;
//! let codes = encode::encode(&table, &stats, 1, 0)?;
//! assert_eq!(codes.columns()[0].to_vec(), [1, 2, 1]);
//!
//! let decoded = encode::decode(&codes, &stats, BinOffsets::Random { seed: 1, first_row: 0 })?;
//! assert_eq!(decoded[0].values, engine_core::schema::DecodedValues::Int(vec![31, 47, 31]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compat;
mod encoding_type;
mod encodings;
mod error;
mod protection;
mod registry;
mod table;
mod values;

pub use compat::Compat;
pub use encoding_type::{EncodingType, EncodingTypes};
pub use encodings::categorical::CategoricalStats;
pub use encodings::character::CharacterStats;
pub use encodings::column::{EncodingStats, WrittenDigits};
pub use encodings::datetime::{DateParts, DatetimeStats, RelativeParts, RelativeStats};
pub use encodings::draws::{BinOffsets, RareReplacement};
pub use encodings::encoding::{ColumnKind, Reason, ValueKind};
pub use encodings::lat_long::{LatLongStats, TileCharacters};
pub use encodings::numeric::{BinDistributions, BinnedStats, DigitStats, Digits, DiscreteStats};
pub use encodings::tokens::{Cardinalities, Codes};
pub use error::EncodeError;
pub use protection::Protection;
pub use registry::default_encoding;
pub use table::analyze::{analyze_partition, analyze_private};
pub use table::codes::{decode, decode_subjects, encode, encode_present};
pub use table::explain::{Explanation, explain};
pub use table::json::to_json;
pub use table::partial::{ColumnPartial, PartialStats, SplitPart};
pub use table::private::{StatsBudget, reduce_private};
pub use table::probabilities::{empirical_probabilities, rare_codes};
pub use table::reduce::reduce;
pub use table::stats::{
    ColumnStats, ModelColumn, ModelPlace, SequenceLengths, SubColumn, TableKeys, TableStats,
};
pub use values::unknown::UnknownValues;

#[cfg(test)]
mod tests;
