//! The work on whole tables. A table is analysed part by part, the parts are reduced to the statistics of the table, with which any
//! table of the same columns is encoded and decoded. Columns go side by side, and each is left to its encoding; what a column is
//! called in the model, and how the statistics are written to `stats.json`, is decided here.

pub(crate) mod analyze;
pub(crate) mod codes;
pub(crate) mod explain;
pub(crate) mod json;
pub(crate) mod partial;
pub(crate) mod private;
pub(crate) mod probabilities;
pub(crate) mod reduce;
pub(crate) mod stats;
