//! What a table looks like to the engine: borrowed columns in, decoded columns out, and the names of sub-columns.

mod decoded;
mod names;
mod table;

pub use decoded::{DecodedColumn, DecodedValues, Labels};
pub use names::SubColumnName;
pub use table::{Bitmap, Column, Offsets, Table, TableError, TextValues, TimeUnit, Values};
