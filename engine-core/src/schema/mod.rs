//! What a table looks like to the engine: borrowed columns in, decoded columns out, and the names of sub-columns.

mod codes;
mod decoded;
mod names;
mod table;

pub use codes::{CodeColumn, CodeTable};
pub use decoded::{DecodedColumn, DecodedValues, Labels};
pub use names::SubColumnName;
pub use table::{Bitmap, Column, Offsets, Table, TableError, TextValues, TimeUnit, Values};
